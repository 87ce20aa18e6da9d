package faultproxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
)

// The n-th call fails, for n = 1, 2, 3 and so on until an attempt is through
// before there is an n-th: so each call that an order makes fails once, in each of
// the ways in which a call can. After each, processes follow one another until one
// has the certificate.
func TestTheNthCallFails(t *testing.T) {
	for _, mode := range []struct {
		name  string
		act   faultproxy.Action
		times int // 0: the n-th call and all that follow in that process
	}{
		{"dropped", faultproxy.Drop(), 1},
		{"its answer lost", faultproxy.Lose(), 1},
		{"500", faultproxy.Problem(500, "serverInternal", "no"), 1},
		{"its answer cut", faultproxy.Cut(10), 1},
		{"its connection hangs", faultproxy.Hang(), 1},
		{"dropped, and all after it", faultproxy.Drop(), 0},
		{"500, and all after it", faultproxy.Problem(500, "serverInternal", "no"), 0},
	} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel()
			w := newTown(t, acmetest.Options{})
			const batch = 8
			met := 0
			for n := 0; n == met; n += batch { // until one of them is through without
				met += w.batch(n, batch, mode.times, mode.act)
			}
			if t.Logf("%d calls failed, one after the other", met); met < 12 {
				t.Error("an order takes more calls than that")
			}
		})
	}
}

// batch makes the calls after the n-th fail, each in an attempt of its own, and
// returns how many there were.
func (w *town) batch(n, many, times int, act faultproxy.Action) int {
	var met atomic.Int64
	side(many, many, func(i int) {
		was, err := w.nth(n+i+1, times, act)
		if err != nil {
			w.t.Errorf("call %d: %v", n+i+1, err)
		}
		if was {
			met.Add(1)
		}
	})
	return int(met.Load())
}

// nth makes the n-th call fail, and tells whether there was one.
func (w *town) nth(n, times int, act faultproxy.Action) (met bool, err error) {
	p := w.proxy(faultproxy.Options{
		Rules:  []faultproxy.Rule{{From: n, Times: times, Do: act}},
		Limits: &faultproxy.Limits{Report: w.t.Error},
		HTTP1:  n%2 == 0, // a dropped call takes its connection along, or only itself
	})
	defer p.Close()
	h := w.host(p)
	defer h.stop()
	if act.String() == faultproxy.Hang().String() {
		h.timeout = 2 * time.Second
	}
	h.start()
	cert := h.cert("www", "a.example.com", "b.example.com")
	failed := h.issue(w.t.Context(), cert, renew.Version{})
	key := h.accountKey()
	for _, e := range p.History() {
		met = met || e.Verdict == act.String()
	}
	p.Set()
	if failed != nil {
		if _, odd := failure(failed); odd != nil {
			return met, odd
		}
		if _, err := h.issued(cert, renew.Version{}, 3); err != nil {
			return met, err
		}
	}
	past := p.History()
	switch orders, accounts := past.Count(faultproxy.NewOrder, http.StatusCreated), len(past.Accounts()); {
	case orders > 2 || accounts != 1:
		return met, fmt.Errorf("%d orders and %d accounts", orders, accounts)
	case key != "" && h.accountKey() != key:
		return met, fmt.Errorf("the account key changed")
	case h.held("www") != 1:
		return met, fmt.Errorf("%d versions", h.held("www"))
	}
	if breaches := past.Check(); len(breaches) > 0 {
		return met, fmt.Errorf("%s", strings.Join(breaches, "; "))
	}
	return met, nil
}
