package agent

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/discover"
)

// scout finds what it is told to.
type scout struct {
	mu     sync.Mutex
	places []renew.Place
	block  bool // until its time is over
	blind  string
	count  int
}

func (s *scout) Search(ctx context.Context, q discover.Query) renew.Search {
	s.mu.Lock()
	s.count++
	found := renew.Search{Places: append([]renew.Place(nil), s.places...)}
	if s.blind != "" {
		found.Blind = []string{s.blind}
	}
	block := s.block
	s.mu.Unlock()
	if block {
		<-ctx.Done()
		return renew.Search{Cut: true}
	}
	for i := range found.Places {
		p := &found.Places[i]
		if p.Older { // the version that p.Fingerprint names
			p.NotAfter = q.Held.NotBefore.Add(5 * day)
			continue
		}
		p.Fingerprint, p.NotAfter = q.Held.Fingerprint, q.Held.NotAfter
	}
	return found
}

func (s *scout) counted() int { s.mu.Lock(); defer s.mu.Unlock(); return s.count }

func (s *scout) set(change func()) { s.mu.Lock(); defer s.mu.Unlock(); change() }

// scouting runs an agent in a bubble of virtual time, with endpoint "auto".
func scouting(t *testing.T, body func(t *testing.T, a *Agent, h *host, s *scout, log *strings.Builder)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h, s := newHost(90*day), &scout{}
		cfg := configOf("www")
		cfg.Certs[0].Auto, cfg.Certs[0].Endpoints = true, nil
		var log strings.Builder // read after the bubble's goroutines rest
		logger := slog.New(slog.NewTextHandler(&log, nil))
		a := New(Parts{Store: h, Prober: h, Runner: h, Scout: s, Log: logger}, cfg, h)
		s.places = []renew.Place{{Address: "www:443", Name: cfg.Certs[0].Names[0], Protocol: "tls", Process: "nginx, pid 7"}}
		defer started(t, a)()
		body(t, a, h, s, &log)
	})
}

func TestFoundEndpointsAreProvedAndForgottenWhenTheyAreGone(t *testing.T) {
	scouting(t, func(t *testing.T, a *Agent, h *host, s *scout, log *strings.Builder) {
		time.Sleep(5 * time.Minute)
		r := report(t, a, "www")
		if r.Stage != renew.Served || r.Health != renew.OK || len(r.Endpoints) != 1 || !r.Endpoints[0].Auto || r.Endpoints[0].Process != "nginx, pid 7" {
			t.Fatalf("%s %s %s, %+v", r.Stage, r.Health, r.Reason, r.Endpoints)
		}
		before := s.counted()
		time.Sleep(day)
		if n := s.counted() - before; n < 23 || n > 25 {
			t.Errorf("%d searches in a day, want one an hour", n)
		}
		plan := a.Plan(time.Now(), time.Now().Add(day))
		var steps []string
		for _, p := range plan {
			steps = append(steps, string(p.Do)+" "+strings.Join(p.Endpoints, ","))
		}
		if text := strings.Join(steps, "; "); !strings.Contains(text, "verify www:443 (auto)") || !strings.Contains(text, "discover") {
			t.Errorf("the plan has %s", text)
		}
		s.set(func() { s.places = nil })
		time.Sleep(2*day + time.Hour)
		synctest.Wait()
		if r := report(t, a, "www"); len(r.Endpoints) != 0 || r.Reason != renew.NobodyProves {
			t.Errorf("%s, %+v", r.Reason, r.Endpoints)
		}
		if n := strings.Count(log.String(), "endpoint is gone"); n != 1 {
			t.Errorf("told %d times that it is gone", n)
		}
	})
}

func TestACopyIsToldAndHealed(t *testing.T) {
	scouting(t, func(t *testing.T, a *Agent, h *host, s *scout, log *strings.Builder) {
		time.Sleep(5 * time.Minute)
		name := report(t, a, "www").Names[0]
		copied := renew.Place{Address: "www:8443", Name: name, Protocol: "tls", Process: "openssl, pid 8", Fingerprint: "00", Older: true}
		s.set(func() { s.places, s.blind = append(s.places, copied), "nginx: permission denied" })
		time.Sleep(time.Hour)
		r := report(t, a, "www")
		if r.Health != renew.Critical || r.Reason != renew.IsStaleCopy || len(r.Copies) != 1 || r.Copies[0].Process != "openssl, pid 8" {
			t.Fatalf("%s %s, %+v", r.Health, r.Reason, r.Copies)
		}
		if r.Stage != renew.Served || len(r.Endpoints) != 1 {
			t.Errorf("a copy is no endpoint: %s, %+v", r.Stage, r.Endpoints)
		}
		s.set(func() { s.places[1].Older = false })
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if r := report(t, a, "www"); r.Health != renew.OK || len(r.Copies) != 0 || len(r.Endpoints) != 2 {
			t.Errorf("%s %s, %+v, %+v", r.Health, r.Reason, r.Copies, r.Endpoints)
		}
		for _, want := range []string{"stale copy found", "stale copy is gone", "not all servers can be looked at"} {
			if n := strings.Count(log.String(), want); n != 1 {
				t.Errorf("%q was logged %d times", want, n)
			}
		}
		_ = h
	})
}

func TestASearchThatHangsDelaysNothing(t *testing.T) {
	scouting(t, func(t *testing.T, a *Agent, h *host, s *scout, _ *strings.Builder) {
		s.set(func() { s.block = true })
		time.Sleep(65 * day)
		if issued, _ := h.count("www"); issued != 2 {
			t.Errorf("%d certificates in 65 days, want two", issued)
		}
	})
}

func TestARestartSearchesAgainAndKnowsWhatWasFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, s := newHost(90*day), &scout{}
		cfg := configOf("www")
		cfg.Certs[0].Auto, cfg.Certs[0].Endpoints = true, nil
		s.places = []renew.Place{{Address: "www:443", Name: cfg.Certs[0].Names[0], Protocol: "tls"}}
		parts := Parts{Store: h, Prober: h, Runner: h, Scout: s, Log: slog.New(slog.DiscardHandler)}
		stop := started(t, New(parts, cfg, h))
		time.Sleep(5 * time.Minute)
		stop()
		before := s.counted()
		s.set(func() { s.block = true })
		a := New(parts, cfg, h)
		defer started(t, a)()
		time.Sleep(time.Second)
		if r := report(t, a, "www"); len(r.Endpoints) != 1 {
			t.Errorf("endpoints %+v", r.Endpoints)
		}
		if n := s.counted() - before; n != 1 {
			t.Errorf("%d searches at the start", n)
		}
	})
}
