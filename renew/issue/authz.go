package issue

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"

	"github.com/certvigil/certvigil/renew"
)

// http01 is the challenge that both kinds of solver answer (RFC 8555, section
// 8.3).
const http01 = "http-01"

// There is no order with more authorizations than this; what claims to be one
// would only keep us busy.
const maxAuthorizations = 1000

// tokens is the alphabet of challenge tokens (RFC 8555, section 8.3). A token
// becomes a path: nothing else gets there.
var tokens = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// authorize proves control of every identifier of the order, all at once. It
// waits for all of them: the error names each that failed, and those that did
// not are proved for the next order too.
func (a *attempt) authorize(order acme.Order) error {
	urls := slices.Compact(slices.Sorted(slices.Values(order.Authorizations)))
	if len(urls) > maxAuthorizations {
		return &deadOrder{cause: refusing("the CA wants %d authorizations for %d names", len(urls), len(a.cert.Names)), tried: true}
	}
	all := make([]seen, len(urls))
	for i, at := range urls {
		all[i].url = at
	}
	a.each(all, a.look)
	if err := a.mayProve(all); err != nil {
		return err
	}
	a.each(all, a.prove)
	var errs []error
	for _, s := range all {
		errs = append(errs, s.err)
	}
	a.notFailed(all)
	return joined(errs)
}

// each does f with each authorization that can be gone on with, all at once. A
// panic is kept to the one authorization.
func (a *attempt) each(all []seen, f func(*seen) error) {
	var running sync.WaitGroup
	for i := range all {
		if s := &all[i]; s.err == nil {
			running.Go(func() {
				defer func() {
					if r := recover(); r != nil {
						s.err = a.c.panicked("authorizing "+a.cert.Name, r)
					}
				}()
				s.err = f(s)
			})
		}
	}
	running.Wait()
}

// look reads one authorization (RFC 8555, section 7.5).
func (a *attempt) look(s *seen) error {
	err := a.s.sameOrigin(s.url)
	if err != nil {
		return &deadOrder{cause: err, tried: true}
	}
	s.authz, err = a.getAuthorization(s.url)
	if p, ok := errors.AsType[*problem](err); ok && p.gone() {
		return &deadOrder{cause: fmt.Errorf("reading an authorization: %w", err)}
	}
	if err != nil {
		return fmt.Errorf("reading an authorization: %w", err)
	}
	return nil
}

// prove brings one authorization to valid (RFC 8555, section 7.5.1).
func (a *attempt) prove(s *seen) error {
	at, authz := s.url, s.authz
	name := clean(authz.Identifier.Value)
	switch authz.Status {
	case acme.StatusValid: // proved before, and used again
		return nil
	case acme.StatusPending:
	default:
		return &deadOrder{cause: &nameError{name, refusing("the CA's authorization is %s", quote(authz.Status))}}
	}
	challenge, err := choose(authz)
	if err != nil {
		return err
	}
	if !tokens.MatchString(challenge.Token) {
		return &deadOrder{cause: refusing("%s: the CA's token is none: %s", name, quote(challenge.Token)), tried: true}
	}
	if err := a.s.sameOrigin(challenge.URL); err != nil {
		return &deadOrder{cause: err, tried: true}
	}
	answer, err := a.core.GetKeyAuthorization(challenge.Token)
	if err != nil {
		return local(fmt.Errorf("%s: making the key authorization: %w", name, err))
	}
	withdraw, err := a.c.publish(a.solver, challenge.Token, answer)
	if err != nil {
		return fmt.Errorf("%s: publishing the answer to the challenge: %w", name, err)
	}
	s.asked = true
	if objection, failed := a.accept(challenge); failed != nil {
		err = fmt.Errorf("%s: %w", name, failed)
	} else {
		err = a.await(at, name, objection)
	}
	_, decided := errors.AsType[*deadOrder](err)
	stopped := errors.Is(a.job.ctx.Err(), context.Canceled)
	if err == nil || decided || stopped || a.solver.Type != "http" {
		withdraw()
		return err
	}
	// The CA may be looking at this moment: an answer that is gone would make the
	// order invalid that the next attempt could have gone on with.
	time.AfterFunc(lingering, withdraw)
	return err
}

// lingering is how long an answer stays that nobody waits for any more.
const lingering = 5 * time.Second

func (a *attempt) getAuthorization(at string) (acme.Authorization, error) {
	return call(a.job, func() (acme.Authorization, error) { return a.core.Authorizations.Get(at) })
}

// choose picks the challenge that the solvers answer; others, known or not, are
// passed over.
func choose(authz acme.Authorization) (acme.Challenge, error) {
	var offered []string
	for _, c := range authz.Challenges {
		if c.Type == http01 {
			return c, nil
		}
		offered = append(offered, c.Type)
	}
	return acme.Challenge{}, &deadOrder{tried: true, cause: &nameError{clean(authz.Identifier.Value),
		misconfigured("it can't be proved by %s: the CA offers %s", http01, quote(strings.Join(offered, ", ")))}}
}

// accept tells the CA that it may look. One that it is looking at already, since
// a lost reply or a crash, is not sent again; neither is its objection to one
// that raced it worth more than the authorization's own state, at first.
func (a *attempt) accept(challenge acme.Challenge) (objection, err error) {
	if challenge.Status != acme.StatusPending && challenge.Status != "" {
		return nil, nil
	}
	_, err = call(a.job, func() (acme.ExtendedChallenge, error) { return a.core.Challenges.New(challenge.URL) })
	if err == nil {
		return nil, nil
	}
	err = fmt.Errorf("accepting the challenge: %w", err)
	if p, ok := errors.AsType[*problem](err); ok && p.is(malformed) {
		return err, nil
	}
	return nil, err
}

// objectionShare is the part of an attempt's time in which an authorization must
// be decided whose challenge the CA objected to.
const objectionShare = 10

// await polls an authorization until it is decided. objection is what the CA had
// against looking; nil without.
func (a *attempt) await(at, name string, objection error) error {
	ctx := a.job.ctx
	if objection != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, a.c.timeout/objectionShare, fmt.Errorf("%s: %w", name, objection))
		defer cancel()
	}
	p := pace{next: a.s.settle.first()}
	for polls := 1; ; polls++ {
		if err := p.wait(ctx, a.job.hint(at)); err != nil {
			if objection != nil && a.job.ctx.Err() == nil {
				return err
			}
			return fmt.Errorf("%s: waiting for the CA to validate it: %w", name, err)
		}
		authz, err := a.getAuthorization(at)
		if err != nil {
			return fmt.Errorf("%s: waiting for the CA to validate it: %w", name, err)
		}
		switch authz.Status {
		case acme.StatusPending:
		case acme.StatusValid:
			a.s.settle.observe(polls == 1)
			return nil
		default:
			return &deadOrder{tried: true, cause: &nameError{name, fmt.Errorf("the CA could not validate %s: %w", http01, objectionOf(authz))}}
		}
	}
}

// objectionOf is what the CA found at validation.
func objectionOf(authz acme.Authorization) error {
	for _, c := range authz.Challenges {
		if c.Error != nil {
			return reported(c.Error)
		}
	}
	return refusing("the authorization is %s, and the CA does not say why", quote(authz.Status))
}

// joined makes one error of those of several authorizations: the one that
// weighs most comes first, and gives the class.
func joined(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	slices.SortStableFunc(errs, func(a, b error) int { return weight(a) - weight(b) })
	tried, dead := false, false
	for _, err := range errs {
		if d, ok := errors.AsType[*deadOrder](err); ok {
			dead, tried = true, tried || d.tried
		}
	}
	var all error = &several{errs}
	if len(errs) == 1 {
		all = errs[0]
	}
	if dead {
		return &deadOrder{cause: all, tried: tried}
	}
	return all
}

func weight(err error) int {
	order := []renew.Class{renew.Bug, renew.Limited, renew.Local, renew.Config, renew.Refused, renew.Transient}
	return slices.Index(order, classOf(err))
}

// several is errors.Join in one line.
type several struct{ errs []error }

func (e *several) Error() string {
	var texts []string
	for _, err := range e.errs {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (e *several) Unwrap() []error { return e.errs }
