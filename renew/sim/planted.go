package sim

import (
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Planted is a fault that a test puts into the policy, to see that the simulator
// finds it. A nil Planted is the policy as it is.
type Planted struct {
	Name string
	// Facts changes what the core is shown.
	Facts func(now time.Time, c *renew.Cert, f *renew.Facts)
	// Step changes what the core says.
	Step func(now time.Time, c *renew.Cert, f *renew.Facts, s renew.Step) renew.Step
	// Proofs changes what a proof says.
	Proofs func([]renew.Proof)
	// Flaw is a fault of the rooms that are simulated.
	Flaw flaw
	// Mute has no alarm raised.
	Mute bool
}

// flaw is what a simulated room does wrong.
type flaw int

const (
	impatient      flaw = iota + 1 // a Retry-After is ignored
	orderForgotten                 // an order in flight is not gone on with
	clockTrusted                   // the CA's clock is not compared with the host's
	lieAccepted                    // what the CA issued is not checked
)

func (p *Planted) is(f flaw) bool { return p != nil && p.Flaw == f }

// facts is what the core is shown.
func (p *Planted) facts(now time.Time, c *renew.Cert, f *renew.Facts) (*renew.Cert, *renew.Facts) {
	f.Checking = true  // preflights are not simulated: as if one were always under way
	f.Searching = true // nor are searches for servers
	if p == nil || p.Facts == nil {
		return c, f
	}
	otherCert, otherFacts := *c, *f
	p.Facts(now, &otherCert, &otherFacts)
	return &otherCert, &otherFacts
}

// decide returns what the core says, and, where that is not due, what lies ahead.
func (p *Planted) decide(now time.Time, c *renew.Cert, f *renew.Facts, ahead []renew.Step) (renew.Step, []renew.Step) {
	c, f = p.facts(now, c, f)
	s, ahead := renew.Foresee(now, c, f, ahead)
	if p != nil && p.Step != nil {
		s, ahead = p.Step(now, c, f, s), renew.Ahead(now, c, f)
	}
	return s, ahead
}

func (p *Planted) health(now time.Time, c *renew.Cert, f *renew.Facts) renew.Verdict {
	if p != nil && p.Mute {
		return renew.Verdict{Level: renew.OK}
	}
	c, f = p.facts(now, c, f)
	return renew.Health(now, c, f)
}

func (p *Planted) proofs(list []renew.Proof) []renew.Proof {
	if p != nil && p.Proofs != nil {
		p.Proofs(list)
	}
	return list
}
