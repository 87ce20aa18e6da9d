package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// broken lists the promises to www that were not kept, as somebody reads them
// from the state directory.
func broken(t *testing.T, h *host, began time.Time) []renew.Promise {
	t.Helper()
	cfg, now := configOf("www"), time.Now()
	f, err := Gather(now, h, cfg, cfg.Certs[0])
	if err != nil {
		t.Fatal(err)
	}
	var late []renew.Promise
	for _, p := range renew.Promises(now, &cfg.Certs[0], &f, Busy(cfg, cfg.Certs[0], f)) {
		if p.Overdue(now, began) {
			late = append(late, p)
		}
	}
	return late
}

// Whatever goes wrong outside, an agent whose lap goes round keeps what it
// promised; once it stops, that shows.
func TestALivingAgentKeepsItsPromisesAndADeadOneDoesNot(t *testing.T) {
	failing := func(context.Context, hooks.Event) error { return errors.New("exit status 1") }
	slow := func(ctx context.Context, _ hooks.Event) error { return silence(ctx) }
	for name, fault := range map[string]func(*host){
		"all is well":          func(*host) {},
		"the CA is down":       func(h *host) { h.issue = func(context.Context, renew.Cert) error { return errDown } },
		"the CA never answers": func(h *host) { h.issue = func(ctx context.Context, _ renew.Cert) error { return silence(ctx) } },
		"the reload lies":      func(h *host) { h.lies = true },
		"the hook fails":       func(h *host) { h.hook = failing },
		"the hook hangs":       func(h *host) { h.hook = slow },
		"the CA throttles us":  func(h *host) { h.issue = func(context.Context, renew.Cert) error { return throttled() } },
		"the CA moves its mind": func(h *host) {
			h.advise = func(a *renew.Advice) { a.Start, a.End = time.Now(), time.Now().Add(30*day) }
		},
		"the CA asks for a poll": func(h *host) { h.advise = func(a *renew.Advice) { a.PollAt = time.Now().Add(time.Minute) } },
	} {
		for _, life := range []time.Duration{time.Hour, 90 * day} {
			t.Run(name+" "+life.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := newHost(life)
					a := h.agent(configOf("www"))
					began := time.Now()
					stop := started(t, a)
					running := true
					defer func() {
						if running {
							stop()
						}
					}()
					look := func(times int, every time.Duration) {
						for range times {
							time.Sleep(every)
							if late := broken(t, h, began); len(late) > 0 {
								t.Fatalf("%s after the start: %+v", time.Since(began), late)
							}
						}
					}
					// To shortly before the renewal in peace, then two days with the fault.
					facts := factsOf(life)
					look(97, (life-renew.Slack(&configOf("www").Certs[0], &facts))/100)
					h.set(func() { fault(h) })
					look(200, min(life/101, 15*time.Minute))
					stop()
					running = false
					time.Sleep(life)
					if late := broken(t, h, began); len(late) == 0 {
						t.Error("nothing is overdue a lifetime after the agent stopped")
					}
				})
			})
		}
	}
}

// silence takes as long as the step may take.
func silence(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// factsOf holds a certificate of that lifetime.
func factsOf(life time.Duration) renew.Facts {
	return renew.Facts{Held: renew.Version{N: 1, NotAfter: time.Time{}.Add(life)}}
}

// throttled is what a CA says that wants to be left alone for a while.
func throttled() error {
	return &renew.Failure{Op: "ordering", Class: renew.Limited, RetryAt: time.Now().Add(20 * time.Minute), Err: errors.New("rateLimited")}
}

// It is one certificate that hangs, and the agent goes on with the others.
func TestOneThatNoLapReachesIsOverdue(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		stop := started(t, h.agent(configOf("www", "hangs")))
		time.Sleep(day)
		release := make(chan struct{})
		h.set(func() {
			h.read = func(name string) {
				if name == "www" {
					<-release // a file system that does not answer
				}
			}
		})
		time.Sleep(day)
		h.set(func() { h.read = func(string) {} })
		if late := broken(t, h, began); len(late) == 0 || late[0].Do != renew.Verify {
			t.Errorf("overdue after a day: %+v, want the proof", late)
		}
		close(release)
		stop()
	})
}
