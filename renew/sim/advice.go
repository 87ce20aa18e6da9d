package sim

import (
	"context"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// When a CA is to be asked again (RFC 9773, section 4.3.2), as package issue
// clamps it for short lifetimes.
const (
	pollEvery = 6 * time.Hour
	pollShare = 20
)

// Advise asks the CA when to renew (RFC 9773).
func (p *process) Advise(_ context.Context, cc renew.Cert, held renew.Version) (renew.Advice, error) {
	h, now := p.host, p.now()
	c := h.find(cc.Name)
	ca := caOf(held.Directory)
	if err := p.reach(c, ca); err != nil {
		return renew.Advice{}, err
	}
	poll := pollEvery
	if life := held.Lifetime(); life < 10*day {
		poll = min(poll, life/pollShare)
	}
	answer := renew.Advice{CertID: held.CertID, FetchedAt: now, PollAt: now.Add(poll)}
	if c.garbage > 0 {
		c.garbage--
		return answer, nil // package issue makes that of what makes no sense
	}
	if l, ok := c.leafBy(held.Fingerprint); ok {
		start, end := l.window(h.now)
		answer.Start, answer.End = epoch.Add(start), epoch.Add(end)
	}
	return answer, nil
}

func caOf(directory string) int {
	if directory == issuerOf(1).Directory {
		return 1
	}
	return 0
}

// window is what the CA suggests: 2 % of the lifetime about the time when a
// third is left, half under ten days; the past where it has to be replaced.
func (l leaf) window(now time.Duration) (start, end time.Duration) {
	if l.urgent <= now {
		return l.urgent - day, l.urgent
	}
	life := l.notAfter - l.notBefore
	mid := l.notBefore + plan{Life: life}.every()
	return mid - life/100, mid + life/100
}

// leafBy finds what a fingerprint stands for; the latest are asked for most.
func (c *cert) leafBy(fingerprint string) (leaf, bool) {
	for i := len(c.versions) - 1; i >= 0; i-- {
		if c.versions[i].Fingerprint == fingerprint {
			return c.leaves[c.leafOf[i]], true
		}
	}
	return leaf{}, false
}
