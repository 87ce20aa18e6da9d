package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// TestAYearOfRenewalsAtNight: the clock of the bubble begins at midnight, UTC.
func TestAYearOfRenewalsAtNight(t *testing.T) {
	night, err := renew.ParseWindow("02:00-05:00", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(90 * day)
	// The first is due at noon, and each after that when its window opens.
	cfg := configOf("www")
	cfg.Certs[0].Window = night
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		a := h.agent(cfg)
		defer started(t, a)()
		time.Sleep(60*day + time.Hour)
		issued, _ := h.count("www")
		if s := report(t, a, "www").Next; issued != 1 || s.Do != renew.Issue || s.Reason != renew.WindowShut {
			t.Fatalf("an hour after it was due: %d issued, next %+v", issued, s)
		}
		plan := a.Plan(time.Now(), time.Now().Add(day))
		if p := plan[len(plan)-1]; p.Do != renew.Issue || p.Reason != renew.WindowShut || p.At.UTC().Hour() != 2 {
			t.Errorf("planned: %+v", p)
		}
		// Another edit of the same certificate: still no reason to renew by day.
		edited := *cfg
		edited.Certs = []renew.Cert{cfg.Certs[0]}
		edited.Certs[0].LifetimeLeft = 1.0 / 3
		a.Reload(&edited, h)
		time.Sleep(time.Hour)
		if issued, _ := h.count("www"); issued != 1 {
			t.Error("an edit of the configuration renewed outside of the window")
		}
		time.Sleep(300 * day)
		for i, at := range h.issued["www"] {
			if in := night.Next(at); i > 0 && in.Sub(at) > time.Second {
				t.Errorf("certificate %d was issued at %s", i+1, at)
			}
		}
		if issued, _ := h.count("www"); issued != 6 {
			t.Errorf("%d certificates in a year, want 6", issued)
		}
		if r := report(t, a, "www"); r.Health != renew.OK {
			t.Errorf("health %s: %+v", r.Health, r.Findings)
		}
	})
}

func TestAnOperatorsWordOpensTheWindow(t *testing.T) {
	night, err := renew.ParseWindow("02:00-05:00", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(90 * day)
	cfg := configOf("www")
	cfg.Certs[0].Window = night
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(12 * time.Hour)
		a := h.agent(cfg)
		defer started(t, a)()
		time.Sleep(60*day + time.Hour)
		if err := a.Request("www", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if issued, _ := h.count("www"); issued != 2 {
			t.Errorf("%d certificates a minute after the operator asked, want 2", issued)
		}
	})
}
