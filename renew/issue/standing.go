package issue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// Standing is how a CA stands, and this host's account at it.
type Standing struct {
	At  time.Time // when the CA had answered, or had not
	Err error     // why it could not be, a [*renew.Failure]; what follows is then what it said before, if anything

	Known      bool          // the directory is known: what follows is its word
	Ahead      time.Duration // the CA's clock less this host's, to about a second; zero where the CA shows none
	Terms      string        // URL of its terms of service; empty where it has none
	Identities []string      // the names that a CAA record may know it by (RFC 8555, section 7.1.1: caaIdentities)
	Profiles   []string      // that it offers, sorted

	Account    string // its URL; empty where none is registered
	Agreed     string // the terms under which the last order was placed; empty where nobody noted them
	AccountErr error  // what is wrong with the account, a [*renew.Failure]: Refused by the CA's word, Local where it can't be read here
}

// standing is the last Standing of a session.
type standing struct {
	asking chan struct{} // held while the CA is asked

	mu   sync.Mutex // guards last
	last Standing
}

func (s *standing) init() { s.asking = make(chan struct{}, 1) }

func (s *standing) within(age time.Duration) (Standing, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := time.Since(s.last.At)
	return s.last, !s.last.At.IsZero() && since >= 0 && since <= age
}

// Standing asks the CA of an issuer how it and the account stand, or returns what
// it said at most age ago: a thousand certificates of one account cost it one
// question. It places no order and registers nothing. The error is one where
// there is no such issuer, or ctx ended.
func (c *Client) Standing(ctx context.Context, issuer string, age time.Duration) (now Standing, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = c.panicked("asking issuer "+issuer, r)
		}
	}()
	s, ok := c.sessions[issuer]
	if !ok {
		return Standing{}, misconfigured("there is no issuer %q", issuer)
	}
	if err := lock(ctx, s.standing.asking); err != nil {
		return Standing{}, err
	}
	defer func() { <-s.standing.asking }()
	if last, fresh := s.standing.within(age); fresh {
		return last, nil
	}
	now = c.ask(ctx, s)
	if ctx.Err() != nil {
		return Standing{}, context.Cause(ctx) // who left says nothing of the CA
	}
	now.At = time.Now() // after the answer: those who waited for it share a timeout too
	s.standing.mu.Lock()
	defer s.standing.mu.Unlock()
	s.standing.last = now
	return now, nil
}

func (c *Client) ask(ctx context.Context, s *session) Standing {
	op := "asking issuer " + s.issuer.Name
	var now Standing
	dir, err := retry(ctx, func() (*listing, error) { return s.fetchDirectory(ctx) })
	if err == nil {
		s.directory.keep(dir)
		now.Ahead = dir.ahead
	} else {
		now.Err = c.classify(op, fmt.Errorf("fetching the directory: %w", err), nil)
		dir = s.directory.cached(directoryStaleAge)
	}
	if dir != nil {
		now.Known, now.Terms = true, clean(dir.Meta.TermsOfService)
		now.Identities, now.Profiles = dir.Meta.CaaIdentities, slices.Sorted(maps.Keys(dir.Meta.Profiles))
	}
	account, found, err := c.books.Account(s.issuer.Directory, s.issuer.EAB.KeyID)
	if err != nil {
		now.AccountErr = c.classify(op, local(fmt.Errorf("looking up its account: %w", err)), nil)
		return now
	}
	now.Account, now.Agreed = account.URL, account.Terms
	if found && account.URL != "" && now.Err == nil {
		c.askAccount(ctx, s, account, &now)
	}
	return now
}

// askAccount reads the account at the CA (RFC 8555, sections 6.3 and 7.1.2).
func (c *Client) askAccount(ctx context.Context, s *session, account store.Account, now *Standing) {
	op := "asking for the account at issuer " + s.issuer.Name
	key, err := keypair.DecodeKey(account.Key)
	if err != nil {
		now.AccountErr = c.classify(op, local(fmt.Errorf("reading its key: %w", err)), nil)
		return
	}
	job := s.job(ctx)
	core, err := job.core(account.URL, key)
	if err != nil {
		now.Err = c.classify(op, err, nil)
		return
	}
	theirs, err := retry(ctx, func() (acme.Account, error) {
		// A nonce of its own: a question must not use up what an order counts on.
		nonce, err := s.newNonce(ctx)
		if err != nil {
			return acme.Account{}, fmt.Errorf("fetching a nonce: %w", err)
		}
		job.lend(nonce)
		return core.Accounts.Get(account.URL)
	})
	p, answered := errors.AsType[*problem](err)
	switch {
	case err == nil && theirs.Status != "" && theirs.Status != acme.StatusValid:
		now.AccountErr = c.classify(op, refusing("the account is %s", quote(theirs.Status)), nil)
	case err == nil || answered && p.Limited: // a CA that asks for time refuses nothing
	case answered && p.Status < http.StatusInternalServerError && p.Type != "":
		now.AccountErr = c.classify(op, refusing("%v", p), nil)
	default:
		now.Err = c.classify(op, err, nil)
	}
}

// noteTerms keeps in mind under which terms an order was placed, so that others
// can be told of. Failing that costs a finding, not a certificate.
func (a *attempt) noteTerms() {
	terms := clean(a.dir.Meta.TermsOfService)
	if a.account.Terms == terms || lock(a.job.ctx, a.s.account) != nil {
		return
	}
	defer func() { <-a.s.account }()
	issuer := a.s.issuer
	account, found, err := a.c.books.Account(issuer.Directory, issuer.EAB.KeyID) // a hold may have come since
	if err == nil && found && account.Terms != terms {
		account.Terms = terms
		err = a.c.books.SaveAccount(account)
	}
	if err != nil {
		a.c.log.Warn("the CA's terms were not noted", "issuer", issuer.Name, "err", err)
	}
}

// clockAhead is the server's clock less ours, from the header fields Date and
// Age (RFC 9110, section 6.6.1; RFC 9111, section 5.1).
func clockAhead(header http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return 0
	}
	if age, err := strconv.ParseUint(header.Get("Age"), 10, 31); err == nil {
		date = date.Add(time.Duration(age) * time.Second)
	}
	return date.Sub(now).Round(time.Second)
}

// Refused tells whether what is wrong with the account is the CA's word.
func (s Standing) Refused() bool {
	return s.AccountErr != nil && renew.ClassOf(s.AccountErr) == renew.Refused
}
