package issue

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// A CA that asks for a second in the midst of an order is waited for: the order,
// and the challenge that it may be looking at, are not given up for it.
func TestAShortRetryAfterDoesNotEndTheAttempt(t *testing.T) {
	for _, path := range []string{atNewOrder, atAuthz, atChallenge, atFinalize, atCert} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			b.issue(b.cert("warm", "warm.example.com"), renew.Version{})
			orders := b.ca.Orders()
			f.set(first(2, path, instead(path, acmeProblem(429, rateLimited, "slow down", "Retry-After", "1"))))
			began := time.Now()
			b.issue(b.cert("www", "a.example.com"), renew.Version{})
			if took := time.Since(began); took < 1500*time.Millisecond {
				t.Errorf("took %s: the CA's two seconds were not kept", took)
			}
			if n := b.ca.Orders() - orders; n != 1 {
				t.Errorf("%d orders", n)
			}
		})
	}
}

// A CA that asks for more is left alone, and so is one that asks again and again.
func TestALongRetryAfterEndsTheAttempt(t *testing.T) {
	for name, after := range map[string]string{"a minute": "60", "a second, for ever": "1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			f.set(instead(atNewOrder, acmeProblem(429, rateLimited, "slow down", "Retry-After", after)))
			if got := b.refuse(b.cert("www", "a.example.com"), renew.Version{}); got.Class != renew.Limited || got.RetryAt.IsZero() {
				t.Errorf("%s, again at %s", got.Class, got.RetryAt)
			}
		})
	}
}

// An attempt that ends while the CA may be looking leaves the answer up, so that
// the order is still good for the next attempt; one that is decided does not.
func TestTheAnswerOutlastsAnAttemptThatIsNotDecided(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	answers := func() int {
		b.responder.mu.Lock()
		defer b.responder.mu.Unlock()
		return len(b.responder.tokens)
	}
	f.set(instead(atChallenge, acmeProblem(500, "serverInternal", "oops")))
	b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if answers() != 1 {
		t.Error("the answer is gone although the CA may be looking")
	}
	deadline := time.Now().Add(lingering + 5*time.Second)
	for tick := time.NewTicker(50 * time.Millisecond); answers() != 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("the answer stays for ever")
		}
	}
	f.set(nil)
	b.issue(b.cert("other", "b.example.com"), renew.Version{})
	if answers() != 0 {
		t.Error("the answer of an order that is over stays")
	}
}
