package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

const spareDirectory = "https://spare/dir"

// twoCAs is the configuration of www with a second issuer.
func twoCAs() *config.Config {
	cfg := configOf("www")
	cfg.Issuers["spare"] = config.Issuer{Name: "spare", Directory: spareDirectory}
	cfg.Certs[0].Issuers = append(cfg.Certs[0].Issuers, renew.Issuer{Name: "spare", Directory: spareDirectory})
	cfg.Certs[0].Rescue = true
	return cfg
}

func TestTheSecondCATakesOverAndTheFirstComesBack(t *testing.T) {
	for _, life := range []time.Duration{90 * day, 160 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHost(life)
				cfg := twoCAs()
				a := h.agent(cfg)
				defer started(t, a)()
				synctest.Wait()
				time.Sleep(time.Hour)
				if !slices.Contains(h.enrolled, spareDirectory) {
					t.Fatal("there is no account at the second CA")
				}
				h.set(func() {
					h.issue = func(_ context.Context, c renew.Cert) error {
						if c.Issuers[0].Name == "ca" {
							return errDown
						}
						return nil
					}
				})
				first := report(t, a, "www")
				slack := renew.Slack(&cfg.Certs[0], &renew.Facts{Held: renew.Version{N: 1, NotBefore: first.NotBefore, NotAfter: first.NotAfter}})
				for report(t, a, "www").Version == first.Version {
					time.Sleep(time.Hour)
					if left := time.Until(first.NotAfter); left < slack/2 {
						t.Fatalf("half of the slack is gone: %+v", report(t, a, "www"))
					}
				}
				time.Sleep(time.Minute)
				second := report(t, a, "www")
				if second.Issuer != "spare" || second.Stage != renew.Served {
					t.Fatalf("got %+v", second)
				}
				h.set(func() { h.issue = func(context.Context, renew.Cert) error { return nil } })
				for report(t, a, "www").Version == second.Version {
					time.Sleep(time.Hour)
					if h.lapsed("www") {
						t.Fatal("lapsed")
					}
				}
				if third := report(t, a, "www"); third.Issuer != "ca" {
					t.Errorf("the next cycle began at %s", third.Issuer)
				}
			})
		})
	}
}

// TestNoCertificateHangsOnOneAccount: the first issuer's account can't be read,
// which is that issuer's failure and nobody else's.
func TestNoCertificateHangsOnOneAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(90 * day)
		h.issue = func(_ context.Context, c renew.Cert) error { return h.locked[c.Issuers[0].Directory] }
		cfg := twoCAs()
		h.locked = map[string]error{cfg.Certs[0].Issuers[0].Directory: errors.New("input/output error")}
		defer started(t, h.agent(cfg))()
		synctest.Wait()
		time.Sleep(time.Hour)
		if issued, reloads := h.count("www"); issued != 1 || reloads != 1 {
			t.Errorf("%d issued and %d reloads within an hour, want one by the second issuer", issued, reloads)
		}
	})
}

// TestNobodyIsLeftWaitingForAPlaceAtACAThatNobodyAsksAnyMore: more certificates
// wait for the first CA than it has places, and before their turn comes it is
// clear that none is to ask it.
func TestNobodyIsLeftWaitingForAPlaceAtACAThatNobodyAsksAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(90 * day)
		h.issue = func(_ context.Context, c renew.Cert) error {
			if c.Issuers[0].Name == "spare" {
				return nil
			}
			time.Sleep(time.Second) // until all have come
			h.set(func() { h.held = map[string]time.Time{c.Issuers[0].Directory: time.Now().Add(day)} })
			return &renew.Failure{Op: "ordering", Class: renew.Limited, RetryAt: time.Now().Add(day), Err: errors.New("429")}
		}
		cfg := twoCAs()
		for n := range 3 * limit(renew.Issue) {
			c := cfg.Certs[0]
			c.Name = fmt.Sprintf("www%d", n)
			c.Names = []string{c.Name + ".example.com"}
			cfg.Certs = append(cfg.Certs, c)
		}
		defer started(t, h.agent(cfg))()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for _, c := range cfg.Certs {
			if issued, _ := h.count(c.Name); issued != 1 {
				t.Errorf("%s: %d issued, want one by the second issuer", c.Name, issued)
			}
		}
	})
}

// TestAnOutageDoesNotForgetWhichNameIsDead: what the CA said of a name is known
// still when the network fails after it.
func TestAnOutageDoesNotForgetWhichNameIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(90 * day)
		cfg := configOf("www")
		cfg.Certs[0].Names = []string{"a.example.com", "dead.example.com"}
		cfg.Certs[0].Rescue = true
		a := h.agent(cfg)
		defer started(t, a)()
		time.Sleep(time.Hour)
		dead := &renew.Failure{Class: renew.Refused, Err: errors.New("no such name"), Names: []string{"dead.example.com"}}
		fails := 0
		h.set(func() {
			h.issue = func(_ context.Context, c renew.Cert) error {
				if fails++; fails > 1 && fails < 5 {
					return errDown
				}
				if slices.Contains(c.Names, "dead.example.com") {
					return dead
				}
				return nil
			}
		})
		first := report(t, a, "www")
		half := first.NotAfter.Add(-15 * day)
		time.Sleep(time.Until(half.Add(time.Hour)))
		got := report(t, a, "www")
		if got.Version == first.Version || got.Reason != renew.NameLeftOut || got.Health != renew.Critical {
			t.Fatalf("nothing was rescued: %+v", got)
		}
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return nil } })
		time.Sleep(25 * time.Hour)
		if got := report(t, a, "www"); got.Health != renew.OK || got.Version != first.Version+2 {
			t.Errorf("the name was not taken back: %+v", got)
		}
	})
}

// TestACAThatComesBackAtTheLastMomentIsFound: the waits of a day are over by
// then.
func TestACAThatComesBackAtTheLastMomentIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(90 * day)
		a := h.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(time.Hour)
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return errDown } })
		end := report(t, a, "www").NotAfter
		time.Sleep(time.Until(end.Add(-2 * time.Hour)))
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return nil } })
		time.Sleep(110 * time.Minute)
		if r := report(t, a, "www"); r.Stage != renew.Served || r.Version != 2 {
			t.Errorf("ten minutes before the end: %+v", r)
		}
	})
}
