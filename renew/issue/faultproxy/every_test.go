package faultproxy_test

import (
	"errors"
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

// fault is something that can go wrong at every endpoint, and what comes of an
// attempt that meets it at each of faultproxy.Issuing: directory, new-nonce,
// new-account, new-order, authz, challenge, finalize, order, cert.
//
//	t transient   l throttled   r refused   c config   . it issues all the same
//	T transient, and the order is given up: the next attempt places another
//	W transient, after the whole time of an attempt was waited for what never comes
//	R refused, after a tenth of it
type fault struct {
	name string
	act  faultproxy.Action
	want string
}

// patience is how long a request and an attempt may take while the fault holds:
// short where nothing else ends them, the agent's own where something does, since
// the machine may be busy.
func (f fault) patience(want byte) (request, attempt time.Duration) {
	switch {
	case want == 'W':
		return 0, 5 * time.Second
	case want == 'R':
		return 0, 20 * time.Second
	case f.name == "hang" || strings.HasPrefix(f.name, "stall"):
		return 2 * time.Second, 0
	}
	return 0, time.Minute
}

func everyFault() []fault {
	page := "<html><body>" + strings.Repeat("Bad Gateway \x1b[31m", 500)
	answer := faultproxy.Status
	problem := faultproxy.Problem
	evil := []any{map[string]any{"type": "dns", "value": "evil.example"}}
	return []fault{
		{"delay", faultproxy.Delay(20 * time.Millisecond), "........."},
		{"hang", faultproxy.Hang(), "ttttttttt"},
		{"stall at once", faultproxy.Stall(0), "t.ttttttt"},
		{"stall later", faultproxy.Stall(40), "t.ttttttt"},
		{"cut at once", faultproxy.Cut(0), "t.tttt.tt"},
		{"cut later", faultproxy.Cut(40), "t.tttt.tt"},
		{"drop", faultproxy.Drop(), "ttttttttt"},
		{"lose", faultproxy.Lose(), "tttttt.tt"},
		{"replay", faultproxy.Replay(), "....W...."},
		{"duplicate", faultproxy.Duplicate(), "........."},
		{"truncate", faultproxy.Truncate(30), "t.tttt.tr"},
		{"garbage", faultproxy.Garbage(500), "t.tttt.tr"},
		{"gzip bomb", faultproxy.GzipBomb(64), "ttttttttt"},
		{"endless", faultproxy.Endless(), "ttttttttt"},
		{"deep", faultproxy.Deep(100000), "ttttttttt"},
		{"redirect", faultproxy.Redirect(302, "/elsewhere"), "ttttttttt"},
		{"redirect away", faultproxy.Redirect(307, "https://elsewhere.example/"), "rtttttttt"},
		{"redirect http", faultproxy.Redirect(301, "http://127.0.0.1/"), "rtttttttt"},
		{"200 nothing", answer(200, "", ""), "ttttttttt"},
		{"200 null", answer(200, "application/json", "null"), "ttttttttt"},
		{"200 object", answer(200, "application/json", "{}"), "ttrrrWtTr"},
		{"200 page", answer(200, "text/html", page), "ttttttttt"},
		{"204", answer(204, "", ""), "ttttttttt"},
		{"400 malformed", problem(400, "malformed", "no"), "rtrrrRrrr"},
		{"400 badNonce", problem(400, "badNonce", "no"), "ttttttttt"},
		{"401 page", answer(401, "text/html", page), "ttttttttt"},
		{"403", problem(403, "unauthorized", "no"), "rtrrrrrrr"},
		{"403 page", answer(403, "text/html", page), "ttttttttt"},
		{"forget", faultproxy.Forget(), "rtrrrRrrr"},
		{"404 page", answer(404, "text/html", page), "ttttTtttt"},
		{"409", problem(409, "conflict", "no"), "rtrrrrrrr"},
		{"limited", faultproxy.Limited(faultproxy.Shapes()[0]), "lllllllll"},
		{"500", problem(500, "serverInternal", "no"), "ttttttttt"},
		{"502", answer(502, "text/html", page), "ttttttttt"},
		{"503", answer(503, "text/html", page), "ttttttttt"},
		{"503 for a time", answer(503, "text/html", page, "Retry-After", "120"), "lllllllll"},
		{"no nonce", faultproxy.Header("Replay-Nonce", ""), ".t......."},
		{"no location", faultproxy.Header("Location", ""), "..rt....."},
		{"a path", faultproxy.Header("Location", "/etc/passwd"), "..rr....."},
		{"odd status", faultproxy.Mutate("status", "\x1b[2Jfine"), "..r.r..T."},
		{"status of 5", faultproxy.Mutate("status", 5), "..tttt.t."},
		{"invalid", faultproxy.Mutate("status", "invalid"), "..rrr..r."},
		{"no challenges", faultproxy.Mutate("challenges", faultproxy.Gone), "....c...."},
		{"other names", faultproxy.Mutate("identifiers", evil), "...r....."},
		{"no authz", faultproxy.Mutate("authorizations", faultproxy.Gone), "...W....."},
		{"other finalize", faultproxy.Mutate("finalize", "https://elsewhere.example/"), "...r....."},
	}
}

var letters = map[renew.Class]string{renew.Transient: "tTW", renew.Limited: "l", renew.Refused: "rR", renew.Config: "c"}

// Every fault at every endpoint that a certificate comes through: a failure with
// its class, or none; nothing is lost, and the next attempt, of a new process,
// gets the certificate. In short, each fault is met at some endpoints and each
// endpoint meets some faults.
func TestEveryFaultAtEveryEndpoint(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	faults, kinds := everyFault(), faultproxy.Issuing()
	var met atomic.Int64
	side(16, len(faults)*len(kinds), func(i int) {
		f, at := faults[i/len(kinds)], i%len(kinds)
		if (i/len(kinds)+at)%*sparse != 0 {
			return
		}
		met.Add(1)
		if err := w.weather(f, kinds[at], f.want[at]); err != nil {
			t.Errorf("%s at %s: %v", f.name, kinds[at], err)
		}
	})
	t.Logf("%d pairs of %d faults and %d endpoints", met.Load(), len(faults), len(kinds))
}

// weather makes an attempt while the fault holds at a kind of endpoint, then one
// without.
func (w *town) weather(fault fault, at faultproxy.Kind, want byte) error {
	p := w.proxy(faultproxy.Options{Rules: []faultproxy.Rule{{Kind: at, Do: fault.act}}})
	defer p.Close()
	h := w.host(p)
	h.timeout, h.order = fault.patience(want)
	h.start()
	defer h.stop()
	cert := h.cert("www", "a.example.com")
	err := h.issue(w.t.Context(), cert, renew.Version{})
	if err == nil && want != '.' {
		return errors.New("it issued")
	}
	if err != nil {
		f, odd := failure(err)
		if odd != nil {
			return odd
		}
		if strings.IndexByte(letters[f.Class], want) < 0 {
			return fmt.Errorf("not %q: %s: %w", want, f.Class, f)
		}
		if h.held("www") != 0 {
			return errors.New("a version was kept")
		}
	}
	key := h.accountKey()
	p.Set()
	h.timeout, h.order = 0, 0
	if err != nil {
		if _, err := h.issued(cert, renew.Version{}, 1); err != nil {
			return err
		}
	}
	return h.kept(key, at, want)
}

// kept checks that the account is the one that it was, and that no more orders
// were placed than there had to be.
func (h *host) kept(key string, at faultproxy.Kind, want byte) error {
	past := h.proxy.History()
	if n := len(past.Accounts()); n != 1 {
		return fmt.Errorf("%d accounts", n)
	}
	if after := h.accountKey(); key != "" && key != after {
		return errors.New("the account key was lost")
	}
	most := 1
	switch {
	case at == faultproxy.NewOrder:
		most = 5 // each try of an attempt whose answer is lost, and the one that was not
	case strings.IndexByte("TrRc", want) >= 0:
		most = 2
	}
	if n := past.Count(faultproxy.NewOrder, http.StatusCreated); n > most {
		return fmt.Errorf("%d orders", n)
	}
	if breaches := past.Check(); len(breaches) > 0 && at != faultproxy.NewOrder {
		return errors.New(strings.Join(breaches, "; "))
	}
	return nil
}

func (h *host) accountKey() string {
	a, _, _ := h.store.Account(h.proxy.DirectoryURL(), "")
	return string(a.Key)
}

// The advice of a CA is no more than that: no fault at its endpoint is worse than
// to have none, and none stands in the way of the next question.
func TestEveryFaultOfRenewalInfo(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{})
	h := w.host(p)
	h.timeout = time.Second
	cert := h.cert("www", "a.example.com")
	held, err := h.issued(cert, renew.Version{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range everyFault() {
		p.Set(faultproxy.Rule{Kind: faultproxy.RenewalInfo, Do: f.act})
		advice, err := h.client.Advise(t.Context(), cert, held)
		if err != nil {
			if f, odd := failure(err); odd != nil || f.Class != renew.Transient && f.Class != renew.Limited {
				t.Errorf("%v, %v", odd, err)
			}
		} else if d := time.Until(advice.PollAt); d < 30*time.Second || d > 25*time.Hour {
			t.Errorf("%s: asked again in %s", f.name, d)
		}
		p.Set()
		if advice, err := h.client.Advise(t.Context(), cert, held); err != nil || advice.Start.IsZero() {
			t.Errorf("after %s: %+v, %v", f.name, advice, err)
		}
	}
}
