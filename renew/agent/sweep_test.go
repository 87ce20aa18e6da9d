package agent

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// looker counts the looks of an agent that has nothing to do, on a clock of its own.
type looker struct {
	agent *Agent
	now   time.Time
	looks []string
}

func newLooker(t *testing.T, certs int) *looker {
	l := &looker{now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	var names []string
	for i := range certs {
		names = append(names, fmt.Sprintf("c%03d", i))
	}
	h := newHost(90 * 24 * time.Hour)
	l.agent = New(Parts{
		Store: h, Prober: h, Runner: h, Log: slog.New(slog.DiscardHandler),
		Drive: Drive{
			Now:   func() time.Time { return l.now },
			Start: func(_ renew.Do, work, done func()) { work(); done() },
			Decide: func(now time.Time, c *renew.Cert, _ *renew.Facts) renew.Step {
				l.looks = append(l.looks, c.Name)
				return renew.Step{Do: renew.Wait, At: now.Add(24 * time.Hour)}
			},
		},
	}, configOf(names...), h)
	l.lap(t)
	if len(l.looks) != certs {
		t.Fatalf("%d looks at the start, want one at each of %d", len(l.looks), certs)
	}
	return l
}

// lap returns after how long the agent wants to be called again.
func (l *looker) lap(t *testing.T) time.Duration { return l.agent.Lap(t.Context()).Sub(l.now) }

// A thousand certificates that are renewed together change files without a pause, and
// every change wakes the agent. Most of its time may not go into looking at all of them.
func TestEverythingIsLookedAtOnceForManyChanges(t *testing.T) {
	l := newLooker(t, 100)
	l.now = l.now.Add(time.Minute)
	l.looks = nil
	l.agent.Wake()
	l.lap(t)
	if len(l.looks) != 100 {
		t.Fatalf("the first wake: %d looks, want 100 at once", len(l.looks))
	}
	var next time.Duration
	for range 10 {
		l.now = l.now.Add(10 * time.Millisecond)
		l.agent.Wake()
		next = l.lap(t)
	}
	if len(l.looks) != 100 || next != 400*time.Millisecond {
		t.Errorf("ten more within 100 ms: %d looks, next after %s; want none before half a second has passed", len(l.looks)-100, next)
	}
	l.now = l.now.Add(next)
	if l.lap(t); len(l.looks) != 200 {
		t.Errorf("half a second after: %d looks, want 100: none of the wakes may be lost", len(l.looks)-100)
	}
	l.now = l.now.Add(-time.Hour)
	l.agent.Wake()
	if l.lap(t); len(l.looks) < 300 {
		t.Errorf("the clock was set back by an hour, and the wake waits for it: %d looks", len(l.looks)-200)
	}
}

func TestAnOperatorsWordIsALookAtHisCertificateAlone(t *testing.T) {
	l := newLooker(t, 100)
	l.now = l.now.Add(time.Minute)
	l.looks = nil
	if err := l.agent.Request("c042", true); err != nil {
		t.Fatal(err)
	}
	if l.lap(t); len(l.looks) != 1 || l.looks[0] != "c042" {
		t.Errorf("looks at %v, want one at c042", l.looks)
	}
}

// TestAWordThatComesDuringALookIsHeardThoughItsStepHasNoPlace: a CA that answers
// nobody has all of its places taken for minutes.
func TestAWordThatComesDuringALookIsHeardThoughItsStepHasNoPlace(t *testing.T) {
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var names []string
	for i := range limit(renew.Issue) + 1 {
		names = append(names, fmt.Sprintf("c%03d", i))
	}
	h := newHost(90 * 24 * time.Hour)
	var during func()
	a := New(Parts{
		Store: h, Prober: h, Runner: h, Log: slog.New(slog.DiscardHandler),
		Drive: Drive{
			Now: func() time.Time { return now },
			Start: func(do renew.Do, work, done func()) {
				if do != look {
					return // it hangs
				}
				work()
				if during != nil {
					during()
				}
				done()
			},
			Decide: func(now time.Time, _ *renew.Cert, _ *renew.Facts) renew.Step {
				return renew.Step{Do: renew.Issue, At: now}
			},
		},
	}, configOf(names...), h)
	a.Lap(t.Context())
	parked := a.lane(renew.Issue, a.config.Certs[0].Issuers[0].Directory).parked
	if len(parked) != 1 {
		t.Fatalf("%d wait for a place, want one", len(parked))
	}
	name := parked[0].cert.Name
	looks := 0
	during = func() {
		if looks++; looks == 1 { // what Request does under the agent's lock, which is held here
			a.requests[name] = renew.Request{At: now, Force: true}
			a.wakeUp(a.entries[name], now)
		}
	}
	now = now.Add(time.Minute)
	a.Wake()
	a.Lap(t.Context())
	if j, _ := h.Journal(name); !j.Request.Force || looks != 2 {
		t.Errorf("after %d looks the journal says %+v", looks, j.Request)
	}
}
