package issue

import (
	"context"
	"errors"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// deadOrder is an order that no certificate can come of.
type deadOrder struct {
	cause error
	tried bool // it died of what this attempt did, so another would too
}

func (e *deadOrder) Error() string { return e.cause.Error() }
func (e *deadOrder) Unwrap() error { return e.cause }

// Bounds of the patience with an order in flight.
const (
	abandonAfter  = 6  // times the order timeout at most
	patienceShare = 24 // of the lifetime: an eighth of its last third
	minPatience   = time.Second
)

// judge tells whether an order that could not be gone on with is to be given up.
// It is where it failed at an age by which a healthy one has long been through:
// CAs lose single orders, authorizations and certificates while all others are
// well, and to ask for the lost one for ever would be to lapse. The age is
// durable, so restarts neither lengthen nor shorten it.
//
// A CA that asked for time, a fault of this host, and a CA that does not answer
// at all say nothing about the order: it is kept.
func (a *attempt) judge(o store.Order, err error) error {
	if _, dead := errors.AsType[*deadOrder](err); err == nil || dead {
		return err
	}
	switch classOf(err) {
	case renew.Limited, renew.Local, renew.Config:
		return err
	}
	ctx := a.job.ctx
	over := ctx.Err() != nil
	if over && !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
		return err // ended from outside
	}
	// A distance: an order from the future was dated by a clock that was ahead.
	if time.Since(o.CreatedAt).Abs() < a.patience(over) {
		return err
	}
	if p, ok := errors.AsType[*problem](err); over || ok && p.is(accountDoesNotExist) {
		return &deadOrder{cause: err, tried: true} // no time for another, or no account
	}
	value, nonceErr := a.s.newNonce(ctx)
	if nonceErr != nil {
		return err // the CA, not the order, is sick
	}
	a.s.nonces.put(value)
	return &deadOrder{cause: err}
}

// patience is how old an order in flight may get. One that the CA is still
// working on gets more where nothing is served yet: some take an hour over the
// first. Certificates of short lifetimes can't wait as long.
func (a *attempt) patience(working bool) time.Duration {
	most := abandonAfter * a.c.timeout
	switch valid := a.held.N > 0 && time.Now().Before(a.held.NotAfter); {
	case valid:
		most = min(most, max(a.held.Lifetime()/patienceShare, minPatience))
	case !working:
		most = a.c.timeout // nothing is served: every minute counts
	}
	return most
}
