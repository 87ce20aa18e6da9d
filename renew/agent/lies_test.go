package agent

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/probe"
)

var errHook = errors.New("nginx: [emerg] no")

// patient is a host on which things take time: proofs as long as they may while a
// server shows something else. A hook that is tried again has not run for long, and
// waits for no spacing.
type patient struct{ *host }

func (p patient) Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof {
	until := time.Now().Add(patience)
	for {
		proofs := p.host.Prove(ctx, e, names, version, want, 0)
		if proofs[0].Served || !time.Now().Before(until) || ctx.Err() != nil {
			return proofs
		}
		time.Sleep(time.Second)
	}
}

func (p patient) Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	res, err := p.host.Run(ctx, h, e, spacing)
	time.Sleep(time.Second) // it takes its time to return
	return res, err
}

func (p patient) Record(name string, j renew.Journal) error {
	time.Sleep(time.Millisecond) // so that what follows is told from what came before
	return p.host.Record(name, j)
}

func (p patient) agent(cfg *config.Config) *Agent {
	return New(Parts{Store: p, Prober: p, Runner: p, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, cfg, p.host)
}

// tested is one whose hook has a test that takes a while.
type tested struct {
	patient
	takes time.Duration
}

func (p tested) Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	time.Sleep(p.takes)
	res, err := p.patient.Run(ctx, h, e, spacing)
	res.Test = p.takes
	return res, err
}

// TestALieHealsWithinAMinuteWheneverItsCauseGoes: in the pause between two tries
// as in the middle of one, once the waits are at their longest. A large server is
// waited for, and that much later it heals. docs/deploy.md has the times.
func TestALieHealsWithinAMinuteWheneverItsCauseGoes(t *testing.T) {
	for _, tt := range []struct {
		name string
		test time.Duration
		most time.Duration
		lie  func(h *host, on bool)
	}{
		{"a reload that does nothing", 0, time.Minute, func(h *host, on bool) { h.lies = on }},
		{"a reload that does nothing, after a test of 8 s", 8 * time.Second, 90 * time.Second, func(h *host, on bool) { h.lies = on }},
		{"a hook that fails", 0, time.Minute, func(h *host, on bool) {
			h.hook = func(context.Context, hooks.Event) error {
				if on {
					return errHook
				}
				return nil
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			longest := time.Duration(0)
			for after := 10 * time.Minute; after < 10*time.Minute+tt.most; after += time.Second {
				synctest.Test(t, func(t *testing.T) {
					h := newHost(90 * day)
					tt.lie(h, true)
					p := tested{patient{h}, tt.test}
					a := New(Parts{Store: p, Prober: p, Runner: p, Log: slog.New(slog.DiscardHandler)}, configOf("www"), h)
					defer started(t, a)()
					time.Sleep(after)
					h.set(func() { tt.lie(h, false) })
					began := time.Now()
					for report(t, a, "www").Stage != renew.Served && time.Since(began) < time.Hour {
						time.Sleep(100 * time.Millisecond)
					}
					longest = max(longest, time.Since(began))
				})
			}
			t.Logf("%s at most", longest)
			if longest > tt.most {
				t.Errorf("it heals within %s, want %s at most", longest, tt.most)
			}
		})
	}
}

// TestAHookThatHasNotReturnedIsToldOfBeforeItsTimeout: until then its
// certificate is not served, and nothing has failed yet.
func TestAHookThatHasNotReturnedIsToldOfBeforeItsTimeout(t *testing.T) {
	h := newHost(90 * day)
	h.hook = func(ctx context.Context, _ hooks.Event) error { <-ctx.Done(); return context.Cause(ctx) }
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(15 * time.Second)
		if r := report(t, a, "www"); r.Health != renew.OK {
			t.Errorf("after 15 s, as nginx may take: %s %s", r.Health, r.Reason)
		}
		time.Sleep(14 * time.Second)
		r := report(t, a, "www")
		if r.Health != renew.Attention || r.Reason != renew.HookFailing || !strings.Contains(r.Findings[0].Detail, "nginx has not returned for 2") {
			t.Errorf("after 29 s: %s %s %+v", r.Health, r.Reason, r.Findings)
		}
	})
}

// closer notes which proofs look closely.
type closer struct {
	*host
	looks []bool
}

func (p *closer) Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof {
	p.looks = append(p.looks, want.Closely)
	return p.host.Prove(ctx, e, names, version, want, patience)
}

func TestOnlyTheProofAfterAReloadLooksClosely(t *testing.T) {
	p := &closer{host: newHost(90 * day)}
	synctest.Test(t, func(t *testing.T) {
		a := New(Parts{Store: p.host, Prober: p, Runner: p.host, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, configOf("www"), p.host)
		stop := started(t, a)
		time.Sleep(90 * time.Minute) // and once by the hour
		stop()
	})
	if !slices.Equal(p.looks, []bool{true, false}) {
		t.Errorf("looks closely: %v, want the first of two", p.looks)
	}
}

// TestManyEndpointsThatLieAreToldOfInTime: they share the patience after a reload.
func TestManyEndpointsThatLieAreToldOfInTime(t *testing.T) {
	cfg := configOf("www")
	for _, address := range []string{"b", "c", "d", "e", "f"} {
		cfg.Certs[0].Endpoints = append(cfg.Certs[0].Endpoints, renew.Endpoint{Address: address, Protocol: "tls"})
	}
	h := newHost(90 * day)
	h.lies = true
	synctest.Test(t, func(t *testing.T) {
		a := patient{h}.agent(cfg)
		defer started(t, a)()
		time.Sleep(30 * time.Second)
		if r := report(t, a, "www"); r.Reason != renew.NotServed && r.Reason != renew.ServedExpiring {
			t.Errorf("after 30 s: %s %s", r.Health, r.Reason)
		}
	})
}
