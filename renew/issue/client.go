package issue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/store"
)

// Books is where accounts, orders in flight and versions are kept. Each writing
// method returns only when what it wrote survives a power failure.
type Books interface {
	Account(directory, eabKeyID string) (store.Account, bool, error)
	SaveAccount(store.Account) error
	HoldAccount(directory, eabKeyID string, until time.Time) error
	Order(name string) (store.Order, bool, error)
	BeginOrder(name string, o store.Order) error
	SetOrderURL(name, url string) error
	EndOrder(name string) error
	Ledger(directory, eabKeyID string, change func(*renew.Ledger) error) error
	Read(name string, n int) (store.Bundle, error)
	Commit(name string, b store.Bundle) (int, error)
}

// Options is what a Client needs.
type Options struct {
	Books     Books
	Issuers   map[string]config.Issuer // by label
	Solvers   map[string]config.Solver // by "type.label"
	Responder *Responder               // answers the "http" solvers; may be nil where there is none
	Log       *slog.Logger             // nil discards
	UserAgent string                   // default "certvigil"

	// OrderTimeout bounds one call of Issue, beside its context; default 10
	// minutes. An order that is still processing then, or that failed at something
	// that may pass, is gone on with at the next call, until it is six times as old;
	// sooner where the certificate is short or nothing valid is held.
	OrderTimeout time.Duration
	// RequestTimeout bounds one request, from its first byte to the last of the
	// answer; default 60 s.
	RequestTimeout time.Duration

	// Limits are those of CAs by their directory's URL; default
	// [renew.PublishedLimits].
	Limits func(directory string) renew.Limits
}

// Limits of a Client; see [Options].
const (
	defaultOrderTimeout   = 10 * time.Minute
	defaultRequestTimeout = 60 * time.Second
)

// Client issues certificates. Its methods may be called concurrently, for
// different certificates.
type Client struct {
	books     Books
	solvers   map[string]config.Solver
	sessions  map[string]*session // by the issuer's label
	responder *Responder
	webroots  *webroots
	log       *slog.Logger
	timeout   time.Duration
}

// New returns a Client. It neither uses the network nor waits, so it may be
// called for every reload of the configuration.
func New(o Options) (*Client, error) {
	if o.Books == nil {
		return nil, errors.New("building the issuing client: Books is missing")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.UserAgent == "" {
		o.UserAgent = "certvigil"
	}
	if o.OrderTimeout <= 0 {
		o.OrderTimeout = defaultOrderTimeout
	}
	if o.RequestTimeout <= 0 {
		o.RequestTimeout = defaultRequestTimeout
	}
	if o.Limits == nil {
		o.Limits = renew.PublishedLimits
	}
	c := &Client{
		books:     o.Books,
		solvers:   o.Solvers,
		sessions:  make(map[string]*session, len(o.Issuers)),
		responder: o.Responder,
		webroots:  newWebroots(),
		log:       o.Log,
		timeout:   o.OrderTimeout,
	}
	for label, issuer := range o.Issuers {
		s, err := newSession(issuer, o)
		if err != nil {
			return nil, fmt.Errorf("building the client of issuer %q: %w", label, err)
		}
		c.sessions[label] = s
	}
	return c, nil
}

// Close lets go of idle connections. Orders that are being placed go on.
func (c *Client) Close() {
	for _, s := range c.sessions {
		s.close()
	}
}

// Issue obtains a certificate from the first of its issuers, or goes on with the
// order that is in flight, and commits it as a new version, whose number it
// returns. held is the version that it is to replace; reason is noted down with
// the new one. The error is always a [*renew.Failure].
//
// It returns within about 100 ms of the end of ctx; the order then stays in
// flight.
func (c *Client) Issue(ctx context.Context, cert renew.Cert, held renew.Version, reason renew.Reason) (version int, err error) {
	op := "issuing " + cert.Name
	defer func() {
		if r := recover(); r != nil {
			version, err = 0, c.panicked(op, r)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	a, err := c.attempt(ctx, cert, held, reason)
	if err == nil {
		version, err = a.run()
	}
	if err != nil {
		return 0, c.classify(op, err, a)
	}
	a.s.busy.over()
	a.noteTerms()
	return version, nil
}

// attempt finds what the certificate's configuration names.
func (c *Client) attempt(ctx context.Context, cert renew.Cert, held renew.Version, reason renew.Reason) (*attempt, error) {
	if len(cert.Issuers) == 0 || len(cert.Names) == 0 {
		return nil, misconfigured("certificate %q has no issuer or no names", cert.Name)
	}
	label := cert.Issuers[0].Name
	s, ok := c.sessions[label]
	if !ok {
		return nil, misconfigured("there is no issuer %q", label)
	}
	solver, ok := c.solvers[cert.Solver]
	if !ok {
		return nil, misconfigured("there is no solver %q", cert.Solver)
	}
	return &attempt{
		c: c, s: s, cert: cert, held: held, reason: reason, solver: solver,
		profile: cert.Issuers[0].Profile,
		job:     s.job(ctx),
	}, nil
}

// panicked turns a panic into a failure: one certificate's must not end the
// agent, which all the others depend on.
func (c *Client) panicked(op string, value any) *renew.Failure {
	c.log.Error("panic", "step", op, "err", fmt.Sprint(value), "stack", string(debug.Stack()))
	return &renew.Failure{Op: op, Class: renew.Bug, Err: fmt.Errorf("panic: %s", clean(fmt.Sprint(value)))}
}
