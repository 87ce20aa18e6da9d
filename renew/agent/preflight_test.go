package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// suspicious is a CA that is also looked for obstacles at.
type suspicious struct {
	*host
	mu    sync.Mutex
	check func(ctx context.Context, c renew.Cert) []renew.Obstacle
	count int
}

func (s *suspicious) Check(ctx context.Context, c renew.Cert, _ renew.Facts, _ time.Duration) []renew.Obstacle {
	s.mu.Lock()
	s.count++
	check := s.check
	s.mu.Unlock()
	if check == nil {
		return nil
	}
	return check(ctx, c)
}

func (s *suspicious) set(check func(ctx context.Context, c renew.Cert) []renew.Obstacle) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check = check
}

func (s *suspicious) counted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// suspecting runs an agent in a bubble of virtual time, with preflights.
func suspecting(t *testing.T, lifetime time.Duration, names []string, body func(t *testing.T, a *Agent, s *suspicious)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &suspicious{host: newHost(lifetime)}
		a := New(Parts{Store: s, Prober: s, Runner: s, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, configOf(names...), s)
		defer started(t, a)()
		body(t, a, s)
	})
}

var forbidden = renew.Obstacle{Reason: renew.CAAForbids, Subject: "www.example.com", Issuer: "ca", Detail: "another CA", Remedy: "add a record"}

func found(o ...renew.Obstacle) func(context.Context, renew.Cert) []renew.Obstacle {
	return func(context.Context, renew.Cert) []renew.Obstacle { return o }
}

func TestAnObstacleIsToldOfWithinADayAndDroppedWithinAnHour(t *testing.T) {
	suspecting(t, 90*day, []string{"www"}, func(t *testing.T, a *Agent, s *suspicious) {
		time.Sleep(5*day + 7*time.Hour)
		if r := report(t, a, "www"); r.Health != renew.OK || r.Preflight.At.IsZero() || len(r.Preflight.Obstacles) > 0 {
			t.Errorf("nothing is wrong: %s %s, %+v", r.Health, r.Reason, r.Preflight)
		}
		if n := s.counted(); n < 5 || n > 7 {
			t.Errorf("%d looks in five days", n)
		}
		s.set(found(forbidden))
		time.Sleep(day)
		r := report(t, a, "www")
		if r.Health != renew.Attention || r.Reason != renew.CAAForbids || len(r.Preflight.Obstacles) != 1 || r.Preflight.Obstacles[0].Remedy == "" {
			t.Errorf("a day later: %s %s, %+v", r.Health, r.Reason, r.Preflight)
		}
		if j, _ := s.Journal("www"); len(j.Preflight.Obstacles) != 1 || j.Preflight.Obstacles[0].Since.IsZero() {
			t.Errorf("the journal has %+v", j.Preflight)
		}
		s.set(nil)
		time.Sleep(time.Hour + time.Minute)
		if r := report(t, a, "www"); r.Health != renew.OK || len(r.Preflight.Obstacles) > 0 {
			t.Errorf("an hour after it was healed: %s %s, %+v", r.Health, r.Reason, r.Preflight)
		}
	})
}

func TestWhatWasFoundIsKnownAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &suspicious{host: newHost(90 * day), check: found(forbidden)}
		parts := Parts{Store: s, Prober: s, Runner: s, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
		stop := started(t, New(parts, configOf("www"), s))
		time.Sleep(time.Minute)
		stop()
		before := s.counted()
		a := New(parts, configOf("www"), s)
		defer started(t, a)()
		time.Sleep(time.Minute)
		if r := report(t, a, "www"); r.Reason != renew.CAAForbids {
			t.Errorf("%s %s", r.Health, r.Reason)
		}
		if s.counted() != before {
			t.Error("a restart costs a look")
		}
	})
}

func TestAPreflightThatHangsDelaysNothing(t *testing.T) {
	suspecting(t, 90*day, []string{"www"}, func(t *testing.T, a *Agent, s *suspicious) {
		s.set(func(ctx context.Context, _ renew.Cert) []renew.Obstacle {
			<-ctx.Done()
			return []renew.Obstacle{forbidden}
		})
		time.Sleep(200 * day)
		if issued, _ := s.host.count("www"); issued != 4 {
			t.Errorf("%d certificates in 200 days, want the first and three more", issued)
		}
		if r := report(t, a, "www"); r.Stage != renew.Served || r.Health != renew.OK || r.Busy == renew.Preflight {
			t.Errorf("%s, %s %s, busy with %q", r.Stage, r.Health, r.Reason, r.Busy)
		}
		s.set(nil)
	})
}

func TestAPreflightFindingBlocksNoIssue(t *testing.T) {
	suspecting(t, 90*day, []string{"www"}, func(t *testing.T, a *Agent, s *suspicious) {
		s.set(found(forbidden))
		time.Sleep(70 * day)
		if issued, _ := s.host.count("www"); issued != 2 {
			t.Errorf("%d certificates in 70 days, want 2", issued)
		}
		if r := report(t, a, "www"); r.Reason != renew.CAAForbids || r.Version != 2 {
			t.Errorf("version %d, %s", r.Version, r.Reason)
		}
	})
}

func TestAFailedOrderIsFollowedByAPreflight(t *testing.T) {
	suspecting(t, 90*day, []string{"www"}, func(t *testing.T, a *Agent, s *suspicious) {
		time.Sleep(59*day + time.Hour)
		s.host.set(func() { s.issue = func(context.Context, renew.Cert) error { return errDown } })
		s.set(found(forbidden))
		for len(s.journalled("www").Issuers) == 0 {
			time.Sleep(time.Minute)
		}
		time.Sleep(11 * time.Minute)
		if r := report(t, a, "www"); len(r.Preflight.Obstacles) != 1 {
			t.Errorf("it does not say why: %+v", r.Preflight)
		}
	})
}

func (s *suspicious) journalled(name string) renew.Journal {
	j, _ := s.Journal(name)
	return j
}

func TestPreflightsAreBoundedInNumber(t *testing.T) {
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("site%02d", i))
	}
	suspecting(t, 90*day, names, func(t *testing.T, a *Agent, s *suspicious) {
		var mu sync.Mutex
		running, most := 0, 0
		s.set(func(context.Context, renew.Cert) []renew.Obstacle {
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			running--
			mu.Unlock()
			return nil
		})
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if most != mostChecks {
			t.Errorf("%d at once, want %d", most, mostChecks)
		}
		if n := s.counted(); n != len(names) {
			t.Errorf("%d looks at %d certificates", n, len(names))
		}
		for _, n := range names {
			if report(t, a, n).Preflight.At.IsZero() {
				t.Errorf("%s was not looked at", n)
			}
		}
	})
}

func TestAPreflightThatPanicsIsNobodysTrouble(t *testing.T) {
	suspecting(t, 90*day, []string{"www", "api"}, func(t *testing.T, a *Agent, s *suspicious) {
		s.set(func(_ context.Context, c renew.Cert) []renew.Obstacle {
			if c.Name == "api" {
				panic("a defect")
			}
			return []renew.Obstacle{forbidden}
		})
		time.Sleep(2 * day)
		if r := report(t, a, "www"); r.Reason != renew.CAAForbids {
			t.Errorf("www: %s", r.Reason)
		}
		if r := report(t, a, "api"); r.Health != renew.OK || r.Stage != renew.Served {
			t.Errorf("api: %s, %s %s", r.Stage, r.Health, r.Reason)
		}
	})
}

func TestAnOperatorsPreflightIsKept(t *testing.T) {
	suspecting(t, 90*day, []string{"www"}, func(t *testing.T, a *Agent, s *suspicious) {
		time.Sleep(time.Hour)
		s.set(found(forbidden))
		r, err := a.Preflight(t.Context(), "www")
		if err != nil || r.Reason != renew.CAAForbids || len(r.Preflight.Obstacles) != 1 {
			t.Errorf("%+v, %v", r, err)
		}
		synctest.Wait()
		if r := report(t, a, "www"); r.Reason != renew.CAAForbids {
			t.Errorf("status does not know it: %s", r.Reason)
		}
		if _, err := a.Preflight(t.Context(), "nobody"); err != ErrUnknown {
			t.Errorf("a certificate that is not there: %v", err)
		}
	})
}

func TestAFullDiskLosesNoFinding(t *testing.T) {
	suspecting(t, 90*day, []string{"www"}, func(t *testing.T, a *Agent, s *suspicious) {
		time.Sleep(time.Hour)
		s.host.set(func() { s.full = errDown })
		s.set(found(renew.Obstacle{Reason: renew.DiskFull, Subject: "/var/lib/certvigil", Detail: "0 KiB are free"}))
		time.Sleep(day)
		r := report(t, a, "www")
		if len(r.Preflight.Obstacles) != 1 {
			t.Errorf("with a full disk: %+v", r.Preflight)
		}
		if n := s.counted(); n > 40 {
			t.Errorf("%d looks in a day", n)
		}
	})
}
