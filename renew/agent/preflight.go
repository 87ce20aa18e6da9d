package agent

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Checker looks for what would stop a renewal of c; what the CA said at most age
// ago is good enough. An [Issuer] that is one too is asked daily.
type Checker interface {
	Check(ctx context.Context, c renew.Cert, f renew.Facts, age time.Duration) []renew.Obstacle
}

// PreflightReport is what the last preflight of a certificate found. At is zero
// where none was made yet.
type PreflightReport struct {
	At        time.Time        `json:"at"`
	Obstacles []renew.Obstacle `json:"obstacles"`
}

// checkup is what one preflight found. It goes on beside the steps: names may not
// answer in time.
type checkup struct {
	cert  renew.Cert // as it was looked at
	began time.Time
	found []renew.Obstacle
	ended bool // the agent is stopping: it found nothing
	asked bool // for an operator, not for the schedule
}

// How many preflights go on at once, and how old the CA's word may be: for the
// schedule a part of its interval, so that many certificates ask for it once.
const (
	mostChecks   = 16
	agePortion   = 23 // an hour of the daily one
	operatorsAge = 5 * time.Second
)

// check has e looked at, now or as soon as there is a place. The steps of e go
// on meanwhile. a.mu is held.
func (a *Agent) check(ctx context.Context, e *entry) {
	a.checks.add(e)
	a.startChecks(ctx)
}

// startChecks fills the places. a.mu is held.
func (a *Agent) startChecks(ctx context.Context) {
	for e := a.begin(ctx, &a.checks); e != nil; e = a.begin(ctx, &a.checks) {
		c := checkup{cert: e.cert, began: a.now()}
		f, checker := e.facts, a.checker()
		a.parts.Drive.Start(renew.Preflight, func() {
			c.found = obstacles(ctx, a.parts.Log, checker, c.cert, f, renew.PreflightEvery(&f)/agePortion)
			c.ended = ctx.Err() != nil
		}, func() {
			a.done <- outcome{entry: e, checkup: &c}
		})
	}
}

// checker is the issuer's, nil where it is none. a.mu is held.
func (a *Agent) checker() Checker {
	c, _ := a.issuer.(Checker)
	return c
}

// checked takes in what a preflight found. a.mu is held.
func (a *Agent) checked(ctx context.Context, now time.Time, e *entry, c *checkup) {
	if !c.asked {
		a.checks.end(e)
		defer a.startChecks(ctx)
	}
	if c.ended || e.gone || a.entries[c.cert.Name] != e {
		return
	}
	a.tell(e.facts.Journal.Preflight.Obstacles, c)
	a.checkups[c.cert.Name] = *c
	a.wakeUp(e, now)
}

// tell logs what stands in the way now and did not before.
func (a *Agent) tell(before []renew.Obstacle, c *checkup) {
	log := a.parts.Log.With("cert", c.cert.Name)
	for _, o := range c.found {
		known := slices.ContainsFunc(before, func(b renew.Obstacle) bool {
			return b.Reason == o.Reason && b.Subject == o.Subject && b.Issuer == o.Issuer
		})
		if !known {
			log.Warn("would stop a renewal", "reason", o.Reason, "subject", o.Subject,
				"issuer", o.Issuer, "detail", o.Detail)
		}
	}
	if len(before) > 0 && len(c.found) == 0 {
		log.Info("nothing would stop a renewal any more")
	}
}

// Preflight looks now for what would stop a renewal of name, and keeps what it
// finds as the daily look does. The agent must be running.
func (a *Agent) Preflight(ctx context.Context, name string) (CertReport, error) {
	a.mu.Lock()
	e, ok := a.entries[name]
	if !ok {
		a.mu.Unlock()
		return CertReport{}, ErrUnknown
	}
	c := checkup{cert: e.cert, began: a.now(), asked: true}
	f, checker := e.facts, a.checker()
	a.mu.Unlock()
	c.found = obstacles(ctx, a.parts.Log, checker, c.cert, f, operatorsAge)
	if ctx.Err() != nil {
		return CertReport{}, context.Cause(ctx)
	}
	select {
	case a.done <- outcome{entry: e, checkup: &c}:
	case <-ctx.Done():
		return CertReport{}, context.Cause(ctx)
	}
	f.Journal.Preflight = f.Journal.Preflight.Next(c.began, &c.cert, c.found)
	return Describe(a.now(), c.cert, f), nil
}

// obstacles asks the checker, and keeps a panic to the one certificate.
func obstacles(ctx context.Context, log *slog.Logger, checker Checker, c renew.Cert, f renew.Facts, age time.Duration) (found []renew.Obstacle) {
	if checker == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			log.Error("preflight panicked", "cert", c.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	return checker.Check(ctx, c, f, age)
}

// describePreflight is the last preflight as status shows it.
func describePreflight(now time.Time, c renew.Cert, f renew.Facts) PreflightReport {
	return PreflightReport{At: f.Journal.Preflight.At, Obstacles: append([]renew.Obstacle{}, renew.Obstacles(now, &c, &f)...)}
}
