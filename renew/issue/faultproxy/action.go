package faultproxy

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Action is what a rule does to a call.
type Action struct {
	name string
	do   func(*call)
}

// String returns the name that the history shows as the verdict.
func (a Action) String() string { return a.name }

// Tell calls told, then acts: a test that stops the client just then.
func Tell(told func(), a Action) Action {
	return Action{a.name, func(c *call) { told(); a.do(c) }}
}

// Delay passes the call on after d.
func Delay(d time.Duration) Action {
	return Action{"delay", func(c *call) {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			c.send(c.forward())
		case <-c.r.Context().Done():
			c.cut()
		case <-c.p.ctx.Done():
			c.cut()
		}
	}}
}

// Hang never answers, and the CA never hears of the call.
func Hang() Action { return Action{"hang", (*call).hang} }

// Stall sends n bytes of the CA's answer and then nothing more.
func Stall(n int) Action {
	return Action{fmt.Sprintf("stall after %d", n), func(c *call) {
		c.part(c.forward(), n)
		c.hang()
	}}
}

// Cut sends n bytes of the CA's answer and then cuts the connection.
func Cut(n int) Action {
	return Action{fmt.Sprintf("cut after %d", n), func(c *call) {
		c.part(c.forward(), n)
		c.cut()
	}}
}

// part sends the first n bytes of an answer that is said to be whole.
func (c *call) part(ans *answer, n int) {
	length := len(ans.body)
	if n >= length {
		length = n + 1 // there is always something missing
	}
	c.begin(ans, length)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(ans.body[:min(n, len(ans.body))])
	}
	_ = http.NewResponseController(c.w).Flush()
}

// Drop cuts the connection before the CA hears of the call.
func Drop() Action { return Action{"drop", (*call).cut} }

// Lose lets the CA do what was asked, and loses its answer.
func Lose() Action {
	return Action{"lose", func(c *call) { c.forward(); c.cut() }}
}

// Status answers in the CA's place, which never hears of the call. header are
// names and values in turn.
func Status(status int, contentType, body string, header ...string) Action {
	return Action{fmt.Sprintf("answer %d", status), func(c *call) {
		ans := &answer{status: status, header: http.Header{}, body: []byte(body)}
		if contentType != "" {
			ans.header.Set("Content-Type", contentType)
		}
		set(ans.header, header)
		c.send(ans)
	}}
}

// Problem answers with an ACME error (RFC 8555, section 6.7) in the CA's place,
// which never hears of the call.
func Problem(status int, kind, detail string, header ...string) Action {
	return Action{fmt.Sprintf("answer %d %s", status, kind), func(c *call) {
		ans := problem(status, kind, detail)
		set(ans.header, header)
		c.send(ans)
	}}
}

func set(h http.Header, pairs []string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
}

// Limited answers 429 rateLimited with a Retry-After of that shape.
func Limited(shape Shape) Action {
	return Action{"limited: " + shape.Name, func(c *call) {
		ans := problem(http.StatusTooManyRequests, "rateLimited", "too many requests")
		for _, value := range shape.Values(time.Now()) {
			ans.header.Add("Retry-After", value)
		}
		c.send(ans)
	}}
}

// Replay answers with the first good answer that there was to a call of this kind,
// its used nonce included; the CA never hears of the call. The first call of its
// kind is passed on.
func Replay() Action {
	return Action{"replay", func(c *call) {
		c.p.mu.Lock()
		ans := c.p.said[c.Kind]
		c.p.mu.Unlock()
		if ans == nil {
			ans = c.forward()
		}
		c.send(ans.clone())
	}}
}

// Duplicate sends the call to the CA twice, as a network that repeats it would.
// The client gets the first answer.
func Duplicate() Action {
	return Action{"duplicate", func(c *call) {
		ans := c.forward()
		status := c.CA
		c.forward()
		c.CA = status // the second time the nonce is bad: it counts for nothing
		c.send(ans)
	}}
}

// Redirect sends the client elsewhere, without asking the CA. A path leads to the
// proxy itself.
func Redirect(status int, to string) Action {
	return Action{"redirect", func(c *call) {
		target := to // an action may act for several calls at once
		if strings.HasPrefix(to, "/") {
			target = c.p.absolute(to)
		}
		c.send(&answer{status: status, header: http.Header{"Location": {target}}})
	}}
}
