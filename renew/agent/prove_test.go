package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/probe"
)

// slow is a prober to whom each endpoint takes a second, the first ones longest,
// and who notes how many it asks at once.
type slow struct {
	*host
	breaks string // the address at which it panics

	mu      sync.Mutex
	asking  map[string]int
	most    int
	doubled bool // one address was asked twice at once
}

func (s *slow) Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof {
	s.mu.Lock()
	s.asking[e.Address]++
	s.doubled = s.doubled || s.asking[e.Address] > 1
	n := 0
	for _, asking := range s.asking {
		n += asking
	}
	s.most = max(s.most, n)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.asking[e.Address]--
		s.mu.Unlock()
	}()
	if e.Address == s.breaks {
		panic("a defect")
	}
	if time.Sleep(time.Second); strings.HasSuffix(e.Address, ":0") {
		time.Sleep(time.Second / 2)
	}
	return s.host.Prove(ctx, e, names, version, want, patience)
}

func (s *slow) agent(cfg *config.Config) *Agent {
	s.asking = map[string]int{}
	return New(Parts{Store: s.host, Prober: s, Runner: s.host, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, cfg, s.host)
}

// at gives the certificate www n endpoints.
func at(n int) *config.Config {
	cfg := configOf("www")
	cfg.Certs[0].Endpoints = nil
	for i := range n {
		cfg.Certs[0].Endpoints = append(cfg.Certs[0].Endpoints, renew.Endpoint{Address: fmt.Sprintf("www:%d", i), Protocol: "tls"})
	}
	return cfg
}

func TestEndpointsAreProvedAtTheSameTimeAndToldInTheirOrder(t *testing.T) {
	s := &slow{host: newHost(90 * day)}
	cfg := at(8)
	synctest.Test(t, func(t *testing.T) {
		a := s.agent(cfg)
		defer started(t, a)()
		time.Sleep(1600 * time.Millisecond)
		r := report(t, a, "www")
		if r.Stage != renew.Served || s.most != 8 {
			t.Errorf("after 1.6 s, %d at once: %s", s.most, r.Stage)
		}
		var addresses []string
		for _, e := range r.Endpoints {
			addresses = append(addresses, e.Address)
		}
		if !slices.IsSorted(addresses) || len(addresses) != 8 {
			t.Errorf("in the order %q", addresses)
		}
	})
}

func TestNoMoreThanSoManyAddressesAreAskedAtOnce(t *testing.T) {
	s := &slow{host: newHost(90 * day)}
	synctest.Test(t, func(t *testing.T) {
		a := s.agent(at(3 * mostAddresses))
		defer started(t, a)()
		time.Sleep(10 * time.Second)
		if r := report(t, a, "www"); r.Stage != renew.Served || s.most != mostAddresses {
			t.Errorf("%d at once: %s", s.most, r.Stage)
		}
	})
}

func TestEndpointsAtOneAddressAreAskedOneAfterTheOther(t *testing.T) {
	s := &slow{host: newHost(90 * day)}
	cfg := at(2)
	again := cfg.Certs[0].Endpoints[0]
	again.NoSNI = true
	cfg.Certs[0].Endpoints = append(cfg.Certs[0].Endpoints, again)
	synctest.Test(t, func(t *testing.T) {
		a := s.agent(cfg)
		defer started(t, a)()
		time.Sleep(10 * time.Second)
		if r := report(t, a, "www"); r.Stage != renew.Served || s.most != 2 || s.doubled {
			t.Errorf("%d at once, one address twice: %v: %s", s.most, s.doubled, r.Stage)
		}
	})
}

func TestAPanicAtOneOfSeveralEndpointsIsTheTroubleOfItsCertificate(t *testing.T) {
	s := &slow{host: newHost(90 * day), breaks: "www:1"}
	synctest.Test(t, func(t *testing.T) {
		a := s.agent(at(3))
		defer started(t, a)()
		time.Sleep(10 * time.Second)
		if r := report(t, a, "www"); r.Failure == nil || !strings.Contains(r.Failure.Message, "a defect") {
			t.Errorf("%+v", r)
		}
	})
}

// large is a host whose server needs a while for its many sites: to test them, and
// to begin with what it has loaded.
type large struct {
	patient
	test, begin time.Duration
}

func (l large) Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	l.set(func() { l.lies = true })
	res, err := l.patient.Run(ctx, h, e, spacing)
	res.Test = l.test
	time.AfterFunc(l.begin, func() {
		l.set(func() { l.serving[e.Cert] = l.live[e.Cert] })
	})
	return res, err
}

// TestAProofWaitsForALargeServer: five times as long as that took to test its
// configuration, where it has so many sites that ten seconds are not enough.
func TestAProofWaitsForALargeServer(t *testing.T) {
	for _, tt := range []struct {
		test, begin time.Duration
		failed      bool
	}{
		{test: 6 * time.Second, begin: 25 * time.Second},
		{test: time.Second, begin: 25 * time.Second, failed: true},
		{test: time.Minute, begin: 55 * time.Second, failed: true}, // the step has a deadline
	} {
		synctest.Test(t, func(t *testing.T) {
			l := large{patient{newHost(90 * day)}, tt.test, tt.begin}
			a := New(Parts{Store: l, Prober: l, Runner: l, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, configOf("www"), l.host)
			defer started(t, a)()
			failed := false
			for range 100 {
				time.Sleep(time.Second)
				r := report(t, a, "www")
				if failed = failed || r.Failure != nil; r.Stage == renew.Served {
					break
				}
			}
			if failed != tt.failed {
				t.Errorf("a test of %s, and new after %s: a failure is told of: %v", tt.test, tt.begin, failed)
			}
			if r := report(t, a, "www"); r.Stage != renew.Served {
				t.Errorf("a test of %s, and new after %s: %s", tt.test, tt.begin, r.Stage)
			}
		})
	}
}

// hurried notes how long each endpoint may take.
type hurried struct {
	large
	given map[string]time.Duration
	spare time.Duration // the least that a proof had beyond its patience
}

func (h *hurried) Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof {
	until, _ := ctx.Deadline()
	h.set(func() {
		h.given[e.Address] = patience
		h.spare = min(h.spare, time.Until(until)-patience)
	})
	return h.large.Prove(ctx, e, names, version, want, 0)
}

func (h *hurried) Run(ctx context.Context, hook hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	res, err := h.host.Run(ctx, hook, e, spacing)
	if hook.Name == "nginx" {
		res.Test = h.test
	}
	return res, err
}

// TestASlowTestIsTheAffairOfItsOwnEndpoints: a mail server that is not reloaded is
// told of as soon as ever, however long nginx takes to test its sites.
func TestASlowTestIsTheAffairOfItsOwnEndpoints(t *testing.T) {
	for test, want := range map[time.Duration]time.Duration{
		6 * time.Second: 30 * time.Second, time.Second: reloadPatience, time.Hour: longestPatience,
		math.MaxInt64: longestPatience, math.MaxInt64/5 + 1: longestPatience, -time.Minute: reloadPatience, math.MinInt64/5 - 1: reloadPatience, // no journal of ours
	} {
		cfg := configOf("www")
		cfg.Hooks["mail"] = hooks.Hook{Name: "mail", Timeout: time.Second, Reload: hooks.Reload{Unit: "postfix.service"}}
		c := &cfg.Certs[0]
		c.Hooks = []string{"nginx", "mail"}
		c.Endpoints = []renew.Endpoint{{Address: "www", Hooks: []string{"nginx"}}, {Address: "www:25", Hooks: []string{"mail"}}, {Address: "www:8443"}}
		synctest.Test(t, func(t *testing.T) {
			h := &hurried{large{patient: patient{newHost(90 * day)}, test: test}, map[string]time.Duration{}, time.Hour}
			a := New(Parts{Store: h, Prober: h, Runner: h, Log: slog.New(slog.DiscardHandler)}, cfg, h.host)
			defer started(t, a)()
			time.Sleep(10 * time.Second)
			h.set(func() {
				if h.spare < 50*time.Second {
					t.Errorf("a test of %s: a proof has %s beyond its patience", test, h.spare)
				}
				if h.given["www"] != want || h.given["www:25"] != reloadPatience || h.given["www:8443"] != want {
					t.Errorf("a test of %s: %v, want %s but for the mail server", test, h.given, want)
				}
			})
		})
	}
}
