package sim

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// authority is one CA as this host sees it: what is wrong with it, and this
// host's account there.
type authority struct {
	out, brown, busy int
	deaf             int           // of those that are out, how many swallow what they are sent
	busyUntil        time.Duration // the latest end of the busy times in force
	life             time.Duration // the longest that it issues for, where its policy cuts

	// On the host's disk.
	registered bool
	holdUntil  time.Time
	ledger     renew.Ledger

	told   time.Duration // until when the CA asked this account to wait, as far as this host can know
	noted  bool          // that is on the disk
	orders []time.Duration
}

// forget is what the host forgets of the times that CAs asked for: all of it when
// its clock jumps, since that is what they are kept by, and what could not be
// written down when the agent ends.
func (h *host) forget(all bool) {
	for i := range h.cas {
		if a := &h.cas[i]; all || !a.noted {
			a.told = 0
		}
	}
}

// order is one that is in flight, as the books have it.
type order struct {
	placed bool // its URL is on the disk
	ca     int
	names  int // how many of the certificate's
	leaf   int // the place of what was issued for it; -1 while nothing was
	why    renew.Reason
}

// What the steps of an order take.
const (
	refusedTime  = time.Second
	timeoutTime  = time.Minute
	issueTime    = 8 * time.Second
	validateTime = 5 * time.Second
)

// brownFails is how many of the requests in a brownout fail.
const brownFails = 0.5

func failure(class renew.Class, text string) *renew.Failure {
	return &renew.Failure{Op: "ordering", Class: class, Err: errors.New(text)}
}

// What package issue makes of what CAs answer.
var (
	errRefused = failure(renew.Transient, "connection refused")
	errTimeout = failure(renew.Transient, "timeout")
	errServer  = failure(renew.Transient, "the CA answers 503")
	errCAA     = failure(renew.Refused, "the CA answers 403 caa: issuance is forbidden")
	errLie     = failure(renew.Refused, "what was issued is not what was asked for")
	errClock   = failure(renew.Local, "this host's clock is not the CA's: nothing is ordered until it is right")
)

func local(err error) error { return &renew.Failure{Op: "writing", Class: renew.Local, Err: err} }

// Issue obtains a certificate as package issue does, step by step: intent, order,
// validation, download, check, commit.
func (p *process) Issue(_ context.Context, cc renew.Cert, held renew.Version, why renew.Reason) (int, error) {
	h, ca := p.host, caOf(cc.Issuers[0].Directory)
	c, a := h.find(cc.Name), &h.cas[ca]
	hold := renew.HeldUntil(p.now(), a.holdUntil)
	if unnoted := renew.HeldUntil(p.now(), p.unnoted[ca]); unnoted.After(hold) {
		hold = unnoted
	}
	if p.now().Before(hold) && !h.opts.Planted.is(impatient) {
		return 0, &renew.Failure{Class: renew.Limited, RetryAt: hold, Err: errors.New("the CA asked for time")}
	}
	if err := p.signIn(c, ca); err != nil {
		return 0, err
	}
	if h.offset.Abs() > renew.ClockTolerance && !h.opts.Planted.is(clockTrusted) {
		return 0, errClock
	}
	q := p.asking(ca, cc, held, why)
	fits := c.order.placed && c.order.ca == ca && c.order.names == len(cc.Names)
	if !fits || h.opts.Planted.is(orderForgotten) {
		if err := p.place(c, q, why); err != nil {
			return 0, err
		}
	}
	if c.order.leaf < 0 {
		if err := p.validate(c, ca, cc, held); err != nil {
			c.order = order{}
			h.note(c, "validation at ca%d fails: %v", ca, err)
			return 0, err
		}
		if err := p.mayFinalize(q); err != nil {
			return 0, err
		}
		h.sign(c, ca, held, why)
	}
	p.elapsed += issueTime
	return p.commit(c, cc)
}

// signIn reaches the CA, and has an account there.
func (p *process) signIn(c *cert, ca int) error {
	h, a := p.host, &p.host.cas[ca]
	if h.now < a.told {
		h.result.Impolite = append(h.result.Impolite, Call{h.fate.Seed, h.fate.Host, h.now})
		h.note(c, "ca%d is asked although it asked for time", ca)
	}
	if err := p.reach(c, ca); err != nil {
		if f := (*renew.Failure)(nil); errors.As(err, &f) && f.Class == renew.Limited { // a limit binds the account
			a.told = a.busyUntil
			if a.noted, _ = p.write(); a.noted {
				a.holdUntil = f.RetryAt
			} else {
				p.unnoted[ca] = f.RetryAt
			}
		}
		return err
	}
	if !a.registered {
		does, err := p.write()
		if a.registered = does; err != nil {
			return local(err)
		}
	}
	return nil
}

// Enroll registers an account at a CA that may be needed.
func (p *process) Enroll(_ context.Context, cc renew.Cert) error {
	return p.signIn(p.host.find(cc.Name), caOf(cc.Issuers[0].Directory))
}

// place notes the intent, places an order and notes its URL.
func (p *process) place(c *cert, q asking, why renew.Reason) error {
	h := p.host
	if does, err := p.write(); !does || err != nil {
		return local(err)
	}
	if err := p.mayOrder(q); err != nil {
		return err
	}
	if c.order.placed && c.order.ca == q.ca && c.order.names == len(q.cc.Names) {
		h.result.Twice++
	}
	c.order = order{ca: q.ca, names: len(q.cc.Names), leaf: -1, why: why}
	h.placed(&h.cas[q.ca], q.same)
	does, err := p.write()
	if c.order.placed = does; err != nil {
		return local(err)
	}
	return nil
}

// reach asks whether the CA answers at all.
func (p *process) reach(c *cert, ca int) error {
	h := p.host
	a := &h.cas[ca]
	switch {
	case a.out > 0 && a.deaf > 0:
		p.elapsed += timeoutTime
		return errTimeout
	case a.out > 0:
		p.elapsed += refusedTime
		return errRefused
	case a.busy > 0:
		until := p.now().Add(min(a.busyUntil-h.now, day))
		return &renew.Failure{Op: "ordering", Class: renew.Limited, RetryAt: until, Err: errors.New("the CA answers 429 rateLimited")}
	case a.brown > 0:
		switch u := h.chance(c, uint64(h.now)); {
		case u < 0.3:
			p.elapsed += refusedTime
			return errServer
		case u < brownFails:
			p.elapsed += timeoutTime
			return errTimeout
		}
	}
	return nil
}

// chance is a number from [0, 1) that hangs on the certificate and what alone.
func (h *host) chance(c *cert, what uint64) float64 {
	x := h.fate.Seed ^ uint64(h.fate.Host)<<40 ^ uint64(c.index)<<32 ^ what*0x9e3779b97f4a7c15
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	x ^= x >> 31
	return float64(x>>11) / (1 << 53)
}

// drawn is what an agent draws for a certificate at a moment of its clock.
func (h *host) drawn(c *cert, at time.Time) float64 { return h.chance(c, uint64(at.UnixNano())) }

// validate is what the CA finds when it looks at the names.
func (p *process) validate(c *cert, ca int, cc renew.Cert, held renew.Version) error {
	h := p.host
	p.elapsed += validateTime
	if err := p.mayProve(ca, cc, held); err != nil {
		return err
	}
	dead := c.config.Names[len(c.config.Names)-1]
	bad := func(names []string, text string) error {
		h.failed(c, ca)
		return &renew.Failure{Op: "validating", Class: renew.Transient, Names: names, Err: errors.New(text)}
	}
	switch {
	case c.fails > 0:
		c.fails--
		return bad(cc.Names[:1], "the CA answers 400 dns: SERVFAIL")
	case c.burst > 0:
		return bad(cc.Names, "the CA answers 400 dns: SERVFAIL")
	case h.blocked > 0, c.aaaa > 0:
		return bad(cc.Names, "the CA answers 400 connection: port 80 does not answer")
	case c.caa > 0 && ca == 0:
		h.failed(c, ca)
		return errCAA
	case c.gone > 0 && slices.Contains(cc.Names, dead):
		return bad([]string{dead}, "the CA answers 400 dns: NXDOMAIN")
	}
	p.proved(ca, cc)
	return nil
}

// sign is the CA's act of issuing.
func (h *host) sign(c *cert, ca int, held renew.Version, why renew.Reason) {
	a := &h.cas[ca]
	life := c.plan.Life
	if c.plan.Cut {
		life = min(life, a.life)
	}
	l := leaf{notBefore: h.now - time.Hour, ca: ca, names: c.order.names, urgent: forever, revoked: forever}
	l.notAfter = l.notBefore + life
	if c.lies > 0 {
		c.lies--
		l.flaw = "wrong names"
	}
	if !h.exempt(c, ca, held) {
		h.signed(c)
	}
	c.leaves = append(c.leaves, l)
	c.order.leaf = len(c.leaves) - 1
	h.result.Issued++
	h.note(c, "ca%d issues for %s (%s)%s", ca, life, why, l.flaw)
}

// commit checks what was issued and makes a version of it.
func (p *process) commit(c *cert, cc renew.Cert) (int, error) {
	l := c.leaves[c.order.leaf]
	if l.flaw != "" && !p.host.opts.Planted.is(lieAccepted) {
		c.order = order{}
		return 0, errLie
	}
	does, err := p.write()
	n := 1
	if k := len(c.versions); k > 0 {
		n = c.versions[k-1].N + 1
	}
	if does {
		id := c.config.Name + "." + strconv.Itoa(c.order.leaf)
		issuer := issuerOf(c.order.ca)
		c.versions = append(c.versions, renew.Version{
			N: n, Fingerprint: id, CertID: id, Names: cc.Names, KeyType: cc.KeyType,
			NotBefore: epoch.Add(l.notBefore), NotAfter: epoch.Add(l.notAfter),
			Issuer: issuer.Name, Directory: issuer.Directory, Account: "1", Reason: c.order.why, IssuedAt: p.now(),
		})
		c.leafOf = append(c.leafOf, c.order.leaf)
		if n := len(c.bare); n > 0 {
			c.bare[n-1].To = min(c.bare[n-1].To, p.host.now)
		}
	}
	if err != nil {
		return 0, local(err)
	}
	// A note that the order is over that is lost costs nothing: what it brought is
	// recognised as the version that is held.
	if _, err := p.write(); !errors.Is(err, errDead) {
		c.order = order{}
	}
	return n, nil
}
