package sim

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// The agent's side of the CA's limits, with the core's own ledger, as package
// issue keeps it; and the CA's side, which counts by itself.

// certificate is what a certificate spends; what was issued before for the same
// names counts by these alone. Each certificate of a history has a registered
// domain of its own.
func certificate(limits renew.Limits, cc renew.Cert, same bool) []renew.Claim {
	list := []renew.Claim{{What: renew.SpentSet, Of: cc.Set(), Limits: []renew.Limit{limits.Set}}}
	if !same {
		list = append(list, renew.Claim{What: renew.SpentDomain, Of: cc.Name, Limits: []renew.Limit{limits.Domain}})
	}
	return list
}

// asking is an order that is about to be placed, or to be finalized.
type asking struct {
	ca     int
	cc     renew.Cert
	limits renew.Limits
	same   bool // the CA issued for the exact names before
	free   bool // nothing counts it
}

func (p *process) asking(ca int, cc renew.Cert, held renew.Version, why renew.Reason) asking {
	directory := cc.Issuers[0].Directory
	q := asking{ca: ca, cc: cc, limits: renew.PublishedLimits(directory)}
	q.same = held.Directory == directory && slices.Equal(held.Names, cc.Names)
	q.free = q.limits == (renew.Limits{}) || why == renew.ARIWindow && held.Directory == directory
	return q
}

// mayOrder spends an order, where there is room for its certificate as well.
func (p *process) mayOrder(q asking) error {
	if q.free {
		return nil
	}
	l, now := &p.host.cas[q.ca].ledger, p.now()
	list := certificate(q.limits, q.cc, q.same)
	order := renew.Claim{What: renew.SpentOrder, Limits: []renew.Limit{q.limits.Orders}}
	if !q.same {
		list = append(list, order)
	}
	if err := l.Room(now, list...); err != nil {
		return overspent(err)
	}
	if !q.same {
		l.Spend(now, "", order)
	}
	return nil
}

// mayFinalize spends a certificate.
func (p *process) mayFinalize(q asking) error {
	if q.free {
		return nil
	}
	l, now := &p.host.cas[q.ca].ledger, p.now()
	list := certificate(q.limits, q.cc, q.same)
	if err := l.Room(now, list...); err != nil {
		return overspent(err)
	}
	l.Spend(now, "", list...)
	return nil
}

func overspent(err error) error {
	if o := (*renew.Overspent)(nil); errors.As(err, &o) {
		return &renew.Failure{Class: renew.Limited, RetryAt: o.Until, Err: err}
	}
	return err
}

// mayProve counts every name as one that failed, until it did not.
func (p *process) mayProve(ca int, cc renew.Cert, held renew.Version) error {
	l, now := &p.host.cas[ca].ledger, p.now()
	limits := []renew.Limit{renew.FailureLimit(now, &cc, held), renew.PublishedLimits(cc.Issuers[0].Directory).Failures}
	for _, name := range cc.Names {
		claim := renew.Claim{What: renew.SpentAuthz, Of: name, Limits: limits}
		if err := l.Room(now, claim); err != nil {
			return overspent(err)
		}
	}
	for _, name := range cc.Names {
		l.Spend(now, p.attempt(name), renew.Claim{What: renew.SpentAuthz, Of: name})
	}
	return nil
}

// attempt is what a validation of name is counted under.
func (p *process) attempt(name string) string {
	return name + strconv.FormatInt(int64(p.host.now), 36)
}

// proved takes back what mayProve counted.
func (p *process) proved(ca int, cc renew.Cert) {
	for _, name := range cc.Names {
		p.host.cas[ca].ledger.Return(p.now(), p.attempt(name))
	}
}

// Limits is the highest count that the CA made in each of the buckets that Let's
// Encrypt publishes.
type Limits struct {
	Orders int // new orders of one account in three hours; 300 are let through
	Set    int // certificates of one exact set of names in seven days; 5
	Domain int // certificates of one registered domain in seven days; 50
	Failed int // failed validations of one name in an hour; 5
}

func (l Limits) worst(o Limits) Limits {
	return Limits{max(l.Orders, o.Orders), max(l.Set, o.Set), max(l.Domain, o.Domain), max(l.Failed, o.Failed)}
}

const week = 7 * day

// placed counts a new order; one for names that it issued for before does not
// count.
func (h *host) placed(a *authority, same bool) {
	h.result.Orders++
	if !same {
		a.orders = recent(a.orders, h.now, 3*time.Hour)
		h.result.Limits.Orders = max(h.result.Limits.Orders, len(a.orders))
	}
}

// exempt: what replaces a certificate of the same CA once its window has begun.
func (h *host) exempt(c *cert, ca int, held renew.Version) bool {
	l, ok := c.leafBy(held.Fingerprint)
	if !ok || l.ca != ca {
		return false
	}
	start, _ := l.window(h.now)
	return start <= h.now
}

// signed counts a certificate that is not exempt.
func (h *host) signed(c *cert) {
	c.issued = recent(c.issued, h.now, week)
	h.result.Limits.Set = max(h.result.Limits.Set, len(c.issued))
	h.result.Limits.Domain = max(h.result.Limits.Domain, len(c.issued))
}

// failed counts a validation that failed.
func (h *host) failed(c *cert, ca int) {
	c.failed[ca] = recent(c.failed[ca], h.now, time.Hour)
	h.result.Limits.Failed = max(h.result.Limits.Failed, len(c.failed[ca]))
}

// recent adds now to the list and drops what is older than the window.
func recent(list []time.Duration, now, window time.Duration) []time.Duration {
	i := 0
	for i < len(list) && list[i] <= now-window {
		i++
	}
	return append(append(list[:0], list[i:]...), now)
}
