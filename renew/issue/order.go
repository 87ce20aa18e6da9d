package issue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-acme/lego/v4/acme"
	"github.com/go-acme/lego/v4/acme/api"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// fresh places the order that was begun and brings it to its end.
func (a *attempt) fresh(o store.Order) (int, error) {
	placed, err := a.place()
	if err != nil {
		return 0, fmt.Errorf("placing the order: %w", err)
	}
	if err := a.s.sameOrigin(placed.Location); err != nil {
		return 0, &deadOrder{cause: err, tried: true}
	}
	o.URL = placed.Location
	// Durable at once: from here on a crash costs no order at all.
	if err := a.c.books.SetOrderURL(a.cert.Name, o.URL); err != nil {
		return 0, local(fmt.Errorf("noting the order's URL of %s: %w", a.cert.Name, err))
	}
	return a.finish(o, placed.Order)
}

// place sends newOrder (RFC 8555, section 7.4), naming the certificate that it
// replaces where there is one. CAs answer a predecessor that they do not like in
// as many ways as there are CAs, so any rejection that may come of it is tried
// once more without.
func (a *attempt) place() (acme.ExtendedOrder, error) {
	replaces := a.replaces()
	order, err := a.newOrder(replaces)
	if err == nil || replaces == "" || !mayBeReplaces(err) {
		return order, err
	}
	a.c.log.Info("ordering without naming the predecessor", "cert", a.cert.Name, "err", shown(err))
	return a.newOrder("")
}

func mayBeReplaces(err error) bool {
	p, ok := errors.AsType[*problem](err)
	return ok && !p.Limited && !p.is(badNonce, caa, invalidProfile, rateLimited, rejectedIdentifier,
		unsupportedIdentifier, userActionRequired, accountDoesNotExist)
}

func (a *attempt) newOrder(replaces string) (acme.ExtendedOrder, error) {
	if err := a.mayOrder(replaces); err != nil {
		return acme.ExtendedOrder{}, err
	}
	order, err := call(a.job, func() (acme.ExtendedOrder, error) {
		return a.core.Orders.NewWithOptions(a.cert.Names, &api.OrderOptions{Profile: a.profile, ReplacesCertID: replaces})
	})
	switch {
	case err == nil && order.Location == "":
		err = &garbled{"the CA created an order and did not say where (no Location)"}
	case err != nil && fromLego(err):
		// An order was created, but lego found that it is for other names
		// (RFC 8555, section 7.4: the CA must not change the request).
		err = &deadOrder{cause: refusing("the CA's order is not the one that was asked for: %w", err), tried: true}
	}
	return order, err
}

// fromLego tells whether an error is a verdict of lego's on an answer that it
// could read: all others come from the RoundTripper or the JSON decoder.
func fromLego(err error) bool {
	_, ours := errors.AsType[*problem](err)
	_, failure := errors.AsType[*renew.Failure](err)
	_, shape := errors.AsType[*garbled](err)
	_, wrongType := errors.AsType[*json.UnmarshalTypeError](err)
	_, noJSON := errors.AsType[*json.SyntaxError](err)
	_, network := errors.AsType[net.Error](err)
	_, dead := errors.AsType[*staleConn](err)
	_, wire := errors.AsType[*wireError](err)
	return !ours && !failure && !shape && !wrongType && !noJSON && !network && !dead && !wire && !canceled(err)
}

// resume goes on with an order that was placed before.
func (a *attempt) resume(o store.Order) (int, error) {
	if err := a.s.sameOrigin(o.URL); err != nil {
		return 0, &deadOrder{cause: err}
	}
	order, err := a.getOrder(o.URL)
	if p, ok := errors.AsType[*problem](err); ok && p.gone() {
		return 0, &deadOrder{cause: err}
	}
	if err != nil {
		return 0, fmt.Errorf("reading the order in flight: %w", err)
	}
	a.c.log.Info("going on with the order in flight", "cert", a.cert.Name, "order", o.URL, "status", clean(order.Status))
	a.clearAway(order)
	return a.finish(o, order)
}

// gone tells that the CA does not have, or does not give us, what was asked for.
func (p *problem) gone() bool {
	return !p.Limited && !p.is(accountDoesNotExist, badNonce) && (p.Status == http.StatusNotFound ||
		p.Type != "" && p.Status >= 400 && p.Status < 500)
}

func (a *attempt) getOrder(at string) (acme.Order, error) {
	order, err := call(a.job, func() (acme.ExtendedOrder, error) { return a.core.Orders.Get(at) })
	return order.Order, err
}

// finish brings an order to its certificate and commits that.
func (a *attempt) finish(o store.Order, order acme.Order) (int, error) {
	if !sameIdentifiers(order.Identifiers, o.Names) {
		return 0, &deadOrder{cause: refusing("the CA's order is not for the names that were asked for"), tried: true}
	}
	found := order.Status
	certURL, err := a.drive(o, order)
	if err != nil {
		return 0, err
	}
	if err := a.s.sameOrigin(certURL); err != nil {
		return 0, &deadOrder{cause: err, tried: true}
	}
	pem, err := call(a.job, func() ([]byte, error) {
		answer, _, err := a.core.Certificates.Get(certURL, true)
		return answer, err
	})
	if p, ok := errors.AsType[*problem](err); ok && p.gone() && found == acme.StatusValid {
		// Not where it was issued just now: a replica of the CA's may lag behind.
		return 0, &deadOrder{cause: fmt.Errorf("downloading the certificate: %w", err), tried: true}
	}
	if err != nil {
		return 0, fmt.Errorf("downloading the certificate: %w", err)
	}
	// An order that was valid when it was found may have been so for long.
	return a.commit(o, pem, found == acme.StatusValid)
}

// commit checks the CA's whole answer and makes it a version.
func (a *attempt) commit(o store.Order, answer []byte, old bool) (int, error) {
	key, err := keypair.DecodeKey(o.Key)
	if err != nil {
		return 0, local(fmt.Errorf("reading the key of the order of %s: %w", a.cert.Name, err))
	}
	now := time.Now()
	got, err := keypair.Accept(answer, key, keypair.Want{
		Names: o.Names, KeyType: o.KeyType, Now: now, Roots: a.s.roots, PublicCA: a.s.issuer.WellKnown != "",
	})
	if err != nil {
		// The order is over: to download the same answer again would be a loop.
		return 0, &deadOrder{cause: err, tried: !old}
	}
	if p := got.Pair; old && p.NotAfter.Sub(now) < p.NotAfter.Sub(p.NotBefore)/2 {
		return 0, &deadOrder{cause: fmt.Errorf("its certificate has less than half of its lifetime left")}
	}
	version, err := a.c.books.Commit(a.cert.Name, store.Bundle{
		Key: o.Key, Cert: got.Cert, Chain: got.Chain,
		Meta: store.Meta{
			Issuer: o.Issuer, Directory: o.Directory, Account: o.Account, Profile: o.Profile,
			Order: o.URL, Reason: o.Reason, IssuedAt: now.UTC(), Untrusted: got.Untrusted,
			Fingerprint: got.Pair.Fingerprint,
		},
	})
	if err != nil {
		return 0, local(fmt.Errorf("committing the new version of %s: %w", a.cert.Name, err))
	}
	// Power may fail here: the version is whole, and names its order, so that the
	// order is known to be over the next time.
	if err := a.end(); err != nil {
		a.c.log.Warn("the order stays noted", "cert", a.cert.Name, "order", o.URL, "err", err)
	}
	return version, nil
}

// maxFinalized is how often in one attempt an order is finalized that shows nothing
// of it afterwards.
const maxFinalized = 3

// drive brings an order through its states (RFC 8555, section 7.1.6) to valid
// and returns its certificate's URL.
func (a *attempt) drive(o store.Order, order acme.Order) (string, error) {
	var p pace
	var err error
	asked := o.URL // whose Retry-After counts
	authorized, odd, taken := false, false, 0
	for {
		again := true // ask for the order's state after a wait
		switch order.Status {
		case acme.StatusPending:
			if !authorized {
				if err := a.authorize(order); err != nil {
					return "", err
				}
				// Most CAs have it ready now, so finalize says more than a look.
				authorized, again, order.Status = true, false, acme.StatusReady
			}
		case acme.StatusReady:
			if taken == maxFinalized {
				return "", &garbled{"the order stays ready although the CA took what finalizes it"}
			}
			authorized = true
			asked = order.Finalize
			if order, err = a.finalize(o, order); err != nil {
				return "", err
			}
			if order.Status != acme.StatusPending { // which is orderNotReady
				taken++
			}
			again = order.Status != acme.StatusValid && order.Status != acme.StatusInvalid
		case acme.StatusProcessing:
		case acme.StatusValid:
			if order.Certificate != "" {
				return order.Certificate, nil
			}
		case acme.StatusInvalid:
			return "", &deadOrder{cause: invalid(order), tried: authorized}
		default:
			if odd {
				return "", &deadOrder{cause: &garbled{"the CA's order has a status that there is not: " + quote(order.Status)}, tried: authorized}
			}
			odd = true // an answer to a POST may just not name it: the order does
		}
		if !again {
			continue
		}
		status := order.Status
		if err = p.wait(a.job.ctx, a.job.hint(asked)); err == nil {
			asked = o.URL
			order, err = a.getOrder(o.URL)
		}
		if err != nil {
			return "", fmt.Errorf("waiting for the order, which is %s: %w", status, err)
		}
	}
}

// finalize sends the CSR (RFC 8555, section 7.4). Where the CA says no, the
// order itself tells what to make of it: the reply to an earlier finalize may
// have been lost.
func (a *attempt) finalize(o store.Order, order acme.Order) (acme.Order, error) {
	if err := a.s.sameOrigin(order.Finalize); err != nil {
		return order, &deadOrder{cause: err, tried: true}
	}
	if err := a.mayFinalize(o.URL, order.Replaces); err != nil {
		return order, fmt.Errorf("finalizing the order: %w", err)
	}
	done, err := call(a.job, func() (acme.ExtendedOrder, error) {
		return a.core.Orders.UpdateForCSR(order.Finalize, o.CSR)
	})
	if err == nil {
		return done.Order, nil
	}
	if _, network := errors.AsType[net.Error](err); network || canceled(err) {
		return order, fmt.Errorf("finalizing the order: %w", err)
	}
	p, ok := errors.AsType[*problem](err)
	if ok && (p.Limited || p.Status >= 500 || p.is(accountDoesNotExist, badNonce)) {
		return order, fmt.Errorf("finalizing the order: %w", err)
	}
	now, getErr := a.getOrder(o.URL)
	if getErr != nil {
		return order, fmt.Errorf("reading the order after finalize: %w", getErr)
	}
	switch {
	case now.Status != acme.StatusReady:
		return now, nil
	case ok && p.is(orderNotReady):
		now.Status = acme.StatusPending // not ready after all: wait before the next try
		return now, nil
	}
	err = fmt.Errorf("finalizing the order: %w", err)
	if !ok || p.Type == "" {
		return order, err // not the CA's own word: a firewall, a portal, a cut connection
	}
	return order, &deadOrder{cause: err, tried: true}
}

// invalid is why the CA gave the order up.
func invalid(order acme.Order) error {
	if order.Error == nil {
		return refusing("the CA gave the order up (invalid), and does not say why")
	}
	return fmt.Errorf("the CA gave the order up: %w", reported(order.Error))
}

// reported makes our problem of one that lego parsed out of an object.
func reported(p *acme.ProblemDetails) *problem {
	kind, _ := strings.CutPrefix(p.Type, errorPrefix)
	detail := p.Detail
	var names []string
	for _, sub := range p.SubProblems {
		detail += "; " + sub.Identifier.Value + ": " + sub.Detail
		names = append(names, sub.Identifier.Value)
	}
	return &problem{Status: p.HTTPStatus, Type: clean(kind), Detail: clean(detail), Names: names, Limited: kind == rateLimited}
}

// sameIdentifiers tells whether the order is for exactly these names.
func sameIdentifiers(got []acme.Identifier, names []string) bool {
	var values []string
	for _, id := range got {
		value := id.Value
		if ip := net.ParseIP(value); id.Type == "ip" && ip != nil {
			value = ip.String()
		}
		values = append(values, value)
	}
	slices.Sort(values)
	return slices.Equal(slices.Compact(values), slices.Compact(slices.Sorted(slices.Values(names))))
}
