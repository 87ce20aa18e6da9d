package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// atCA moves a certificate of cfg to a CA of its own.
func atCA(cfg *config.Config, cert int, directory string) {
	cfg.Certs[cert].Issuers = []renew.Issuer{{Name: "ca", Directory: directory}}
}

// TestADeadCAStarvesNobodyElse: hundreds of new certificates wait for a CA that
// accepts and never answers, and one that another CA would renew is due.
func TestADeadCAStarvesNobodyElse(t *testing.T) {
	h := newHost(20 * day)
	h.issue = func(ctx context.Context, c renew.Cert) error {
		if c.Name != "healthy" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	names := []string{"healthy"}
	for i := range 80 {
		names = append(names, fmt.Sprintf("dead%03d", i))
	}
	cfg := configOf(names...)
	atCA(cfg, 0, "https://good/dir")
	for i := range 80 {
		atCA(cfg, i+1, "https://dead/dir")
	}
	synctest.Test(t, func(t *testing.T) {
		defer started(t, h.agent(cfg))()
		for range 25 {
			time.Sleep(day)
			if h.lapsed("healthy") {
				t.Fatal("lapsed")
			}
		}
		if issued, _ := h.count("healthy"); issued < 2 {
			t.Errorf("%d certificates in 25 days", issued)
		}
	})
}

// TestAnExpiringCertificateGoesBeforeANewOne holds within one CA as well.
func TestAnExpiringCertificateGoesBeforeANewOne(t *testing.T) {
	h := newHost(90 * day)
	var order []string
	h.issue = func(ctx context.Context, c renew.Cert) error { return nil }
	synctest.Test(t, func(t *testing.T) {
		a := h.agent(configOf("served"))
		defer started(t, a)()
		time.Sleep(time.Minute)
		h.set(func() {
			v := &h.versions["served"][0]
			v.NotAfter = time.Now().Add(2 * time.Hour) // long overdue
			v.NotBefore = v.NotAfter.Add(-90 * day)
			h.issue = func(ctx context.Context, c renew.Cert) error {
				h.set(func() { order = append(order, c.Name) })
				time.Sleep(10 * time.Second)
				return nil
			}
		})
		var names []string
		for i := range 200 {
			names = append(names, fmt.Sprintf("new%03d", i))
		}
		a.Reload(configOf(append(names, "served")...), h)
		time.Sleep(5 * time.Minute)
		place := -1
		h.set(func() { place = slices.Index(order, "served") })
		if place < 0 || place > 2*limit(renew.Issue) {
			t.Errorf("the one that expires in two hours came as number %d", place)
		}
	})
}

// TestRemovedAndPutBackInMidOrderIsIssuedOnce: a deploy tool deletes a file and
// writes it again while the order is under way.
func TestRemovedAndPutBackInMidOrderIsIssuedOnce(t *testing.T) {
	h := newHost(90 * day)
	most, running := 0, 0
	h.issue = func(context.Context, renew.Cert) error {
		h.set(func() { running++; most = max(most, running) })
		time.Sleep(20 * time.Second)
		h.set(func() { running-- })
		return nil
	}
	during(t, h, []string{"www"}, func(a *Agent) {
		for range 5 {
			time.Sleep(2 * time.Second)
			a.Reload(configOf(), h)
			time.Sleep(time.Second)
			if len(a.Report(time.Now())) != 0 {
				t.Error("one that is not configured is reported")
			}
			a.Reload(configOf("www"), h)
		}
		time.Sleep(2 * time.Minute)
		issued, _ := h.count("www")
		h.set(func() {
			if issued != 1 || most != 1 {
				t.Errorf("%d certificates, %d orders at once; want 1 and 1", issued, most)
			}
		})
		if r := report(t, a, "www"); r.Stage != renew.Served {
			t.Errorf("stage %s", r.Stage)
		}
		a.Reload(configOf(), h)
		time.Sleep(time.Minute)
		a.mu.Lock()
		defer a.mu.Unlock()
		if len(a.entries) != 0 {
			t.Errorf("%d entries of nobody", len(a.entries))
		}
	})
}

// TestAPathThatHangsHoldsUpItsOwnCertificateAlone: the file system of one output
// does not answer; the others go on, and somebody hears of it.
func TestAPathThatHangsHoldsUpItsOwnCertificateAlone(t *testing.T) {
	h := newHost(90 * day)
	free := make(chan struct{})
	var all atomic.Bool
	h.read = func(name string) {
		if name == "hangs" || all.Load() {
			<-free
		}
	}
	synctest.Test(t, func(t *testing.T) {
		free = make(chan struct{})
		a := h.agent(configOf("good", "hangs"))
		pets := 0
		a.parts.Alive = func(func() string) { h.set(func() { pets++ }) }
		stop := started(t, a)
		time.Sleep(5 * time.Minute)
		if r := report(t, a, "good"); r.Stage != renew.Served || r.Health != renew.OK {
			t.Errorf("good: %s, %s", r.Stage, r.Health)
		}
		if r := report(t, a, "hangs"); r.Health != renew.Critical || r.Reason != renew.Unreadable {
			t.Errorf("hangs: %s %s", r.Health, r.Reason)
		}
		h.set(func() { pets = 0 })
		time.Sleep(30 * time.Minute)
		h.set(func() {
			if pets < 25 {
				t.Errorf("the watchdog heard %d times in half an hour of a lap in which the other certificate goes on", pets)
			}
		})
		all.Store(true)
		time.Sleep(2 * time.Hour) // by then the other one was looked at again
		h.set(func() { pets = 0 })
		time.Sleep(30 * time.Minute)
		h.set(func() {
			if pets > 0 {
				t.Errorf("a lap in which nothing ends any more kept its watchdog quiet %d times", pets)
			}
		})
		all.Store(false)
		close(free)
		time.Sleep(time.Minute)
		if r := report(t, a, "hangs"); r.Stage != renew.Served {
			t.Errorf("once it answers again: %s, %+v", r.Stage, r.Findings)
		}
		stop()
	})
}

// TestAnEventDuringALookIsNotLost: what changes after it was read, and wakes the
// agent while it still decides, is looked at again.
func TestAnEventDuringALookIsNotLost(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Minute)
		h.set(func() { h.read = func(string) { time.Sleep(5 * time.Second) } })
		a.Wake()
		time.Sleep(6 * time.Second) // read, and not yet decided
		h.set(func() { h.live["www"] = 0 })
		a.Wake()
		time.Sleep(40 * time.Second)
		if live, _, _ := h.Live("www"); live != 1 {
			t.Errorf("live is %d: the event was lost", live)
		}
	})
}

// TestSomebodyElseWhoWritesIsFoughtSlowly: the link is flipped away again and
// again. It is put right at once, then ever more slowly, and a human hears of it.
func TestSomebodyElseWhoWritesIsFoughtSlowly(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Minute)
		h.set(func() { h.live["www"] = 0 })
		a.Wake()
		time.Sleep(2 * time.Second)
		if live, _, _ := h.Live("www"); live != 1 {
			t.Error("not put right at once")
		}
		links := 0
		h.set(func() { h.linked = func() { links++ } })
		for range 8 * 60 * 6 { // another program flips it every ten seconds for eight hours
			h.set(func() { h.live["www"] = 0 })
			a.Wake()
			time.Sleep(10 * time.Second)
		}
		h.set(func() {
			if links > 3*8+10 || links < 8 {
				t.Errorf("put right %d times in eight hours, want about three an hour", links)
			}
		})
		if r := report(t, a, "www"); r.Health == renew.OK {
			t.Error("nobody hears of it")
		}
		if issued, _ := h.count("www"); issued != 1 {
			t.Errorf("%d certificates", issued)
		}
	})
}

// TestAFullDiskIsSaid: what can't be written down is no secret of the log.
func TestAFullDiskIsSaid(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Minute)
		h.set(func() { h.full = errors.New("no space left on device") })
		time.Sleep(2 * time.Hour)
		if r := report(t, a, "www"); r.Health != renew.Attention || r.Reason != renew.StateUnwritable {
			t.Errorf("%s %s", r.Health, r.Reason)
		}
		h.set(func() { h.full = nil })
		time.Sleep(2 * time.Hour)
		if r := report(t, a, "www"); r.Health != renew.OK {
			t.Errorf("with room again: %s %s", r.Health, r.Reason)
		}
	})
}

// TestACertificateAboutToEndWaitsForNoSpacing: the hook of a pair that replaces
// one with seconds left runs, however lately it ran.
func TestACertificateAboutToEndWaitsForNoSpacing(t *testing.T) {
	c := configOf("www").Certs[0]
	f := servedFacts(c)
	j := job{parts: &Parts{Drive: Drive{}.orReal()}, now: t0, began: time.Now(), cert: c, facts: f}
	if q := j.spacing(); q != hookSpacing {
		t.Errorf("%s with nothing known to be served", q)
	}
	j.facts.Journal.Proofs[0].NotAfter = t0.Add(6 * time.Second)
	if q := j.spacing(); q > 300*time.Millisecond {
		t.Errorf("%s with six seconds left", q)
	}
	j.facts.Journal.Proofs[0].NotAfter = t0.Add(-time.Second)
	if q := j.spacing(); q != 0 {
		t.Errorf("%s with nothing left", q)
	}
}

// TestAHookThatTouchesWhatItReloadsRunsOnce needs the digest of what lies there
// to be taken before the hook: it runs once more for what it did, not for ever.
func TestAHookThatTouchesWhatItReloadsRunsOnce(t *testing.T) {
	h := newHost(90 * day)
	h.hook = func(_ context.Context, e hooks.Event) error {
		h.set(func() { h.changed[e.Cert] = h.changed[e.Cert].Add(0) })
		return nil
	}
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Hour)
		if _, reloads := h.count("www"); reloads > 2 {
			t.Errorf("%d reloads in an hour", reloads)
		}
	})
}
