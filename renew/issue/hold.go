package issue

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Certificates below this lifetime are polled and retried in proportion.
const shortLifetime = 10 * 24 * time.Hour

// A server that is busy is not waited for longer than this part of the lifetime
// of what is held.
const busyShare = 8

// onHold refuses to ask a CA that asked for time.
func (a *attempt) onHold() error {
	issuer, now := a.s.issuer, time.Now()
	account, _, err := a.c.books.Account(issuer.Directory, issuer.EAB.KeyID)
	if err != nil {
		return local(fmt.Errorf("looking up the account of issuer %q: %w", issuer.Name, err))
	}
	until := renew.HeldUntil(now, account.HoldUntil) // zero where there is no account yet
	if busy := a.s.busy.until(a.held); busy.After(until) {
		until = busy
	}
	if !now.Before(until) {
		return nil
	}
	return &renew.Failure{Class: renew.Limited, RetryAt: until,
		Err: fmt.Errorf("issuer %q takes no order before %s", issuer.Name, until.UTC().Format(time.RFC3339))}
}

// hold keeps everybody from asking a CA that asked for time, and returns when
// the certificate of the attempt may ask again. a is nil where there is none.
//
// A limit binds the account, also after a restart. A server that is only busy
// (503) says nothing of the account, and what it names is often out of the air:
// that is kept in memory, where it is measured anew by each who asks.
func (c *Client) hold(p *problem, a *attempt) time.Time {
	if a == nil {
		return p.RetryAt
	}
	until := p.RetryAt
	if !p.Named {
		until = time.Now().Add(scaled(defaultHold, a.held))
	}
	if p.busy() {
		a.s.busy.note(time.Now(), until)
		return a.s.busy.until(a.held)
	}
	if err := c.books.HoldAccount(a.s.issuer.Directory, a.s.issuer.EAB.KeyID, until); err != nil {
		// The journal keeps RetryAt for this certificate. The others of the account
		// know of it for as long as the process lives.
		a.s.busy.note(time.Now(), until)
		c.log.Warn("the CA's wait was not noted for the account", "issuer", a.s.issuer.Name, "err", err)
	}
	return until
}

// busy tells that the answer is about the server's load alone, not a limit of
// the account's: a 503 whose type is not rateLimited.
func (p *problem) busy() bool {
	return p.Status == http.StatusServiceUnavailable && !p.is(rateLimited)
}

// busyTime is when a CA was last too busy to answer, and until when it said so.
type busyTime struct {
	mu       sync.Mutex
	at, said time.Time
}

func (b *busyTime) note(at, said time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at, b.said = at, said
}

// over forgets the wait: the CA was seen at work.
func (b *busyTime) over() { b.note(time.Time{}, time.Time{}) }

// until is when the CA may be asked for a certificate of which held is there.
func (b *busyTime) until(held renew.Version) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at.Add(bearable(b.said.Sub(b.at), held))
}

// bearable shortens the wait of a busy server to what held can do without: an
// eighth of its lifetime, between a second and a day. Where nothing is held
// there is no such measure.
func bearable(wait time.Duration, held renew.Version) time.Duration {
	if held.N == 0 {
		return wait
	}
	return min(wait, min(max(held.Lifetime()/busyShare, minHold), maxHold))
}

// scaled shortens a wait that nobody named for certificates of short lifetimes:
// a twentieth of it, a second at least.
func scaled(d time.Duration, held renew.Version) time.Duration {
	if l := held.Lifetime(); held.N > 0 && l < shortLifetime {
		d = min(d, max(l/20, time.Second))
	}
	return d
}
