package sim

import (
	"math/rand/v2"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// History is one host's fate: everything that decides how a run goes. The same
// History always runs the same way.
type History struct {
	Seed     uint64        `json:"seed"`
	Host     int           `json:"host"`
	Length   time.Duration `json:"length"`
	Fallback bool          `json:"fallback"` // a second CA is configured
	Deaf     bool          `json:"deaf"`     // no human ever answers an alarm
	Certs    []plan        `json:"certs"`
	Faults   []Fault       `json:"faults"` // in order

	human Human
}

// plan is one certificate as it is to be simulated.
type plan struct {
	Life  time.Duration `json:"life"`
	Cut   bool          `json:"cut"`   // the CA's policy may shorten it
	Names int           `json:"names"` //
	Gone  bool          `json:"gone"`  // not simulated: it was shrunk away

	own *renew.Cert // an operator's, whose policy it has; nil without
}

// every is how often it is renewed on schedule.
func (p plan) every() time.Duration {
	if p.Life < 10*day {
		return p.Life / 2
	}
	return p.Life * 2 / 3
}

// Histories draws the fates of a fleet of so many certificates from a seed. The
// CAs are the same for all of its hosts.
func (m Model) Histories(seed uint64, certs int, length time.Duration) []History {
	fleet := m.fleetFaults(seed, length)
	var all []History
	for i := 0; certs > 0; i++ {
		n := min(certs, m.HostsCerts)
		certs -= n
		all = append(all, m.history(seed, i, n, length, fleet))
	}
	return all
}

func (m Model) history(seed uint64, host, certs int, length time.Duration, fleet []Fault) History {
	dice := rand.New(rand.NewPCG(seed, uint64(host)+1))
	h := History{Seed: seed, Host: host, Length: length, human: m.Human}
	h.Fallback, h.Deaf = dice.Float64() < m.SecondIssuer, dice.Float64() < m.Human.Never
	for range certs {
		l := m.lifetime(dice.Float64())
		h.Certs = append(h.Certs, plan{Life: time.Duration(l.Life), Cut: l.Cut, Names: m.Names[dice.IntN(len(m.Names))]})
	}
	h.Faults = append(m.hostFaults(dice, h.Certs, length), fleet...)
	byTime(h.Faults)
	return h
}

func (m Model) lifetime(u float64) Lifetime {
	for _, l := range m.Lifetimes {
		if u -= l.Share; u < 0 {
			return l
		}
	}
	return m.Lifetimes[len(m.Lifetimes)-1]
}
