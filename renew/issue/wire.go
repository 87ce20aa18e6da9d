package issue

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme/api"
)

// job is one attempt's line to the CA: the RoundTripper under its lego cores.
//
// It breaks one rule of http.RoundTripper on purpose: an answer that is no
// success becomes an error ([problem]). So lego neither sleeps on a bad nonce,
// nor drops a Retry-After, nor dies of a body that is literally null.
type job struct {
	ctx context.Context
	s   *session

	mu       sync.Mutex // guards what follows
	hints    map[string]time.Duration
	reserved []string // nonces for calls that are about to be signed
}

func (s *session) job(ctx context.Context) *job {
	return &job{ctx: ctx, s: s, hints: make(map[string]time.Duration)}
}

// core returns lego's client for one key. With kid empty, requests carry the
// public key itself (RFC 8555, section 6.2), as registration must.
func (j *job) core(kid string, key crypto.Signer) (*api.Core, error) {
	if _, err := j.s.directory.get(j.ctx, j.s); err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport:     j,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return api.New(client, j.s.userAgent, j.s.issuer.Directory, kid, key)
}

// RoundTrip answers lego from the session where it can, and else asks the CA.
func (j *job) RoundTrip(req *http.Request) (*http.Response, error) {
	dir, err := j.s.directory.get(j.ctx, j.s)
	if err != nil {
		return nil, err
	}
	target := req.URL.String()
	if req.Method == http.MethodGet && target == j.s.issuer.Directory {
		return reply(req, http.StatusOK, make(http.Header), dir.raw), nil
	}
	if req.Method == http.MethodHead {
		if value, ok := j.nonce(); ok {
			return reply(req, http.StatusOK, http.Header{"Replay-Nonce": {value}}, nil), nil
		}
	}
	if err := j.s.sameOrigin(target); err != nil {
		return nil, err
	}
	answer, body, err := j.s.exchange(j.ctx, req)
	if err != nil {
		return nil, err
	}
	if req.Method != http.MethodHead {
		// lego's own pool stays empty: the nonces are everybody's.
		j.s.nonces.put(answer.Header.Get("Replay-Nonce"))
		answer.Header.Del("Replay-Nonce")
	}
	j.note(target, answer.Header)
	if err := verdict(answer, body); err != nil {
		return nil, j.s.rejected(err, target)
	}
	return reply(req, answer.StatusCode, answer.Header, body), nil
}

// reserve sees to it that the next call has a nonce. lego would fetch one while
// it signs, and of an error there only text is left.
func (j *job) reserve() error {
	value, ok := j.s.nonces.take()
	if !ok {
		var err error
		if value, err = j.s.newNonce(j.ctx); err != nil {
			return fmt.Errorf("fetching a nonce: %w", err)
		}
	}
	j.lend(value)
	return nil
}

// lend gives the next call a nonce.
func (j *job) lend(value string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.reserved = append(j.reserved, value)
}

// nonce returns a nonce that is at hand.
func (j *job) nonce() (string, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if n := len(j.reserved); n > 0 {
		value := j.reserved[n-1]
		j.reserved = j.reserved[:n-1]
		return value, true
	}
	return j.s.nonces.take()
}

// newNonce asks the CA for a nonce (RFC 8555, section 7.2).
func (s *session) newNonce(ctx context.Context) (string, error) {
	dir, err := s.directory.get(ctx, s)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, dir.NewNonceURL, nil)
	if err != nil {
		return "", &garbled{"the directory's newNonce is no URL"}
	}
	req.Header.Set("User-Agent", s.userAgent)
	answer, body, err := s.exchange(ctx, req)
	if err != nil {
		return "", err
	}
	if err := verdict(answer, body); err != nil {
		return "", s.rejected(err, dir.NewNonceURL)
	}
	value := answer.Header.Get("Replay-Nonce")
	if value == "" {
		return "", &garbled{"the CA's newNonce answers without a nonce"}
	}
	return value, nil
}

// note keeps the Retry-After of an answer for whoever polls that URL.
func (j *job) note(target string, header http.Header) {
	j.mu.Lock()
	defer j.mu.Unlock()
	delete(j.hints, target)
	if wait, ok := retryAfter(header, time.Now()); ok {
		j.hints[target] = max(wait, minHint) // zero means none
	}
}

// hint returns what the last answer at target said of when to come back.
func (j *job) hint(target string) time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.hints[target]
}

// sameOrigin refuses a URL that a CA named and that leads elsewhere: to another
// host it could make us send signed requests, or reach into our own network.
func (s *session) sameOrigin(target string) error {
	u, err := url.Parse(target)
	if err != nil || len(target) > 4096 {
		return refusing("the CA named a URL that can't be parsed: %s", quote(target))
	}
	if u.Scheme != "https" {
		return refusing("the CA named a URL that is not https: %s", quote(target))
	}
	if !strings.EqualFold(host(u), host(s.origin)) || u.User != nil {
		return refusing("the CA named a URL at another host than its directory's (%s): %s", s.origin.Host, quote(target))
	}
	return nil
}

func host(u *url.URL) string {
	if u.Port() == "" {
		return u.Host + ":443"
	}
	return u.Host
}

// exchange sends one request and reads the whole answer, within the limits of
// the session.
func (s *session) exchange(job context.Context, req *http.Request) (answer *http.Response, body []byte, err error) {
	defer func() {
		if err != nil && job.Err() != nil { // the transport does not tell the cause
			err = &wireError{"asking " + s.origin.Host, context.Cause(job)}
		}
	}()
	ctx := job
	if err := lock(ctx, s.slots); err != nil {
		return nil, nil, err
	}
	defer func() { <-s.slots }()
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()

	var trace reuse
	ctx = httptrace.WithClientTrace(ctx, trace.hooks())
	answer, err = s.wireTransport().RoundTrip(req.Clone(ctx))
	if err != nil {
		if trace.stale() && ctx.Err() == nil {
			return nil, nil, &staleConn{err}
		}
		return nil, nil, &wireError{"asking " + s.origin.Host, err}
	}
	defer answer.Body.Close()
	s.clock.note(answer.Header)
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxBody+1))
	if err != nil {
		return nil, nil, &wireError{"reading the answer of " + s.origin.Host, err}
	}
	if len(body) > maxBody {
		return nil, nil, &garbled{fmt.Sprintf("the answer of %s is longer than %d bytes", s.origin.Host, maxBody)}
	}
	if enc := answer.Header.Get("Content-Encoding"); enc != "" && enc != "identity" {
		return nil, nil, &garbled{fmt.Sprintf("the answer of %s is packed (%s) although that was not asked for", s.origin.Host, quote(enc))}
	}
	return answer, body, nil
}

// verdict turns an answer that is no success into an error.
func verdict(answer *http.Response, body []byte) error {
	switch {
	case answer.StatusCode >= 300:
		return newProblem(answer, body)
	case answer.Request != nil && answer.Request.Method == http.MethodHead:
		return nil
	case strings.HasPrefix(answer.Header.Get("Content-Type"), "application/pem-certificate-chain"),
		bytes.HasPrefix(body, []byte("-----BEGIN ")):
		return nil
	case len(bytes.TrimSpace(body)) == 0 || bytes.TrimSpace(body)[0] != '{' || !json.Valid(body):
		return &garbled{"the answer is no JSON object: " + quote(string(body[:min(len(body), 100)]))}
	}
	return nil
}

// rejected draws the consequences that an error has for the session.
func (s *session) rejected(err error, target string) error {
	p, ok := errors.AsType[*problem](err)
	if !ok {
		return err
	}
	if p.is(badNonce) {
		s.nonces.keepNewest()
	}
	if p.Status == http.StatusNotFound {
		s.directory.forgetIfNamed(target)
	}
	return err
}

func reply(req *http.Request, status int, header http.Header, body []byte) *http.Response {
	return &http.Response{
		Status: http.StatusText(status), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: req,
	}
}

// reuse finds out whether a request failed because the server had just closed
// the kept connection that it was sent on.
type reuse struct {
	mu      sync.Mutex
	reused  bool
	replied bool
}

func (r *reuse) hooks() *httptrace.ClientTrace {
	set := func(f func()) { r.mu.Lock(); defer r.mu.Unlock(); f() }
	return &httptrace.ClientTrace{
		GotConn:              func(i httptrace.GotConnInfo) { set(func() { r.reused = i.Reused }) },
		GotFirstResponseByte: func() { set(func() { r.replied = true }) },
	}
}

func (r *reuse) stale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reused && !r.replied
}

// wireError is an exchange that the network, or TLS, did not let happen.
type wireError struct {
	op  string
	err error
}

func (e *wireError) Error() string { return e.op + ": " + e.err.Error() }
func (e *wireError) Unwrap() error { return e.err }

// staleConn is a request that never reached anybody, as far as we can tell.
type staleConn struct{ err error }

func (e *staleConn) Error() string { return "the connection was closed: " + e.err.Error() }
func (e *staleConn) Unwrap() error { return e.err }
