package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// calm is when the next change of a host's world comes.
type calm struct {
	breaks []time.Duration         // in order: when the clock jumps, which breaks into every series
	storms [cas + 1][]oracle.Span  // in order, by CA: when it gives no answer; the last is the disk's
	browns [cas][]oracle.Span      // likewise: when it gives one to some
	own    map[int][]time.Duration // by certificate: when its next ARI answer will be odd
}

func newCalm(fate History) calm {
	m := calm{own: map[int][]time.Duration{}}
	for _, f := range fate.Faults {
		switch f.Kind {
		case CABrownout:
			m.browns[f.CA] = append(m.browns[f.CA], oracle.Span{From: f.From, To: f.To})
		case CAOutage, CALongOutage, CADeath, CABusy:
			m.storms[f.CA] = append(m.storms[f.CA], oracle.Span{From: f.From, To: f.To})
		case DiskFull, ReadOnly:
			m.storms[cas] = append(m.storms[cas], oracle.Span{From: f.From, To: f.To})
		case ARIGarbage:
			m.own[f.Cert] = append(m.own[f.Cert], f.From)
		case ClockJump:
			m.breaks = append(m.breaks, f.From, f.To)
		}
	}
	slices.Sort(m.breaks)
	for _, list := range slices.Concat(m.storms[:], m.browns[:]) {
		slices.SortFunc(list, func(a, b oracle.Span) int { return cmp.Compare(a.From, b.From) })
	}
	return m
}

// stop returns the first of a series, base + every and on, that has to be made.
func (m *calm) stop(s [2]time.Duration, storms ...[]oracle.Span) time.Duration {
	base, every := s[0], s[1]
	at := forever
	if i, _ := slices.BinarySearch(m.breaks, base+1); i < len(m.breaks) {
		at = max(before(m.breaks[i], s), base+every)
	}
	for _, list := range storms {
		for _, storm := range list {
			if storm.To <= base {
				continue
			}
			first := base + every
			if storm.From > first {
				first = before(storm.From, s) + every
			}
			if first >= at {
				break
			}
			if first < storm.To || first == storm.From {
				at = first
				break
			}
		}
	}
	return at
}

// unlucky returns the first poll of a series before stop that fails although its CA
// answers others; stop where none does.
func (h *host) unlucky(c *cert, s [2]time.Duration, stop time.Duration) time.Duration {
	for _, brown := range h.calm.browns[c.heldBy] {
		if brown.From >= stop {
			break
		}
		if brown.To <= s[0] {
			continue
		}
		for at := max(s[0], before(brown.From, s)) + s[1]; at < min(brown.To, stop); at += s[1] {
			if h.chance(c, uint64(at)) < brownFails {
				return at
			}
		}
	}
	return stop
}
