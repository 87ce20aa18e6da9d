package issue

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-acme/lego/v4/acme"

	"github.com/certvigil/certvigil/renew"
)

// ledger changes what the account has spent, durably before the request goes out
// that spends it: a crash between the two costs a place, and never a limit. Where
// there is no room, the error is a Failure that waits for it.
func (a *attempt) ledger(change func(*renew.Ledger) error) error {
	issuer := a.s.issuer
	err := a.c.books.Ledger(issuer.Directory, issuer.EAB.KeyID, change)
	if o, ok := errors.AsType[*renew.Overspent](err); ok {
		return &renew.Failure{Class: renew.Limited, RetryAt: o.Until, Err: o}
	}
	if err != nil {
		return local(fmt.Errorf("noting what issuer %q was asked for: %w", issuer.Name, err))
	}
	return nil
}

// exempt tells whether an order that names its predecessor counts nowhere: those
// do that come within the time that the CA suggested.
func (a *attempt) exempt(replaces string) bool {
	return replaces != "" && a.reason == renew.ARIWindow
}

// same tells whether the CA issued for the exact names before: such an order
// counts by its set of names alone.
func (a *attempt) same() bool {
	return a.held.N > 0 && a.held.Directory == a.s.issuer.Directory && sameNames(a.held.Names, a.cert.Names)
}

// mayOrder spends a new order, where there is room for its certificate as well.
func (a *attempt) mayOrder(replaces string) error {
	if a.s.limits == (renew.Limits{}) || a.exempt(replaces) {
		return nil
	}
	order := renew.Claim{What: renew.SpentOrder, Limits: []renew.Limit{a.s.limits.Orders}}
	return a.ledger(func(l *renew.Ledger) error {
		now := time.Now().UTC()
		claims := a.certificate()
		if !a.same() {
			claims = append(claims, order)
		}
		if err := l.Room(now, claims...); err != nil {
			return err
		}
		if !a.same() {
			l.Spend(now, "", order)
		}
		return nil
	})
}

// mayFinalize spends a certificate. The order is what it is spent once for,
// however often finalize is sent.
func (a *attempt) mayFinalize(orderURL, replaces string) error {
	if a.s.limits == (renew.Limits{}) || a.exempt(replaces) {
		return nil
	}
	return a.ledger(func(l *renew.Ledger) error {
		now := time.Now().UTC()
		claims := slices.DeleteFunc(a.certificate(), func(c renew.Claim) bool { return l.Spent(orderURL, c) })
		if err := l.Room(now, claims...); err != nil {
			return err
		}
		l.Spend(now, orderURL, claims...)
		return nil
	})
}

func (a *attempt) certificate() []renew.Claim {
	claims := []renew.Claim{{What: renew.SpentSet, Of: a.cert.Set(), Limits: []renew.Limit{a.s.limits.Set}}}
	if a.same() {
		return claims
	}
	for _, d := range renew.RegisteredDomains(a.cert.Names) {
		claims = append(claims, renew.Claim{What: renew.SpentDomain, Of: d, Limits: []renew.Limit{a.s.limits.Domain}})
	}
	return claims
}

// seen is one authorization of the order, as the CA has it.
type seen struct {
	url   string
	authz acme.Authorization
	asked bool  // the CA was told to look
	err   error // why it can't be gone on with
}

// mayProve counts every name that is about to be proved as one that failed,
// until it did not. A name for which there is no room keeps that as its error;
// the others go on, so that they are proved for the next order too.
func (a *attempt) mayProve(all []seen) error {
	limits := []renew.Limit{renew.FailureLimit(time.Now(), &a.cert, a.held), a.s.limits.Failures}
	if !slices.ContainsFunc(all, undecided) {
		return nil
	}
	return a.ledger(func(l *renew.Ledger) error {
		now := time.Now().UTC()
		for i := range all {
			if !undecided(all[i]) {
				continue
			}
			name := clean(all[i].authz.Identifier.Value)
			claim := renew.Claim{What: renew.SpentAuthz, Of: name, Limits: limits}
			if l.Spent(all[i].url, claim) {
				continue
			}
			if o, ok := errors.AsType[*renew.Overspent](l.Room(now, claim)); ok {
				all[i].err = &nameError{name, &renew.Failure{Class: renew.Limited, RetryAt: o.Until, Err: o}}
				continue
			}
			l.Spend(now, all[i].url, claim)
		}
		return nil
	})
}

func undecided(s seen) bool { return s.err == nil && s.authz.Status == acme.StatusPending }

// notFailed takes back what mayProve counted of the authorizations that
// succeeded, or that the CA was not told of. Those that it may still look at
// stay counted, each once.
func (a *attempt) notFailed(all []seen) {
	var urls []string
	for _, s := range all {
		if s.authz.Status == acme.StatusPending && (s.err == nil || !s.asked) {
			urls = append(urls, s.url)
		}
	}
	if len(urls) == 0 {
		return
	}
	err := a.ledger(func(l *renew.Ledger) error {
		l.Return(time.Now().UTC(), urls...)
		return nil
	})
	if err != nil { // they count until they are old
		a.c.log.Warn("proved names stay counted as failed", "cert", a.cert.Name, "err", err)
	}
}
