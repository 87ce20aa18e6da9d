package faultproxy

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// The most that is read of a client's request.
const maxRequest = 1 << 20

// call is one call of the client's while it is dealt with.
type call struct {
	Event
	p      *Proxy
	w      http.ResponseWriter
	r      *http.Request
	body   []byte
	object string   // the path at the CA
	uri    string   // with its query
	order  string   // path of the order that it belongs to
	asked  resource // what the client signed
}

// answer is a whole answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a *answer) clone() *answer {
	return &answer{status: a.status, header: a.header.Clone(), body: slices.Clone(a.body)}
}

// ServeHTTP deals with one call of the client's.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c := p.call(w, r, body)
	defer c.publish()   // also where an action cuts the call off
	if c.object == "" { // of a directory that was rotated away
		c.Verdict = "moved away"
		c.send(problem(http.StatusNotFound, "malformed", "Page not found"))
		return
	}
	act, ok := p.pick(c)
	if !ok {
		c.Verdict = Passed
		c.send(c.forward())
		return
	}
	c.Verdict = act.name
	c.publish() // it may hang
	act.do(c)
}

// publish brings the history up to date.
func (c *call) publish() {
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	c.p.history[c.N-1] = c.Event
}

// call finds out what a request is.
func (p *Proxy) call(w http.ResponseWriter, r *http.Request, body []byte) *call {
	c := &call{p: p, r: r, body: body}
	c.w = &tap{ResponseWriter: w, c: c}
	c.object, c.uri = p.unrotate(r)
	known := p.atlas.find(c.object)
	c.order = known.order
	c.Event = Event{
		At: time.Now(), Kind: known.kind, Method: r.Method, Path: r.URL.Path,
		Account: known.account, Names: known.names, Origin: "https://" + r.Host + r.URL.EscapedPath(),
	}
	c.readJWS()
	p.mu.Lock()
	defer p.mu.Unlock()
	c.N = len(p.history) + 1
	p.history = append(p.history, c.Event)
	return c
}

// readJWS reads what the client signed (RFC 8555, section 6.2), without checking.
func (c *call) readJWS() {
	var jws struct{ Protected, Payload string }
	if json.Unmarshal(c.body, &jws) != nil {
		return
	}
	var protected struct{ Nonce, URL, Kid string }
	text, _ := base64.RawURLEncoding.DecodeString(jws.Protected)
	_ = json.Unmarshal(text, &protected)
	c.Nonce, c.Signed = protected.Nonce, protected.URL
	if protected.Kid != "" {
		c.Account = protected.Kid
	}
	text, _ = base64.RawURLEncoding.DecodeString(jws.Payload)
	_ = json.Unmarshal(text, &c.asked)
	if c.Kind == NewOrder {
		c.Names = c.asked.names()
	}
}

// forward asks the CA, whether or not the client still waits. A CA that can't be
// reached cuts the client off.
func (c *call) forward() *answer {
	ans, err := c.p.ask(c.p.ctx, c.r.Method, c.uri, c.r.Host, c.r.Header, c.body)
	if err != nil {
		c.Verdict += " (the CA can't be reached)"
		panic(http.ErrAbortHandler)
	}
	c.Asked++
	c.CA = ans.status
	if c.Kind == NewAccount && ans.good() {
		c.Account = ans.header.Get("Location")
	}
	c.p.atlas.learn(c, ans)
	c.p.limits.note(c, ans)
	c.p.keep(c.Kind, ans)
	c.p.rewrite(c, ans)
	return ans
}

// keep remembers the first good answer of each kind.
func (p *Proxy) keep(kind Kind, ans *answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.said[kind] == nil && ans.good() {
		p.said[kind] = ans.clone()
	}
}

// ask makes one request to the CA.
func (p *Proxy) ask(ctx context.Context, method, uri, host string, header http.Header, body []byte) (*answer, error) {
	target := "https://" + p.ca.Addr() + uri
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	req.Header.Del("Connection")
	req.Host = host // Pebble builds its URLs, and checks those that are signed, by it
	resp, err := p.upstream.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &answer{status: resp.StatusCode, header: resp.Header, body: text}, nil
}

// send gives the client an answer.
func (c *call) send(ans *answer) {
	c.begin(ans, len(ans.body))
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(ans.body)
	}
}

// begin sends the head of an answer whose body is said to have length bytes.
func (c *call) begin(ans *answer, length int) {
	for key, values := range ans.header {
		c.w.Header()[key] = values
	}
	if length > 0 {
		c.w.Header().Set("Content-Length", strconv.Itoa(length))
	} else {
		c.w.Header().Del("Content-Length")
	}
	c.w.WriteHeader(ans.status)
}

// hang waits until the client, or the test, has had enough.
func (c *call) hang() {
	select {
	case <-c.r.Context().Done():
	case <-c.p.ctx.Done():
	}
	panic(http.ErrAbortHandler)
}

// cut ends the connection, or with HTTP/2 the stream.
func (c *call) cut() { panic(http.ErrAbortHandler) }

// tap notes what the client was sent.
type tap struct {
	http.ResponseWriter
	c *call
}

func (t *tap) WriteHeader(status int) {
	t.c.Status, t.c.RetryAfter, t.c.Given = status, t.Header().Get("Retry-After"), t.Header().Get("Replay-Nonce")
	t.c.publish() // before the client can have it
	t.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (t *tap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// problem is a problem document (RFC 7807) of one of ACME's types.
func problem(status int, kind, detail string) *answer {
	body, _ := json.Marshal(map[string]any{"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": status})
	return &answer{status: status, header: http.Header{"Content-Type": {"application/problem+json"}}, body: body}
}

// absolute makes a URL at the proxy.
func (p *Proxy) absolute(path string) string {
	return (&url.URL{Scheme: "https", Host: p.addr, Path: path}).String()
}
