package sim

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// human is who looks after the host: somebody who comes some time after an
// alarm, mends what a human can mend, and goes.
type human struct {
	dice   *rand.Rand
	called bool // on the way, or never to come
}

// alarm takes in what the agent says of a certificate's health.
func (h *host) alarm(c *cert, v renew.Verdict) {
	was := c.level
	if c.level = v.Level; v.Level == was {
		return
	}
	if was != "" || v.Level != renew.OK {
		h.note(c, "health is %s: %s", v.Level, v.Reason())
	}
	loud := v.Level != renew.OK
	if n := len(c.alarms); n > 0 && c.alarms[n-1].To == forever {
		if !loud {
			c.alarms[n-1].To = h.now
		}
	} else if loud {
		c.alarms = append(c.alarms, oracle.Span{From: h.now, To: forever})
	}
	if loud {
		h.call()
	}
}

// call has a human come, unless one is on the way already.
func (h *host) call() {
	if h.human.called || h.fate.Deaf || h.fate.human.Median == 0 {
		return
	}
	if h.human.dice == nil {
		h.human.dice = rand.New(rand.NewPCG(h.fate.Seed, 1<<40|uint64(h.fate.Host)))
	}
	h.human.called = true
	m := h.fate.human
	at := h.now + logNormal(h.human.dice, time.Duration(m.Median), time.Duration(m.P99))
	if on := epoch.Add(at); slices.Contains(m.Away, on.Month().String()) && on.Day() <= m.AwayDays {
		at += time.Duration(m.AwayDays) * day
	}
	h.events.add(event{at: at, do: h.mend})
}

// mend is a human's visit: permanent faults end, a dead CA is replaced. Who sees
// nothing to do goes again, and is called by the next alarm.
func (h *host) mend() {
	h.human.called = false
	if h.off > 0 {
		h.events.add(event{at: h.now + time.Hour, do: h.mend})
		h.human.called = true
		return
	}
	h.note(nil, "a human comes")
	h.blocked -= h.closed
	h.closed = 0
	for _, c := range h.certs {
		c.gone, c.caa, c.aaaa = 0, 0, 0
	}
	for i, f := range h.fate.Faults {
		if f.From <= h.now && h.ends[i] == forever && (f.Kind == PortClosed || f.Kind == NameGone || f.Kind == CAAForbids || f.Kind == AAAABroken) {
			h.ends[i] = h.now
			h.note(nil, "the human mends: %s", f)
		}
	}
	if h.dead(0) && !h.fate.Fallback {
		h.addFallback()
	}
	for _, c := range h.certs {
		if c.level != renew.OK && c.level != "" {
			h.call() // it is not over yet: somebody looks again
			break
		}
	}
}

// dead tells whether a CA will never come back.
func (h *host) dead(ca int) bool {
	return slices.ContainsFunc(h.fate.Faults, func(f Fault) bool {
		return f.Kind == CADeath && f.CA == ca && f.From <= h.now
	})
}

// addFallback: the human configures another CA.
func (h *host) addFallback() {
	h.note(nil, "the human configures the other CA")
	h.fate.Fallback = true
	h.swapped = h.now
	i := issuerOf(1)
	h.config.Issuers[i.Name] = config.Issuer{Name: i.Name, Directory: i.Directory}
	h.configure([]renew.Issuer{i})
}
