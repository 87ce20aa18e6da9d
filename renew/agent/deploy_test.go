package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// run is one run of a hook.
type run struct {
	hook  string
	event hooks.Event
	at    time.Time
}

// notes is a Runner that writes down what it is asked for. Only the hook called
// nginx makes the server load anything.
type notes struct {
	*host
	fails map[string]error

	mu   sync.Mutex
	runs []run
}

func (n *notes) Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.runs = append(n.runs, run{h.Name, e, time.Now()})
	if err := n.fails[h.Name]; err != nil || h.Name != "nginx" {
		return hooks.Result{Reload: time.Millisecond}, err
	}
	return n.host.Run(ctx, h, e, spacing)
}

// of lists when a hook ran.
func (n *notes) of(hook string) (at []time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.runs {
		if r.hook == hook {
			at = append(at, r.at)
		}
	}
	return at
}

func (n *notes) agent(cfg *config.Config) *Agent {
	return New(Parts{Store: n.host, Prober: n.host, Runner: n, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, cfg, n.host)
}

// TestReloadsAtTheWeekend: the hook without a window runs at each renewal.
func TestReloadsAtTheWeekend(t *testing.T) {
	weekend, err := renew.ParseWindow("Sat 02:00-05:00", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for _, life := range []time.Duration{90 * day, 160 * time.Hour, time.Hour} {
		t.Run(life.String(), func(t *testing.T) {
			n := &notes{host: newHost(life)}
			cfg := configOf("www")
			cfg.Hooks["mail"] = hooks.Hook{Name: "mail", Timeout: time.Second, Reload: hooks.Reload{Unit: "postfix.service"}}
			cfg.Certs[0].Hooks = []string{"mail", "nginx"}
			cfg.Certs[0].HookWindows = map[string]renew.Window{"nginx": weekend}
			long := min(200*day, 10*life)
			synctest.Test(t, func(t *testing.T) {
				a := n.agent(cfg)
				defer started(t, a)()
				for end := time.Now().Add(long); time.Now().Before(end); {
					time.Sleep(min(time.Hour, life/10))
					if n.lapsed("www") {
						t.Fatalf("lapsed at %s", time.Now())
					}
					if r := report(t, a, "www"); r.Health != renew.OK {
						t.Fatalf("at %s: %s %+v", time.Now(), r.Health, r.Findings)
					}
				}
				issued, _ := n.count("www")
				if ran := n.of("mail"); len(ran) < issued-1 || len(ran) > issued { // the last may be on its way
					t.Errorf("the hook without a window ran %d times for %d certificates", len(ran), issued)
				}
				ran := n.of("nginx")
				within := 0
				for _, at := range ran {
					if weekend.Next(at).Equal(at) {
						within++
					}
				}
				if len(ran) < issued-1 || len(ran) > issued {
					t.Errorf("the hook with a window ran %d times for %d certificates", len(ran), issued)
				}
				// The first has nothing to wait with, and one of an hour never has.
				if life == 90*day && within < len(ran)-1 {
					t.Errorf("%d of %d runs were in the window: %v", within, len(ran), ran)
				}
			})
		})
	}
}

func TestAHookThatWaitsIsKnownAfterARestartAndRunsAtOnceWhenAsked(t *testing.T) {
	weekend, err := renew.ParseWindow("Sat 02:00-05:00", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	n := &notes{host: newHost(90 * day)}
	cfg := configOf("www")
	cfg.Certs[0].HookWindows = map[string]renew.Window{"nginx": weekend}
	synctest.Test(t, func(t *testing.T) {
		stop := started(t, n.agent(cfg))
		time.Sleep(60*day + time.Hour) // 1 January 2000 was a Saturday: it is Wednesday
		stop()
		a := n.agent(cfg)
		defer started(t, a)()
		time.Sleep(time.Hour)
		r := report(t, a, "www")
		if r.Version != 2 || r.Stage != renew.Installed || r.Next.Do != renew.Deploy || r.Next.Reason != renew.WindowShut ||
			!r.Hooks[0].WaitsUntil.Equal(r.Next.At) || r.Next.At.UTC().Format("Mon 15:04") != "Sat 02:00" {
			t.Errorf("while it waits: %+v", r)
		}
		if len(n.of("nginx")) != 1 {
			t.Errorf("it ran: %v", n.of("nginx"))
		}
		if err := a.Request("www", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if r := report(t, a, "www"); r.Stage != renew.Served || !r.Hooks[0].WaitsUntil.IsZero() || len(n.of("nginx")) != 2 {
			t.Errorf("a minute after the operator asked: %+v, runs %v", r, n.of("nginx"))
		}
	})
}

func TestAHookThatFailsStopsNoOtherAndIsToldWhyItWasRenewed(t *testing.T) {
	n := &notes{host: newHost(90 * day), fails: map[string]error{"mail": errors.New("no")}}
	cfg := configOf("www")
	cfg.Hooks["mail"] = hooks.Hook{Name: "mail", Timeout: time.Second, Reload: hooks.Reload{Unit: "postfix.service"}}
	cfg.Certs[0].Hooks = []string{"mail", "nginx"}
	synctest.Test(t, func(t *testing.T) {
		a := n.agent(cfg)
		defer started(t, a)()
		time.Sleep(10 * time.Second)
		r := report(t, a, "www")
		if len(n.of("nginx")) != 1 || r.Hooks[1].Acknowledged != 1 || r.Hooks[0].Acknowledged != 0 || r.Health != renew.Attention {
			t.Errorf("%+v", r)
		}
		if mail := n.of("mail"); len(mail) < 3 {
			t.Errorf("the one that fails was tried %d times in ten seconds", len(mail))
		}
		if got := n.runs[0]; got.hook != "mail" || got.event.Reason != string(renew.Missing) {
			t.Errorf("the first was told %+v", got)
		}
	})
}

// TestAHookThatAsksForItIsRunAgainSoon, however often it does.
func TestAHookThatAsksForItIsRunAgainSoon(t *testing.T) {
	n := &notes{host: newHost(90 * day), fails: map[string]error{
		"nginx": &hooks.Error{Hook: "nginx", Phase: "reload", ExitCode: 75, Temporary: true, Err: errors.New("exit status 75")},
	}}
	synctest.Test(t, func(t *testing.T) {
		a := n.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(7 * time.Second)
		failing := func() bool {
			return slices.ContainsFunc(report(t, a, "www").Findings, func(f renew.Finding) bool { return f.Reason == renew.HookFailing })
		}
		if failing() {
			t.Error("called failing after the first times")
		}
		time.Sleep(10 * time.Minute)
		ran := n.of("nginx")
		for i, at := range ran[1:] {
			if wait := at.Sub(ran[i]); wait < 4*time.Second || wait > 6*time.Second {
				t.Fatalf("run again after %s", wait)
			}
		}
		if r := report(t, a, "www"); len(ran) < 100 || !failing() || !strings.Contains(r.Hooks[0].LastError, "75") {
			t.Errorf("%d runs, %+v", len(ran), r)
		}
	})
}

func TestTwoHooksThatDoTheSameAreRunOnceInOneStep(t *testing.T) {
	n := &notes{host: newHost(90 * day)}
	cfg := configOf("www")
	cfg.Hooks["nginx"] = hooks.Hook{Name: "nginx", Timeout: time.Second, Reload: hooks.Reload{Unit: "nginx.service"}}
	cfg.Hooks["again"] = hooks.Hook{Name: "again", Timeout: time.Minute, Reload: hooks.Reload{Unit: "nginx.service"}}
	cfg.Hooks["mail"] = hooks.Hook{Name: "mail", Timeout: time.Second, Reload: hooks.Reload{Unit: "postfix.service"}}
	cfg.Certs[0].Hooks = []string{"nginx", "mail", "again"}
	synctest.Test(t, func(t *testing.T) {
		a := n.agent(cfg)
		defer started(t, a)()
		time.Sleep(time.Minute)
		r := report(t, a, "www")
		for _, h := range r.Hooks {
			if h.Acknowledged != 1 {
				t.Errorf("%+v", h)
			}
		}
		if len(n.of("nginx")) != 1 || len(n.of("mail")) != 1 || len(n.of("again")) != 0 || r.Stage != renew.Served {
			t.Errorf("runs: %+v", n.runs)
		}
	})
}
