package faultproxy_test

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
)

// Altered answers about renewal over the wire: each is advice, or none, or a
// failure that may pass, and none puts the renewal off.
func TestAlteredAdviceOverTheWire(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{Seed: 1})
	h := w.host(p)
	cert := h.cert("www", "a.example.com")
	held, err := h.issued(cert, renew.Version{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	latest := held.NotAfter.Add(-held.Lifetime() / 3).Add(time.Second)
	p.Set(faultproxy.Rule{Kind: faultproxy.RenewalInfo, Do: faultproxy.Fuzz(faultproxy.NewMutator(7))})
	windows := 0
	for range *bodies {
		advice, err := h.client.Advise(t.Context(), cert, held)
		if err != nil {
			if _, odd := failure(err); odd != nil {
				t.Fatal(odd)
			}
			continue
		}
		if !advice.Start.IsZero() {
			windows++
			advice.Chosen = renew.Draw(held, advice.Start, advice.End, 1)
		}
		facts := renew.Facts{Newest: held, Held: held, Live: held.N, Journal: renew.Journal{Advice: advice}}
		if step, ok := renew.Renewal(time.Now(), &cert, &facts); !ok || step.At.After(latest) {
			t.Fatalf("%+v: renewed at %s, not by %s", advice, step.At, latest)
		}
	}
	if n := p.History().Count(faultproxy.RenewalInfo, 200); n < *bodies || windows == 0 {
		t.Errorf("%d answers, %d with a window", n, windows)
	}
	t.Logf("%d altered answers, %d with a window, no renewal put off", *bodies, windows)
}

// Whatever a CA that asks for time sends for a time: the account waits, for a
// second at least and a day at most, and nobody asks it before.
func TestEveryShapeOfRetryAfterIsKept(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	shapes := faultproxy.Shapes()
	side(8, len(shapes), func(i int) {
		p := w.proxy(faultproxy.Options{Rules: []faultproxy.Rule{{Kind: faultproxy.NewOrder, Do: faultproxy.Limited(shapes[i])}}})
		h := w.host(p)
		defer h.stop()
		h.start()
		cert := h.cert("www", "a.example.com")
		f, odd := failure(h.issue(t.Context(), cert, renew.Version{}))
		if odd != nil {
			t.Errorf("%s: %v", shapes[i].Name, odd)
			return
		}
		if d := time.Until(f.RetryAt); f.Class != renew.Limited || d > 24*time.Hour || d < -time.Minute {
			t.Errorf("%s: %s, again in %s", shapes[i].Name, f.Class, d)
		}
		if time.Until(f.RetryAt) < time.Minute {
			return // "zero": over before this test could tell
		}
		asked := len(p.History())
		h.restart()
		again, odd := failure(h.issue(t.Context(), cert, renew.Version{}))
		if odd != nil || again.Class != renew.Limited || !again.RetryAt.Equal(f.RetryAt) && again.RetryAt.Sub(f.RetryAt).Abs() > time.Second {
			t.Errorf("%s, after a restart: %v, %v", shapes[i].Name, odd, again)
		}
		if n := len(p.History()) - asked; n != 0 {
			t.Errorf("%s: the CA was asked %d times meanwhile", shapes[i].Name, n)
		}
	})
}
