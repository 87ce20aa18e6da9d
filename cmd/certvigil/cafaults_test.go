package main

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
)

// reply is an answer with a body and a type.
func reply(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// endless answers for as long as somebody reads.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := []byte(`{"a":"` + strings.Repeat("x", 64<<10))
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// troubled waits until issuing has failed, and returns the failure.
func (h *host) troubled() agent.FailureReport {
	h.t.Helper()
	var f agent.FailureReport
	h.until("status shows that issuing fails", func() bool {
		c := h.cert("www")
		if c.Failure == nil || c.Failure.Stage != "issue" {
			return false
		}
		f = *c.Failure
		return true
	})
	return f
}

func TestEveryFaultOfTheCAIsSurvivedAndShown(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	url := h.account()
	faults := []struct {
		name   string
		answer http.HandlerFunc // nil: nobody listens
		class  string
		says   string
	}{
		{"refused", nil, "transient", "refused"},
		{"500 everywhere", reply(500, "application/problem+json", `{"type":"urn:ietf:params:acme:error:serverInternal","detail":"out of coffee"}`), "transient", "500"},
		{"HTML", reply(200, "text/html", "<html>Please log in</html>"), "transient", "log in"},
		{"null", reply(200, "application/json", "null"), "transient", "null"},
		{"endless", endless, "transient", "longer than"},
	}
	for _, f := range faults {
		was := h.cert("www")
		if f.answer == nil {
			must(t, h.ca.Stop())
		} else {
			h.gate.set(always(f.answer))
		}
		h.request("www")
		got := h.troubled()
		if string(got.Class) != f.class || !strings.Contains(got.Message, f.says) {
			t.Errorf("%s: %s, %q; want %s and %q", f.name, got.Class, got.Message, f.class, f.says)
		}
		if wait := time.Until(got.Next); wait < -time.Second || wait > 30*time.Second {
			t.Errorf("%s: the next try is in %s, for a certificate of a minute", f.name, wait)
		}
		if len(got.Message) > 4<<10 {
			t.Errorf("%s: a message of %d bytes", f.name, len(got.Message))
		}
		if h.fingerprint("www.example.com") != was.Fingerprint {
			t.Errorf("%s: another certificate is served", f.name)
		}
		h.gate.set(nil)
		must(t, h.ca.Restart())
		h.served("www", was.Version+1)
	}
	if now := h.account(); now != url {
		t.Errorf("the account was %s and is %s", url, now)
	}
	if n := h.ca.Counts().Accounts; n != 1 {
		t.Errorf("%d accounts were registered", n)
	}
}

func TestEachStepOfAnOrderMayFailAndIsDoneAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	for _, kind := range []string{toOrder, toAuthz, toChallenge, toFinalize, toDownload} {
		was, orders := h.cert("www"), h.ca.Orders()
		h.gate.set(on(kind, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			reply(503, "text/html", "<h1>Service Unavailable</h1>")(w, r)
		}))
		h.request("www")
		h.until(kind+" has failed", func() bool {
			c := h.cert("www")
			if c.Version > was.Version { // the CA used a valid authorization again
				h.request("www")
				was, orders = c, h.ca.Orders()
			}
			return c.Failure != nil
		})
		if got := h.troubled(); got.Class != "transient" || !strings.Contains(got.Message, "503") {
			t.Errorf("%s: %s, %q", kind, got.Class, got.Message)
		}
		h.gate.set(nil)
		h.served("www", was.Version+1)
		if n := h.ca.Orders() - orders; n > 1 {
			t.Errorf("%s: %d orders; the one in flight was there to go on with", kind, n)
		}
	}
}

func TestARetryAfterIsKept(t *testing.T) {
	t.Parallel()
	limited := func(after string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", after)
			reply(429, "application/problem+json", `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"slow down"}`)(w, r)
		}
	}
	for _, c := range []struct {
		name     string
		after    func() string
		min, max time.Duration // of the wait that status shows
		heals    bool          // within the test's time
	}{
		{"seconds", func() string { return "3" }, time.Second, 4 * time.Second, true},
		{"date", func() string { return time.Now().Add(4 * time.Second).UTC().Format(http.TimeFormat) }, 0, 5 * time.Second, true},
		{"negative", func() string { return "-7" }, 0, 5 * time.Second, true}, // none: a twentieth of the lifetime
		{"ten years", func() string { return "315360000" }, 23 * time.Hour, 25 * time.Hour, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, setup{bare: true})
			h.start()
			h.until("the first version", func() bool { return h.cert("www").Live == 1 })
			h.gate.set(on(toOrder, func(w http.ResponseWriter, r *http.Request, _ http.Handler) { limited(c.after())(w, r) }))
			h.request("www")
			f := h.troubled()
			if wait := time.Until(f.Next); f.Class != "throttled" || wait < c.min-time.Second || wait > c.max {
				t.Errorf("%s: %s, next try in %s; want one within %s to %s", c.name, f.Class, wait, c.min, c.max)
			}
			if n := h.cert("www").Next; n.Reason != "throttled" || n.At.Before(f.Next.Add(-time.Second)) {
				t.Errorf("next is %+v, and the CA said %s", n, f.Next)
			}
			h.outranks(f.Next)
			if !c.heals {
				return
			}
			h.gate.set(nil)
			h.until("the second version", func() bool { return h.cert("www").Live == 2 })
			if early := time.Until(f.Next); early > 0 {
				t.Errorf("asked %s before the time that the CA named", early)
			}
		})
	}
}

// outranks checks that neither an operator's word nor a restart makes the agent
// order before the time that the CA named.
func (h *host) outranks(until time.Time) {
	h.t.Helper()
	asked := h.gate.count(toOrder)
	h.request("www")
	h.run.kill()
	h.start()
	h.until("the agent has looked", func() bool { return h.cert("www").Next.Reason == "throttled" || time.Now().After(until) })
	if n := h.gate.count(toOrder); n > asked && time.Now().Before(until) {
		h.t.Errorf("%d orders before the time that the CA named", n-asked)
	}
}
