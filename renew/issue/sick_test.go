package issue

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// sicken answers by h whatever lies at the first URL under path that is asked
// for; all others are healthy.
func sicken(path string, h http.HandlerFunc) func(http.Handler) http.Handler {
	var sick atomic.Pointer[string]
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if at := r.URL.Path; strings.HasPrefix(at, path) {
				sick.CompareAndSwap(nil, &at)
				if *sick.Load() == at {
					h(w, r)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// shift makes the order in flight older.
func (b *bench) shift(name string, by time.Duration) {
	b.t.Helper()
	b.books.mu.Lock()
	defer b.books.mu.Unlock()
	o, ok := b.books.orders[name]
	if !ok {
		b.t.Fatal("no order is in flight")
	}
	o.CreatedAt = o.CreatedAt.Add(-by)
	b.books.orders[name] = o
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func TestASickOrderIsNotGoneOnWithForEver(t *testing.T) {
	oops := acmeProblem(500, serverInternal, "sick")
	for name, c := range map[string]struct {
		path string
		h    http.HandlerFunc
	}{
		"order 500":           {atOrder, oops},
		"order cut off":       {atOrder, hangUp},
		"order hangs":         {atOrder, hang},
		"order is HTML":       {atOrder, answering(200, "text/html", "<html>")},
		"order lost account":  {atOrder, acmeProblem(400, accountDoesNotExist, "who?")},
		"order expired":       {atOrder, answering(200, "application/json", `{"status":"expired","identifiers":[{"type":"dns","value":"a.example.com"}]}`)},
		"authorization 500":   {atAuthz, oops},
		"challenge 500":       {atChallenge, oops},
		"challenge forbidden": {atChallenge, acmeProblem(403, "unauthorized", "no")},
		"finalize 500":        {atFinalize, oops},
		"certificate 500":     {atCert, oops},
		"certificate gone":    {atCert, acmeProblem(404, malformed, "no such certificate")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware}, func(o *Options) { o.RequestTimeout = time.Second })
			cert := b.cert("www", "a.example.com")
			f.set(sicken(c.path, c.h))
			for try := 1; try <= 3; try++ {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				_, err := b.client.Issue(ctx, cert, renew.Version{}, renew.Missing)
				cancel()
				if n := b.ca.Counts().NewOrders; err == nil {
					if n != 2 {
						t.Errorf("%d orders", n)
					}
					return
				}
				if _, inFlight, _ := b.books.Order("www"); inFlight {
					b.shift("www", time.Hour)
				}
			}
			t.Errorf("%d orders, and no certificate though all orders but the first are healthy", b.ca.Counts().NewOrders)
		})
	}
}

// What may have nothing to do with the order does not cost another.
func TestAnOrderIsNotGivenUpForWhatIsNotItsFault(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		h     http.HandlerFunc
		age   time.Duration
		drain bool // no nonce is left from before
	}{
		"young":                     {atOrder, acmeProblem(500, serverInternal, "oops"), 0, false},
		"the CA asks for time":      {atOrder, acmeProblem(429, rateLimited, "wait", "Retry-After", "60"), time.Hour, false},
		"the CA is busy":            {atOrder, answering(503, "text/html", "", "Retry-After", "60"), time.Hour, false},
		"the CA is down":            {"/", hangUp, time.Hour, false},
		"the CA is down with a 502": {"/", answering(502, "text/html", "<html>"), time.Hour, false},
		"no nonces":                 {atNonce, acmeProblem(500, serverInternal, "oops"), time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			cert := b.cert("www", "a.example.com")
			f.set(instead(atAuthz, acmeProblem(500, serverInternal, "oops")))
			b.refuse(cert, renew.Version{})
			before, _, _ := b.books.Order("www")
			b.shift("www", c.age)
			f.set(instead(c.path, c.h))
			if c.drain {
				b.rebuild()
			}
			b.refuse(cert, renew.Version{})
			if o, inFlight, _ := b.books.Order("www"); !inFlight || o.URL != before.URL {
				t.Errorf("in flight: %v, at %s, was %s", inFlight, o.URL, before.URL)
			}
			if n := b.ca.Orders(); n != 1 {
				t.Errorf("%d orders", n)
			}
		})
	}
}

func TestPatienceWithAnOrderScales(t *testing.T) {
	now := time.Now()
	held := func(l, left time.Duration) renew.Version {
		return renew.Version{N: 1, NotBefore: now.Add(left - l), NotAfter: now.Add(left)}
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		held          renew.Version
		sick, working time.Duration
	}{
		"nothing held": {renew.Version{}, 10 * time.Minute, time.Hour},
		"expired":      {held(90*day, -day), 10 * time.Minute, time.Hour},
		"90 days":      {held(90*day, 30*day), time.Hour, time.Hour},
		"a day":        {held(day, day/2), time.Hour, time.Hour},
		"an hour":      {held(time.Hour, time.Hour/2), 150 * time.Second, 150 * time.Second},
		"a minute":     {held(time.Minute, time.Minute/2), 2500 * time.Millisecond, 2500 * time.Millisecond},
		"ten seconds":  {held(10*time.Second, 5*time.Second), time.Second, time.Second},
	} {
		a := &attempt{c: &Client{timeout: defaultOrderTimeout}, held: c.held}
		if sick, working := a.patience(false), a.patience(true); sick != c.sick || working != c.working {
			t.Errorf("%s: %s and %s, not %s and %s", name, sick, working, c.sick, c.working)
		}
	}
}

// A clock that was ahead when the order was placed must not keep a sick one.
func TestASickOrderOfTheFutureIsReplaced(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	f.set(sicken(atAuthz, acmeProblem(500, serverInternal, "sick")))
	b.refuse(cert, renew.Version{})
	b.shift("www", -24*time.Hour)
	b.issue(cert, renew.Version{})
}

// An intent that found no CA for hours is placed late: its order is young then.
func TestAnOrderIsAsOldAsItsPlacing(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	f.set(instead(atNewOrder, acmeProblem(500, serverInternal, "down")))
	b.refuse(cert, renew.Version{})
	b.shift("www", 24*time.Hour)
	f.set(instead(atAuthz, acmeProblem(500, serverInternal, "not quite up")))
	b.refuse(cert, renew.Version{})
	b.refuse(cert, renew.Version{})
	f.set(nil)
	b.issue(cert, renew.Version{})
	if n := b.ca.Orders(); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// Only the order itself is believed about its state: an answer to newOrder or
// finalize that names an odd one, or none, costs nothing.
func TestAnOddStatusInAnAnswerToAPostIsLookedInto(t *testing.T) {
	for _, path := range []string{atNewOrder, atFinalize} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			f.set(rewriting(path, func(body map[string]any, _ http.Header) { delete(body, "status") }))
			b.issue(b.cert("www", "a.example.com"), renew.Version{})
			if n := b.ca.Orders(); n != 1 {
				t.Errorf("%d orders", n)
			}
		})
	}
}
