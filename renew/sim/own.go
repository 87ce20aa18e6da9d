package sim

import (
	"math/rand/v2"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Own is an operator's own host: its certificates as they are configured, and
// what the CA issues them for.
type Own struct {
	Certs []renew.Cert
	Life  time.Duration
}

// none tells that there is no such host: a fleet is drawn.
func (o Own) none() bool { return len(o.Certs) == 0 }

// history draws the fate of the host from a seed.
func (o Own) history(m Model, seed uint64, length time.Duration) History {
	dice := rand.New(rand.NewPCG(seed, 1))
	h := History{Seed: seed, Length: length, human: m.Human, Deaf: dice.Float64() < m.Human.Never}
	for _, c := range o.Certs {
		h.Fallback = h.Fallback || len(c.Issuers) > 1
		h.Certs = append(h.Certs, plan{Life: o.Life, Names: len(c.Names), own: &c})
	}
	h.Faults = append(m.hostFaults(dice, h.Certs, length), m.fleetFaults(seed, length)...)
	byTime(h.Faults)
	return h
}

// as gives the simulated certificate the policy of an operator's own: what is
// not simulated (outputs, several hooks, key types, solvers) stays as it is for
// all. Issuers beyond the second are not simulated either.
func (p plan) as(c renew.Cert) renew.Cert {
	if p.own == nil {
		return c
	}
	c.LifetimeLeft, c.ARI, c.Rescue, c.Window = p.own.LifetimeLeft, p.own.ARI, p.own.Rescue, p.own.Window
	c.Issuers = c.Issuers[:min(len(c.Issuers), len(p.own.Issuers))]
	for _, h := range p.own.Hooks { // the one that is simulated waits as the first of them does that waits
		if w, ok := p.own.HookWindows[h]; ok && len(c.HookWindows) == 0 {
			c.HookWindows = map[string]renew.Window{c.Hooks[0]: w}
		}
	}
	return c
}
