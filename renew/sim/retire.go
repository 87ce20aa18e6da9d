package sim

import (
	"time"

	"github.com/certvigil/certvigil/renew"
)

// A certificate that clients have been refusing for so long is taken out of the
// configuration: its owner has gone, and there is nothing more to learn of it.
const (
	abandonAfter = 60 * day
	abandonEvery = 30 * day
)

// retire takes out what is abandoned, and comes back later.
func (h *host) retire() {
	h.events.add(event{at: h.now + abandonEvery, do: h.retire})
	changed := false
	for _, c := range h.certs {
		if !c.plan.Gone && h.now-c.good() > abandonAfter {
			h.note(c, "is given up by its owner")
			c.served[len(c.served)-1].To = h.now
			h.result.Years += float64(h.now) / float64(year)
			h.retired = append(h.retired, *c)
			c.plan.Gone, changed = true, true
		}
	}
	if changed {
		h.configure(h.config.Certs[0].Issuers)
	}
}

// good is when clients last got a certificate that they took.
func (c *cert) good() time.Duration {
	if s := c.served[len(c.served)-1]; s.None {
		return s.From
	} else {
		return s.Leaf.NotAfter
	}
}

// configure puts the certificates that are left in force, with their issuers.
func (h *host) configure(issuers []renew.Issuer) {
	cfg := *h.config
	cfg.Certs = nil
	for _, c := range h.certs {
		c.config.Issuers = issuers
		if !c.plan.Gone {
			cfg.Certs = append(cfg.Certs, c.config)
		}
	}
	h.config = &cfg
	if h.proc != nil {
		h.proc.agent.Reload(h.config, h.proc)
	}
}
