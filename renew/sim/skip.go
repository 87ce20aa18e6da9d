package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Most of what an agent does in a year is to find that nothing changed: a proof
// an hour, and a question to the CA every six; or that what failed fails again. The
// simulator knows when anything that they could see will change next, and lets those
// before that not take place: they are entered in the journal as if they had. Every
// one that could see a change, or that comes before something breaks into its series
// (a restart, a clock that jumps), is made.

// The two series.
const (
	proofs = iota
	polls
)

// skip is what of a certificate's series is not to take place.
type skip struct {
	every [2]time.Duration
	to    [2]time.Duration // the next that takes place; -1 where none is skipped
	base  [2]time.Duration // the last that is in the journal
	tries []try            // that do not take place, since they would fail

	unwritten bool // the journal with the last proofs is in the agent's hands, since the disk is full
}

// try is a step that fails, and what the journal says then.
type try struct {
	do     renew.Do
	issuer string // of an order
	ended  time.Duration
	after  renew.Trouble
}

// before returns the last of the series that is earlier than at.
func before(at time.Duration, s [2]time.Duration) time.Duration {
	return s[0] + (at-s[0]-1)/s[1]*s[1]
}

// decide is renew.Decide. Where what comes next is of a series, those that would
// see no change are left out.
func (p *process) decide(now time.Time, cc *renew.Cert, f *renew.Facts) renew.Step {
	h := p.host
	c := h.find(cc.Name)
	if c.steps == nil {
		c.steps = make([]renew.Step, 0, 8)
	}
	h.carryOn(c, f)
	var step renew.Step
	step, c.steps = h.opts.Planted.decide(now, cc, f, c.steps[:0])
	c.skip.to, c.skip.tries = [2]time.Duration{-1, -1}, c.skip.tries[:0]
	h.result.Looks++
	due := !step.At.After(now)
	if !due || step.Do == renew.Issue {
		p.listen(now, c, cc, f) // nobody hears of what the next second changes; an order takes longer
	}
	if due {
		h.stepped(c)
		return step
	}
	if h.opts.Thorough || p.fuse >= 0 || step.Do == renew.Wait {
		return step
	}
	shown := f
	cc, f = h.opts.Planted.facts(now, cc, f)
	c.heldBy = caOf(f.Held.Directory)
	until := c.steady(now, cc, shown, f, h)
	next := renew.Step{Do: renew.Wait, At: now.Add(day), Reason: renew.NothingToDo}
	for _, s := range c.steps {
		switch which := c.series(s, f); which {
		case proofs:
			c.skip.unwritten = f.Unwritten != ""
			s.At = h.leap(c, proofs, f.Journal.Proofs[0].CheckedAt, s.At, until)
		case polls:
			s.At = h.leap(c, polls, f.Journal.Advice.FetchedAt, s.At, until)
		default:
			switch o := h.hindrance(s, cc, f); {
			case o.end == 0:
			case o.took > 0:
				s = h.unanswered(c, o, until, s, cc, f)
			default:
				s.At = h.after(o, until, s, cc, f)
			}
		}
		if s.At.Before(next.At) || next.Do == renew.Wait {
			next = s
		}
	}
	return next
}

// stepped counts the steps of a certificate in an hour.
func (h *host) stepped(c *cert) {
	if hour := h.now / time.Hour; hour != c.hour {
		c.hour, c.stepped = hour, 0
	}
	if c.stepped++; c.stepped == mostSteps {
		h.result.Spins = append(h.result.Spins, Spin{h.fate.Seed, h.fate.Host, c.index, h.now})
		h.note(c, "it spins")
	}
}

// series tells of which series a step is; neither is -1.
func (c *cert) series(s renew.Step, f *renew.Facts) int {
	switch {
	case s.Do == renew.Verify && s.Reason == renew.ProofDue && f.Journal.Verify.Count == 0 &&
		c.serving >= 0 && f.Journal.Proofs[0].Fingerprint == c.fingerprint(c.serving):
		return proofs
	case f.Unwritten != "": // what was skipped could not be entered
	case s.Do == renew.Advise && c.garbage == 0 && f.Journal.Advise.Count == 0 && f.Journal.Advice.CertID == f.Held.CertID && !f.Journal.Advice.Start.IsZero():
		return polls
	}
	return -1
}

// steady is until when the certificate's health stays as it is if nothing but
// the time changes. The agent was shown f; known is what a planted fault makes of it.
func (c *cert) steady(now time.Time, cc *renew.Cert, f, known *renew.Facts, h *host) time.Time {
	until, put := now.Add(400*day), false
	for _, s := range c.steps {
		if c.series(s, f) < 0 && s.At.Before(until) {
			until = earlier(until, later(s.At, epoch.Add(h.hindrance(s, cc, known).end+h.offset)))
		}
		put = put || s.Do == renew.Issue && s.Reason != renew.Lifetime && s.Reason != renew.ARIWindow && s.Reason != renew.Emergency
	}
	if c.level == renew.OK && !put {
		return until // health worsens with the time once the renewal is overdue
	}
	as := func(at time.Time) bool { return h.opts.Planted.health(at, cc, f).Level == c.level }
	if as(until) {
		return until
	}
	for steady := now; ; {
		part := until.Sub(steady) / 2
		if part < max(time.Minute, steady.Sub(now)/4) {
			return steady // whoever looks again then finds the rest
		}
		if middle := steady.Add(part); as(middle) {
			steady = middle
		} else {
			until = middle
		}
	}
}

// leap returns when the next of a series is made that is to be made at due: at
// until at the latest.
func (h *host) leap(c *cert, which int, last, due, until time.Time) time.Time {
	s := [2]time.Duration{last.Sub(epoch) - h.offset, due.Sub(last)}
	if s[1] <= 0 {
		return due
	}
	stop := until.Sub(epoch) - h.offset
	if stop = before(min(stop, h.fate.Length), s) + s[1]; stop <= s[0]+s[1] {
		return due
	}
	switch {
	case which == proofs && c.skip.unwritten:
		writable := before(h.until(0, DiskFull, ReadOnly), s) + s[1]
		stop = min(stop, h.calm.stop(s), max(s[0]+s[1], writable))
	case which == proofs:
		stop = min(stop, h.calm.stop(s, h.calm.storms[cas]))
	default:
		stop = min(stop, h.calm.stop(s, h.calm.storms[cas], h.calm.storms[c.heldBy]))
		stop = h.unlucky(c, s, stop)
		if at := c.news; at >= s[0] {
			stop = min(stop, max(s[0]+s[1], before(at+1, s)+s[1]))
		}
		for _, at := range h.calm.own[c.index] {
			if at > s[0] {
				stop = min(stop, max(s[0]+s[1], before(at, s)+s[1]))
				break
			}
		}
	}
	c.skip.base[which], c.skip.every[which], c.skip.to[which] = s[0], s[1], stop
	return epoch.Add(stop + h.offset)
}

// awake ends all skipping, so that every certificate's series is planned anew:
// something happens that may break into it.
func (h *host) awake() {
	for _, c := range h.certs {
		h.catchUp(c)
		if c.skip.to[polls], c.skip.tries = -1, c.skip.tries[:0]; c.skip.unwritten {
			c.skip.to[proofs] = min(c.skip.to[proofs], h.now+1)
		} else {
			c.skip.to[proofs] = -1
		}
	}
	if h.proc != nil && !h.opts.Thorough {
		h.proc.agent.Wake()
	}
}

// catchUp enters in the journal what was skipped until now.
func (h *host) catchUp(c *cert) {
	for which, to := range c.skip.to {
		if to < 0 || which == proofs && c.skip.unwritten {
			continue
		}
		s := [2]time.Duration{c.skip.base[which], c.skip.every[which]}
		last := before(min(h.now+1, to), s)
		if last <= s[0] {
			continue
		}
		h.result.Skipped += int64((last - s[0]) / s[1])
		c.skip.base[which] = last
		at := epoch.Add(last + h.offset)
		if which == proofs {
			c.journal.Proofs = checkedAt(c.journal.Proofs, at)
			continue
		}
		c.journal.Advice.FetchedAt, c.journal.Advice.PollAt = at, at.Add(s[1])
	}
	left := c.skip.tries[:0]
	for _, t := range c.skip.tries {
		switch {
		case t.ended > h.now:
			left = append(left, t)
			continue
		case t.do == renew.Advise:
			c.journal.Advise = t.after
		default:
			c.journal.Issuers = maps.Clone(c.journal.Issuers)
			c.journal.Issuers[t.issuer] = t.after
		}
		h.result.Skipped++
	}
	c.skip.tries = left
}

// carryOn enters the proofs that were skipped while the disk was full into the
// journal that the agent has in its hands.
func (h *host) carryOn(c *cert, f *renew.Facts) {
	if !c.skip.unwritten {
		return
	}
	c.skip.unwritten = false
	base, every, to := c.skip.base[proofs], c.skip.every[proofs], c.skip.to[proofs]
	if to < 0 || len(f.Journal.Proofs) == 0 || !f.Journal.Proofs[0].CheckedAt.Equal(epoch.Add(base+h.offset)) {
		return
	}
	last := before(min(h.now+1, to), [2]time.Duration{base, every})
	if last <= base {
		return
	}
	h.result.Skipped += int64((last - base) / every)
	f.Journal.Proofs = checkedAt(f.Journal.Proofs, epoch.Add(last+h.offset))
	if f.Unwritten == "" {
		c.journal.Proofs = f.Journal.Proofs
	}
}

func checkedAt(all []renew.Proof, at time.Time) []renew.Proof {
	all = slices.Clone(all) // readers keep what they read
	for i := range all {
		all[i].CheckedAt = at
	}
	return all
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
