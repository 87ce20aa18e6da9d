package issue

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// How often a request is signed again with a fresh nonce. CAs that reject nine
// nonces out of ten are got along with; one that rejects them all is not.
const (
	maxNonceTries = 64
	quickTries    = 4
	maxNoncePause = 50 * time.Millisecond
)

// hiccups are the waits before a request is repeated that met a server error or
// a cut connection. More than that is for the schedule.
var hiccups = []time.Duration{200 * time.Millisecond, time.Second}

// A CA that asks for no more time than this is waited for on the spot, a few
// times: to give the order up, and the challenge that the CA is just looking at
// with it, would cost the CA more.
const (
	shortHold  = 5 * time.Second
	shortHolds = 3
)

// call makes one call of lego's, each try of it with a nonce at hand.
func call[T any](j *job, f func() (T, error)) (T, error) {
	return retry(j.ctx, func() (T, error) {
		if err := j.reserve(); err != nil {
			var zero T
			return zero, err
		}
		return f()
	})
}

// retry does f. It does it again where the nonce was bad (RFC 8555, section 6.5:
// at once, with the nonce that came with the rejection), where a kept connection
// turned out to be dead, a little later where the CA stumbled, and when the CA
// says where that is soon. Each try is
// signed anew, and every request of ACME may be repeated: what a lost answer
// left behind is found by reading the order.
func retry[T any](ctx context.Context, f func() (T, error)) (T, error) {
	var zero T
	wait := 10 * time.Millisecond
	revived, stumbled, held := false, 0, 0
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return zero, context.Cause(ctx)
		}
		got, err := f()
		if err == nil {
			return got, nil
		}
		err = unwrapURL(err)
		p, answered := errors.AsType[*problem](err)
		_, dead := errors.AsType[*staleConn](err)
		pause := time.Duration(0)
		switch {
		case dead && !revived:
			revived = true
		case answered && p.is(badNonce) && try < maxNonceTries:
			if try > quickTries {
				pause, wait = wait, min(2*wait, maxNoncePause)
			}
		case answered && p.short(time.Now()) && held < shortHolds:
			pause = time.Until(p.RetryAt)
			held++
		case passing(err) && stumbled < len(hiccups):
			pause = hiccups[stumbled]
			stumbled++
		default:
			return got, err
		}
		if err := sleep(ctx, pause); err != nil {
			return zero, err
		}
	}
}

// short tells whether the CA asks for a time that is over soon.
func (p *problem) short(now time.Time) bool {
	return p.Limited && p.Named && p.RetryAt.Sub(now) <= shortHold
}

// passing tells whether an error is likely gone in a second. One that took a
// whole timeout to show is not.
func passing(err error) bool {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Status >= 500 && !p.Limited
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok || canceled(err) {
		return false
	}
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return false
	}
	_, wire := errors.AsType[*wireError](err)
	_, dead := errors.AsType[*staleConn](err)
	return wire || dead
}

// sleep waits for d, or for the end of ctx, whose cause it returns.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
