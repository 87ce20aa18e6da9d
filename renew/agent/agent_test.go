package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

const day = 24 * time.Hour

// started runs a until stop is called.
func started(t *testing.T, a *Agent) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	return func() { cancel(); running.Wait() }
}

// during runs the agent in a bubble of virtual time while body looks on.
func during(t *testing.T, h *host, names []string, body func(a *Agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := h.agent(configOf(names...))
		defer started(t, a)()
		body(a)
	})
}

func report(t *testing.T, a *Agent, name string) CertReport {
	t.Helper()
	for _, c := range a.Report(time.Now()) {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no report of %s", name)
	return CertReport{}
}

func TestAYearWithoutALapse(t *testing.T) {
	for _, life := range []time.Duration{90 * day, 160 * time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			h := newHost(life)
			during(t, h, []string{"www"}, func(a *Agent) {
				for range 365 * 4 {
					time.Sleep(6 * time.Hour)
					if h.lapsed("www") {
						t.Fatalf("lapsed at %s", time.Now())
					}
				}
				left := life / 3
				if life < 10*day {
					left = life / 2
				}
				want := int(365 * day / (life - left))
				if got, _ := h.count("www"); got < want || got > want+1 {
					t.Errorf("%d certificates in a year, want %d or one more", got, want)
				}
				if r := report(t, a, "www"); r.Stage != renew.Served || r.Health != renew.OK {
					t.Errorf("after a year: %s, %s %s", r.Stage, r.Health, r.Reason)
				}
			})
		})
	}
}

// TestOldVersionsGoWhereNobodyProves: without an endpoint no proof ever says
// that the old ones are not served any more.
func TestOldVersionsGoWhereNobodyProves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHost(160 * time.Hour)
		cfg := configOf("www")
		cfg.Certs[0].Endpoints = nil
		a := h.agent(cfg)
		defer started(t, a)()
		time.Sleep(60 * day)
		v, _ := h.Versions("www")
		// One more may have been issued at this moment, and be installed in the next.
		if issued, _ := h.count("www"); issued < 10 || len(v) > keepVersions+1 {
			t.Errorf("%d of %d versions are kept", len(v), issued)
		}
	})
}

func TestACADownForTwoThirdsOfTheSlackCostsNothing(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(59 * day)
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return errDown } })
		var attention, critical time.Duration
		for d := time.Duration(0); d < 20*day; d += time.Hour {
			time.Sleep(time.Hour)
			switch report(t, a, "www").Health {
			case renew.Attention:
				if attention == 0 {
					attention = d
				}
			case renew.Critical:
				if critical == 0 {
					critical = d
				}
			}
		}
		if attention == 0 || attention > 9*day {
			t.Errorf("attention after %s, want it well before half of the slack", attention)
		}
		if critical < 15*day || critical > 17*day {
			t.Errorf("critical after %s, want it at half of the slack", critical)
		}
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return nil } })
		time.Sleep(2 * day)
		if r := report(t, a, "www"); r.Stage != renew.Served || r.Health != renew.OK || r.Version != 2 {
			t.Errorf("after the CA came back: version %d, %s, %s %s", r.Version, r.Stage, r.Health, r.Reason)
		}
	})
}

func TestALyingReloadIsNeverCalledServedAndNeverReissued(t *testing.T) {
	h := newHost(90 * day)
	h.lies = true
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Minute)
		r := report(t, a, "www")
		if r.Stage != renew.Deployed || r.Health == renew.OK || r.Reason != renew.NotServed && r.Reason != renew.ServedExpiring {
			t.Errorf("after a minute: %s, %s %s", r.Stage, r.Health, r.Reason)
		}
		time.Sleep(day)
		issued, reloads := h.count("www")
		if issued != 1 {
			t.Errorf("%d certificates for a reload that lies, want 1", issued)
		}
		if reloads < 100 || reloads > 3000 {
			t.Errorf("%d reloads in a day, want one or two a minute", reloads)
		}
		h.set(func() { h.lies = false })
		time.Sleep(2 * time.Minute)
		if r := report(t, a, "www"); r.Stage != renew.Served || r.Health != renew.OK {
			t.Errorf("after the cause is gone: %s, %s %s", r.Stage, r.Health, r.Reason)
		}
	})
}

func TestAFailingHookStaysPendingAcrossARestart(t *testing.T) {
	h := newHost(90 * day)
	h.hook = func(context.Context, hooks.Event) error { return errors.New("nginx: [emerg] no") }
	synctest.Test(t, func(t *testing.T) {
		a := h.agent(configOf("www"))
		stop := started(t, a)
		time.Sleep(time.Hour)
		if r := report(t, a, "www"); r.Stage != renew.Installed || r.Health == renew.OK {
			t.Errorf("%s, %s %s", r.Stage, r.Health, r.Reason)
		}
		stop()
		h.set(func() { h.hook = func(context.Context, hooks.Event) error { return nil } })
		a = h.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(2 * time.Minute)
		if r := report(t, a, "www"); r.Stage != renew.Served {
			t.Errorf("after the restart: %s, %s %s", r.Stage, r.Health, r.Reason)
		}
		if issued, _ := h.count("www"); issued != 1 {
			t.Errorf("%d certificates, want 1", issued)
		}
	})
}

func TestAPanicIsOneCertificatesFailureAlone(t *testing.T) {
	h := newHost(90 * day)
	h.issue = func(_ context.Context, c renew.Cert) error {
		if c.Name == "bad" {
			panic("index out of range")
		}
		return nil
	}
	during(t, h, []string{"bad", "good"}, func(a *Agent) {
		time.Sleep(time.Hour)
		if r := report(t, a, "good"); r.Stage != renew.Served || r.Health != renew.OK {
			t.Errorf("good: %s, %s", r.Stage, r.Health)
		}
		r := report(t, a, "bad")
		if r.Failure == nil || r.Failure.Class != renew.Bug || r.Health != renew.Critical || !r.Failure.Next.After(time.Now()) {
			t.Errorf("bad: %s, %+v", r.Health, r.Failure)
		}
	})
}

func TestOneThatHangsDelaysNobody(t *testing.T) {
	h := newHost(90 * day)
	h.issue = func(ctx context.Context, c renew.Cert) error {
		if c.Name == "hangs" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	during(t, h, []string{"a", "hangs", "z"}, func(a *Agent) {
		time.Sleep(20 * time.Second)
		for _, n := range []string{"a", "z"} {
			if r := report(t, a, n); r.Stage != renew.Served {
				t.Errorf("%s: %s", n, r.Stage)
			}
		}
		time.Sleep(issueDeadline)
		if r := report(t, a, "hangs"); r.Failure == nil || r.Failure.Stage != renew.Issue {
			t.Errorf("the one that hangs was not ended: %+v", r.Failure)
		}
	})
}

func TestStopsWithinFiveSecondsInAnyStage(t *testing.T) {
	block := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	for name, set := range map[string]func(h *host){
		"waiting":             func(*host) {},
		"in mid-order":        func(h *host) { h.issue = func(ctx context.Context, _ renew.Cert) error { return block(ctx) } },
		"in mid-hook":         func(h *host) { h.hook = func(ctx context.Context, _ hooks.Event) error { return block(ctx) } },
		"a hook that won't":   func(h *host) { h.hook = func(context.Context, hooks.Event) error { time.Sleep(time.Hour); return nil } },
		"an order that won't": func(h *host) { h.issue = func(context.Context, renew.Cert) error { time.Sleep(time.Hour); return nil } },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(90 * day)
			set(h)
			synctest.Test(t, func(t *testing.T) {
				a := h.agent(configOf("www"))
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan time.Time, 1)
				go func() { a.Run(ctx); ended <- time.Now() }()
				time.Sleep(10 * time.Second)
				stopped := time.Now()
				cancel()
				if took := (<-ended).Sub(stopped); took > 5*time.Second {
					t.Errorf("took %s", took)
				}
				j, _ := h.Journal("www")
				if len(j.Issuers)+j.Hooks["nginx"].Trouble.Count > 0 {
					t.Errorf("being stopped was entered as a failure: %+v", j)
				}
				time.Sleep(2 * time.Hour) // what would not stop ends before the bubble does
			})
		})
	}
}

func TestAJournalThatCantBeWrittenForgetsNoBackoff(t *testing.T) {
	h := newHost(90 * day)
	h.full = errors.New("no space left on device")
	calls := 0
	h.issue = func(context.Context, renew.Cert) error {
		h.set(func() { calls++ })
		return errDown
	}
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Hour)
		h.set(func() {
			if calls > 4 {
				t.Errorf("%d orders in an hour with a full disk, want those of the schedule (3)", calls)
			}
		})
		h.set(func() { h.full = nil; h.issue = func(context.Context, renew.Cert) error { return nil } })
		time.Sleep(4 * time.Hour)
		if r := report(t, a, "www"); r.Stage != renew.Served {
			t.Errorf("with room again: %s, %+v", r.Stage, r.Failure)
		}
	})
}

func TestAShortestTimeToExpiryGoesFirst(t *testing.T) {
	h := newHost(90 * day)
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("c%03d", i))
	}
	var mu sync.Mutex
	var order []string
	running, most := 0, 0
	during(t, h, names, func(a *Agent) {
		time.Sleep(time.Minute)
		// All become due at once, each with another end.
		h.set(func() {
			for i, n := range names {
				v := &h.versions[n][0]
				v.NotAfter = time.Now().Add(time.Duration(1000-i) * time.Second)
				v.NotBefore = v.NotAfter.Add(-90 * day)
			}
			h.issue = func(_ context.Context, c renew.Cert) error {
				mu.Lock()
				order = append(order, c.Name)
				running++
				most = max(most, running)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				running--
				mu.Unlock()
				return nil
			}
		})
		a.Wake()
		time.Sleep(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if most > limit(renew.Issue) || most < limit(renew.Issue)/2 {
			t.Errorf("%d at once, want %d at most", most, limit(renew.Issue))
		}
		if len(order) != 100 {
			t.Fatalf("%d issued, want 100", len(order))
		}
		// Those that begin at one instant may do so in any order; the first lot was
		// taken before anyone had to wait.
		var before string
		for lot := range slices.Chunk(order[limit(renew.Issue):], limit(renew.Issue)) {
			if most := slices.Max(lot); before != "" && most > before {
				t.Errorf("%s, which lives longer, came before %s", before, most)
			}
			before = slices.Min(lot)
		}
	})
}

func TestReload(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"stays", "goes"}, func(a *Agent) {
		time.Sleep(time.Minute)
		cfg := configOf("stays", "comes")
		cfg.Certs[0].Names = []string{"stays.example.com", "more.example.com"}
		a.Reload(cfg, h)
		time.Sleep(time.Minute)
		if len(a.Report(time.Now())) != 2 {
			t.Errorf("reports: %+v", a.Report(time.Now()))
		}
		if r := report(t, a, "comes"); r.Stage != renew.Served {
			t.Errorf("the new one: %s", r.Stage)
		}
		if issued, _ := h.count("stays"); issued != 2 {
			t.Errorf("names changed: %d certificates, want 2", issued)
		}
		if issued, _ := h.count("goes"); issued != 1 {
			t.Errorf("the one that went: %d certificates", issued)
		}
	})
}

func TestAChangedConfigurationEndsABackoff(t *testing.T) {
	h := newHost(90 * day)
	h.issue = func(context.Context, renew.Cert) error { return errDown }
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(14 * time.Minute) // the next try lies 100 minutes ahead
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return nil } })
		a.Reload(configOf("www"), h)
		time.Sleep(time.Minute)
		if issued, _ := h.count("www"); issued != 0 {
			t.Error("the same configuration again ended the backoff")
		}
		cfg := configOf("www")
		cfg.Certs[0].Names = []string{"other.example.com"}
		a.Reload(cfg, h)
		time.Sleep(time.Minute)
		if r := report(t, a, "www"); r.Stage != renew.Served {
			t.Errorf("after the change: %s, %+v", r.Stage, r.Failure)
		}
	})
}

func TestRequests(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Minute)
		if err := a.Request("nobody", false); !errors.Is(err, ErrUnknown) {
			t.Errorf("an unknown name: %v", err)
		}
		if err := a.Request("www", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if issued, _ := h.count("www"); issued != 1 {
			t.Errorf("%d certificates after a plain request, want 1: nothing was due", issued)
		}
		if err := a.Request("www", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if issued, _ := h.count("www"); issued != 2 {
			t.Errorf("%d certificates after a forced request, want 2", issued)
		}
		if r := report(t, a, "www"); r.Stage != renew.Served || r.Version != 2 {
			t.Errorf("version %d, %s", r.Version, r.Stage)
		}
	})
}

func TestAStepThatIsAlwaysDueDoesNotSpin(t *testing.T) {
	h := newHost(90 * day)
	asked := 0
	h.advise = func(a *renew.Advice) {
		h.set(func() { asked++ })
		a.PollAt = a.FetchedAt.Add(-time.Hour)
	}
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Minute)
		h.set(func() {
			if asked > 122 || asked < 30 {
				t.Errorf("asked %d times in a minute, want it held to two a second", asked)
			}
		})
	})
}

// TestAClockThatWasAheadForAnHour: what was due by the wrong clock is not slept
// for, or the next renewal would come a year late.
func TestAClockThatWasAheadForAnHour(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		a := h.agent(configOf("www"))
		var offset atomic.Int64
		a.now = func() time.Time { return wallClock().Add(time.Duration(offset.Load())) }
		h.now = a.now
		h.issue = func(context.Context, renew.Cert) error {
			if offset.Load() != 0 {
				return &renew.Failure{Class: renew.Local, Err: errors.New("the clock is not the CA's")}
			}
			return nil
		}
		defer started(t, a)()
		time.Sleep(30 * day)
		offset.Store(int64(400 * day))
		time.Sleep(time.Hour)
		offset.Store(0)
		time.Sleep(32 * day)
		if issued, _ := h.count("www"); issued != 2 {
			t.Errorf("%d certificates after 62 days, want 2", issued)
		}
	})
}

func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{40 * day, -40 * day} {
		t.Run(jump.String(), func(t *testing.T) {
			h := newHost(90 * day)
			synctest.Test(t, func(t *testing.T) {
				a := h.agent(configOf("www"))
				var mu sync.Mutex
				var offset time.Duration
				a.now = func() time.Time {
					mu.Lock()
					defer mu.Unlock()
					return wallClock().Add(offset)
				}
				h.now = a.now
				defer started(t, a)()
				time.Sleep(30 * day)
				mu.Lock()
				offset = jump
				mu.Unlock()
				time.Sleep(2 * time.Minute)
				issued, reloads := h.count("www")
				if want := map[bool]int{true: 2, false: 1}[jump > 0]; issued != want {
					t.Errorf("%d certificates after a jump of %s, want %d", issued, jump, want)
				}
				if reloads > 3 {
					t.Errorf("%d reloads", reloads)
				}
				time.Sleep(day)
				if i, _ := h.count("www"); i != issued {
					t.Errorf("%d more certificates in the day after the jump", i-issued)
				}
			})
		})
	}
}

func TestAliveIsCalledByTheLap(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		a := h.agent(configOf("www"))
		a.parts.Turn = 20 * time.Second
		var mu sync.Mutex
		var last time.Time
		longest := time.Duration(0)
		line := ""
		a.parts.Alive = func(status func() string) {
			mu.Lock()
			defer mu.Unlock()
			if !last.IsZero() {
				longest = max(longest, time.Since(last))
			}
			last, line = time.Now(), status()
		}
		defer started(t, a)()
		time.Sleep(day)
		mu.Lock()
		if longest > 20*time.Second {
			t.Errorf("%s between two turns", longest)
		}
		if want := "1 certificates, 1 served, health ok; next: issue www at "; len(line) < len(want) || line[:len(want)] != want {
			t.Errorf("status line %q", line)
		}
		mu.Unlock()
	})
}

func TestSettleDoesWhatIsDueAndReturns(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a := h.agent(configOf("one", "two", "three"))
		a.Settle(t.Context(), "one", "two")
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %s", took)
		}
		for n, want := range map[string]int{"one": 1, "two": 1, "three": 0} {
			if issued, _ := h.count(n); issued != want {
				t.Errorf("%s: %d certificates, want %d", n, issued, want)
			}
		}
	})
}
