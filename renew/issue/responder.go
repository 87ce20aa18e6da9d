package issue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew/config"
)

// Limits of the responder: whoever reaches port 80 can talk to it.
const (
	challengePath   = "/.well-known/acme-challenge/" // RFC 8555, section 8.3
	responderHeader = 5 * time.Second
	responderWhole  = 10 * time.Second
	responderDrain  = 2 * time.Second
	responderBytes  = 8 << 10 // of request headers
	responderConns  = 256     // at once, for each address
)

// Responder answers http-01 validations for every "http" solver. It is shared by
// all Clients: sockets outlive a reload of the configuration.
//
// An address is listened on only while a challenge is pending, so that nothing
// needs to be open for the rest of the year; sockets that systemd passed are
// kept, since they would be lost.
type Responder struct {
	log *slog.Logger

	mu     sync.Mutex
	tokens map[string]*pending
	bound  map[string]*endpoint // by address
	passed map[string]bool      // solver names whose sockets were passed in
	kept   []*endpoint          // on those sockets
}

// pending is a token that is answered for, by so many at once.
type pending struct {
	answer string
	users  int
}

// endpoint is one listener, with so many challenges that need it.
type endpoint struct {
	listener net.Listener
	server   *http.Server
	users    int
}

// close frees the address at once, and lets validations that are being answered
// have their answer.
func (e *endpoint) close() {
	_ = e.listener.Close() // it is gone either way
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), responderDrain)
		defer cancel()
		if e.server.Shutdown(ctx) != nil {
			_ = e.server.Close()
		}
	}()
}

// NewResponder returns a Responder. sockets are listeners that were passed in,
// by solver label; it owns them, and serves on them at once.
func NewResponder(sockets map[string][]net.Listener, logger *slog.Logger) *Responder {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	r := &Responder{
		log:    logger,
		tokens: make(map[string]*pending),
		bound:  make(map[string]*endpoint),
		passed: make(map[string]bool),
	}
	for name, listeners := range sockets {
		for _, l := range listeners {
			r.passed[name] = true
			r.kept = append(r.kept, r.serve(l))
		}
	}
	return r
}

// Close closes every listener, those that were passed in too.
func (r *Responder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, e := range r.kept {
		errs = append(errs, e.server.Close())
	}
	for address, e := range r.bound {
		errs = append(errs, e.server.Close())
		delete(r.bound, address)
	}
	r.kept = nil
	return errors.Join(errs...)
}

// present answers for token until withdraw is called. When it returns, every
// address of the solver is being listened on.
func (r *Responder) present(solver config.Solver, token, answer string) (withdraw func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var opened []string
	if !r.passed[solver.Name] {
		for _, address := range solver.Listen {
			if err := r.open(address); err != nil {
				r.release(opened)
				return nil, local(err)
			}
			opened = append(opened, address)
		}
		if len(opened) == 0 {
			return nil, misconfigured("solver %q has no address to listen on", solver.Name)
		}
	}
	p := r.tokens[token]
	if p == nil {
		p = &pending{}
		r.tokens[token] = p
	}
	p.answer = answer
	p.users++
	return sync.OnceFunc(func() { r.withdraw(token, opened) }), nil
}

func (r *Responder) withdraw(token string, opened []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.tokens[token]; p != nil {
		if p.users--; p.users == 0 {
			delete(r.tokens, token)
		}
	}
	r.release(opened)
}

// open listens on address, unless that is done already. r.mu is held.
func (r *Responder) open(address string) error {
	if e := r.bound[address]; e != nil {
		e.users++
		return nil
	}
	l, err := net.Listen(family(address), address)
	if err != nil {
		return explainListen(address, err)
	}
	e := r.serve(l)
	e.users = 1
	r.bound[address] = e
	return nil
}

// release gives addresses up that nobody needs any more. r.mu is held.
func (r *Responder) release(addresses []string) {
	for _, address := range addresses {
		e := r.bound[address]
		if e == nil {
			continue // closed meanwhile
		}
		if e.users--; e.users > 0 {
			continue
		}
		delete(r.bound, address)
		e.close()
	}
}

// family picks the network of an address: ":80" is IPv4 and IPv6 in one socket,
// a literal address is its own family alone, so that both can be listed.
func family(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "tcp"
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "tcp"
	case ip.Is4():
		return "tcp4"
	default:
		return "tcp6"
	}
}

func (r *Responder) serve(l net.Listener) *endpoint {
	server := &http.Server{
		Handler:           r,
		ReadHeaderTimeout: responderHeader,
		ReadTimeout:       responderWhole,
		WriteTimeout:      responderWhole,
		MaxHeaderBytes:    responderBytes,
		ErrorLog:          log.New(io.Discard, "", 0), // strangers' broken requests
	}
	server.SetKeepAlivesEnabled(false)
	go func() {
		err := server.Serve(&limited{Listener: l, slots: make(chan struct{}, responderConns)})
		if !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			r.log.Error("the http-01 responder stopped listening", "address", l.Addr().String(), "err", err)
		}
	}()
	return &endpoint{listener: l, server: server}
}

// ServeHTTP answers for exactly the tokens that are pending, and repeats nothing
// of the request.
func (r *Responder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	token, under := strings.CutPrefix(req.URL.Path, challengePath)
	answer, known := "", false
	if under && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
		answer, known = r.answer(token)
	}
	if !known {
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "not found\n")
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(answer)))
	_, _ = io.WriteString(w, answer)
}

func (r *Responder) answer(token string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p, ok := r.tokens[token]
	if !ok {
		return "", false
	}
	return p.answer, true
}

// limited is a listener with so many connections at once; more wait in the
// kernel's queue.
type limited struct {
	net.Listener
	slots chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.slots <- struct{}{}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &counted{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
}

type counted struct {
	net.Conn
	free func()
}

func (c *counted) Close() error {
	defer c.free()
	return c.Conn.Close()
}
