package faultproxy_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
)

// The process is ended and started over and over, as by a supervisor that finds it
// broken, each time just when the CA fails or hangs at some point of the order. All
// of these attempts are one order to the CA: what was reached is gone on with.
func TestALoopOfRestartsIsOneOrder(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{Seed: 1, Limits: &faultproxy.Limits{Scale: 60, Report: t.Error}})
	h := w.host(p)
	cert := h.cert("www", "a.example.com", "b.example.com")
	points := []faultproxy.Kind{
		faultproxy.Directory, faultproxy.NewNonce, faultproxy.NewAccount, faultproxy.NewOrder,
		faultproxy.Authz, faultproxy.Challenge, faultproxy.Finalize, faultproxy.Order, faultproxy.Cert,
	}
	unheard := []faultproxy.Action{ // the CA never hears of the call
		faultproxy.Hang(), faultproxy.Drop(), faultproxy.Problem(500, "serverInternal", "no"),
		faultproxy.Status(503, "text/html", "<html>"), faultproxy.Status(200, "text/html", "<html>"),
	}
	// The CA does what is asked, and its answer does not arrive. That of newOrder is
	// left out: with it, an order can't help being lost.
	lost := []faultproxy.Action{faultproxy.Lose(), faultproxy.Cut(20), faultproxy.Stall(20), faultproxy.Truncate(20)}
	late := []faultproxy.Kind{faultproxy.NewAccount, faultproxy.Order, faultproxy.Cert}
	met := make(map[faultproxy.Kind]int)
	for i := range *restarts {
		at, next := i*len(points)/(*restarts), (i+1)*len(points)/(*restarts)
		kind, acts := points[at], unheard
		switch {
		case slices.Contains(late, kind):
			acts = slices.Concat(unheard, lost)
		case kind == faultproxy.Finalize && at != next: // once: it goes on from there
			acts = lost
		}
		h.restart()
		ctx, crash := context.WithCancel(t.Context())
		p.Set(faultproxy.Rule{Kind: kind, Do: faultproxy.Tell(crash, acts[i%len(acts)])})
		err := h.issue(ctx, cert, renew.Version{})
		crash()
		if _, odd := failure(err); odd != nil {
			t.Fatalf("restart %d, at %s: %v", i, kind, odd)
		}
		if past := p.History(); past[len(past)-1].Kind == kind {
			met[kind]++
		}
	}
	p.Set()
	if _, err := h.issued(cert, renew.Version{}, 1); err != nil {
		t.Fatal(err)
	}
	past := p.History()
	if n := past.Count(faultproxy.NewOrder, http.StatusCreated); n != 1 {
		t.Errorf("%d orders after %d restarts", n, *restarts)
	}
	if n := len(past.Accounts()); n != 1 {
		t.Errorf("%d accounts", n)
	}
	if breaches := past.Check(); len(breaches) > 0 {
		t.Error(strings.Join(breaches, "\n"))
	}
	for _, kind := range points {
		if met[kind] == 0 {
			t.Errorf("no restart fell on %s", kind)
		}
	}
	t.Logf("%d restarts, %d calls, 1 order: %v", *restarts, len(past), met)
}
