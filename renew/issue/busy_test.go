package issue

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// A server that is busy names a time out of the air, and is back at once.
func TestABusyCADoesNotCostAShortCertificate(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		validity time.Duration
		kind     string
		status   int
		want     time.Duration
	}{
		"90 days":            {90 * day, "", 503, day},
		"a day":              {day, "", 503, day / 8},
		"serverInternal":     {day, serverInternal, 503, day / 8},
		"a minute":           {time.Minute, "", 503, time.Minute / 8},
		"a limit by 503":     {day, rateLimited, 503, day},
		"a limit by 429":     {day, rateLimited, 429, day},
		"a 429 of a proxy's": {day, "", 429, day},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Validity: c.validity, Middleware: f.middleware})
			cert := b.cert("www", "a.example.com")
			held := b.issue(cert, renew.Version{})
			h := answering(c.status, "text/html", "<h1>busy", "Retry-After", "86400")
			if c.kind != "" {
				h = acmeProblem(c.status, c.kind, "busy", "Retry-After", "86400")
			}
			f.set(instead(atNewOrder, h))
			got := b.refuse(cert, held)
			if d := time.Until(got.RetryAt); got.Class != renew.Limited || d > c.want || d < c.want-c.want/4-5*time.Second {
				t.Errorf("%s, again in %s, not %s", got.Class, d, c.want)
			}
			// What it says to the account is not more than what it said.
			requests := b.ca.Counts().Requests
			again := b.refuse(cert, held)
			if again.Class != renew.Limited || again.RetryAt.After(got.RetryAt.Add(time.Millisecond)) || b.ca.Counts().Requests != requests {
				t.Errorf("%s, again at %s, not %s", again.Class, again.RetryAt, got.RetryAt)
			}
		})
	}
}

// A long certificate can wait for a day; another of the same account, which
// can't, is not bound by that.
func TestAHoldIsMeasuredByWhoeverAsks(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Validity: 10 * time.Second, Middleware: f.middleware})
	cert, other := b.cert("www", "a.example.com"), b.cert("other", "b.example.com")
	held := b.issue(cert, renew.Version{})
	long := held
	long.NotAfter = long.NotBefore.Add(90 * 24 * time.Hour)
	f.set(instead(atNewOrder, answering(503, "text/html", "", "Retry-After", "86400")))
	if got := b.refuse(other, long); time.Until(got.RetryAt) < 23*time.Hour {
		t.Errorf("again at %s", got.RetryAt)
	}
	f.set(nil)
	got := b.refuse(cert, held)
	if d := time.Until(got.RetryAt); got.Class != renew.Limited || d > 1300*time.Millisecond {
		t.Fatalf("%s, again in %s", got.Class, d)
	}
	<-time.After(time.Until(got.RetryAt))
	b.issue(cert, held)
	b.issue(other, long) // the CA is seen to be back
}

func TestABusyCAIsAskedAboutRenewalInProportion(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Validity: time.Hour, Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	f.set(instead(atARI, answering(503, "text/html", "", "Retry-After", "86400")))
	_, err := b.client.Advise(t.Context(), cert, held)
	failure, ok := err.(*renew.Failure)
	if !ok || failure.Class != renew.Limited {
		t.Fatalf("%v", err)
	}
	if d := time.Until(failure.RetryAt); d > time.Hour/8 || d < time.Hour/10 {
		t.Errorf("again in %s", d)
	}
}
