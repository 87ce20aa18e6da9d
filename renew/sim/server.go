package sim

import (
	"context"
	"errors"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/sim/oracle"
)

const (
	hookTimeout = 30 * time.Second
	killTime    = 5 * time.Second
	reloadTime  = time.Second
)

var (
	errTest = errors.New("hook server: test: exit status 1: another site's file is missing")
	errHook = errors.New("hook server: reload: exit status 1")
	errHung = errors.New("hook server: reload: ended by its timeout")
)

// Run is the operator's hook: it tests, then reloads the one server of the host,
// at the pace that [hooks.Runner] keeps. Who asks before the next run begins is
// served with it.
func (p *process) Run(_ context.Context, _ hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	h := p.host
	if p.dead {
		return hooks.Result{}, errDead
	}
	c := h.find(e.Cert)
	if asked := h.now + p.elapsed; p.ran < asked {
		p.ran = max(asked, p.ran+reloadTime+spacing)
	}
	p.elapsed = p.ran + reloadTime - h.now
	switch {
	case c.hookHangs > 0:
		c.hookHangs--
		p.elapsed += hookTimeout + killTime
		h.note(c, "the hook hangs")
		return hooks.Result{}, errHung
	case c.hookFails > 0:
		c.hookFails--
		h.note(c, "the hook fails")
		return hooks.Result{}, errHook
	case !h.loadable():
		return hooks.Result{}, errTest
	case c.reloadLies > 0:
		c.reloadLies--
		h.note(c, "the reload returns 0 and does nothing")
	default:
		h.load(false)
	}
	h.result.Reloads++
	return hooks.Result{Reload: reloadTime}, nil
}

// loadable tells whether the server would take its files. A pair that is missing
// keeps it from loading any.
func (h *host) loadable() bool {
	if h.broken > 0 {
		return false
	}
	for _, c := range h.certs {
		if c.live == 0 || c.plan.Gone {
			continue // its site is not enabled
		}
		if v, _ := c.version(c.live); v.Fault != "" || v.N == 0 {
			return false
		}
	}
	return true
}

func (c *cert) version(n int) (renew.Version, int) {
	for i := len(c.versions) - 1; i >= 0; i-- {
		if c.versions[i].N == n {
			return c.versions[i], c.leafOf[i]
		}
	}
	return renew.Version{}, -1
}

// load has the server serve what is live.
func (h *host) load(outsider bool) {
	h.running = true
	for _, c := range h.certs {
		if c.live > 0 && !c.plan.Gone {
			_, leaf := c.version(c.live)
			h.serve(c, leaf, outsider)
		}
	}
}

// halt ends the server: nothing answers.
func (h *host) halt() {
	h.running = false
	for _, c := range h.certs {
		h.serve(c, -1, true)
	}
}

// serve notes in the history what clients see from now on.
func (h *host) serve(c *cert, leaf int, outsider bool) {
	if n := len(c.served); n > 0 && c.serving == leaf || c.plan.Gone {
		return
	}
	if n := len(c.served); n > 0 {
		c.served[n-1].To = h.now
	}
	c.serving = leaf
	s := oracle.Serving{Span: oracle.Span{From: h.now, To: forever}, None: leaf < 0, Outsider: outsider}
	if leaf >= 0 {
		l := c.leaves[leaf]
		s.Leaf = oracle.Leaf{NotBefore: l.notBefore, NotAfter: l.notAfter, Flaw: l.flaw, Lie: l.flaw != ""}
		h.note(c, "the server shows the certificate of day %.1f", l.notBefore.Hours()/24)
	}
	c.served = append(c.served, s)
}

// Prove is a look at the endpoint: what is loaded is what is shown.
func (p *process) Prove(_ context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof {
	h := p.host
	c := h.find(e.Address)
	h.result.Proofs++
	proof := renew.Proof{Address: e.Address, Version: version}
	if c.serving < 0 {
		proof.Unverifiable, proof.Error = true, "connection refused"
	} else {
		l := c.leaves[c.serving]
		proof.NotAfter = epoch.Add(l.notAfter)
		if proof.Fingerprint = c.fingerprint(c.serving); proof.Fingerprint == want.Fingerprint {
			proof.Served = true
		} else {
			proof.Error = "it answers with another certificate"
		}
	}
	if !proof.Served {
		p.elapsed += patience
	}
	proofs := make([]renew.Proof, len(names))
	for i, n := range names {
		proofs[i] = proof
		proofs[i].Name = n
	}
	return h.opts.Planted.proofs(proofs)
}

// fingerprint is that of the leaf at the place; empty where no version holds it
// any more.
func (c *cert) fingerprint(leaf int) string {
	for i := len(c.leafOf) - 1; i >= 0; i-- {
		if c.leafOf[i] == leaf {
			return c.versions[i].Fingerprint
		}
	}
	return "gone"
}
