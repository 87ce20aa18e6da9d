package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Drive is what moves the laps: the clock, the dice, the goroutines and the
// core's judgement. A field left nil is the real thing. A simulator puts its own
// in their place, and so runs years of the same code in one goroutine.
type Drive struct {
	// Now reads the clock.
	Now func() time.Time
	// Rand draws from [0, 1) for one certificate: where in the CA's window it is
	// renewed, and how a wait is spread.
	Rand func(cert string) float64
	// Start runs work, a look or a step, and then done, once: in a goroutine of
	// their own or before it returns. Neither takes the agent's lock.
	Start func(do renew.Do, work, done func())
	// Within bounds the time that a step may take; context.WithTimeout is the real one.
	Within func(context.Context, time.Duration) (context.Context, context.CancelFunc)
	// Decide and Health are renew.Decide and renew.Health.
	Decide func(now time.Time, c *renew.Cert, f *renew.Facts) renew.Step
	Health func(now time.Time, c *renew.Cert, f *renew.Facts) renew.Verdict
}

func (d Drive) orReal() Drive {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Rand == nil {
		d.Rand = func(string) float64 { return rand.Float64() }
	}
	if d.Start == nil {
		d.Start = func(_ renew.Do, work, done func()) {
			go func() { work(); done() }()
		}
	}
	if d.Within == nil {
		d.Within = context.WithTimeout
	}
	if d.Decide == nil {
		d.Decide = renew.Decide
	}
	if d.Health == nil {
		d.Health = renew.Health
	}
	return d
}

// Jitter makes of a number from [0, 1) a factor between 0.8 and 1.2 for a wait, so
// that certificates that failed together are not retried together.
func Jitter(drawn float64) float64 { return 0.8 + 0.4*drawn }

// Lap takes in what has ended and starts what is due, until nothing more is due
// at once, and returns when the next is. It is the loop's body without its
// waits, for whoever drives the agent by hand: Drive.Start then runs everything
// in the caller's goroutine.
func (a *Agent) Lap(ctx context.Context) (next time.Time) {
	for {
		switch {
		case len(a.done) > 0:
			a.finish(ctx, <-a.done)
			continue
		case len(a.wake) > 0:
			<-a.wake
			a.all(a.now())
			continue
		case len(a.poke) > 0:
			<-a.poke
			continue
		}
		now := a.now()
		next = a.turn(ctx, now)
		if len(a.done) == 0 && next.After(now) {
			return next
		}
	}
}
