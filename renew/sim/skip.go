package sim

import (
	"cmp"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// Most of what an agent does in a year is to find that nothing changed: a proof
// an hour, and a question to the CA every six. The simulator knows when anything
// that they could see will change next, and lets those before that not take
// place: they are entered in the journal as if they had. Every one that could
// see a change, or that comes before something breaks into its series (a
// restart, a clock that jumps), is made.

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
}

// calm is when the next change of a host's world comes.
type calm struct {
	breaks []time.Duration         // in order: when the clock jumps, which breaks into every series
	storms [cas + 1][]oracle.Span  // in order, by CA: when its answers are odd; the last is the disk's
	own    map[int][]time.Duration // by certificate: when its next ARI answer will be odd
}

func newCalm(fate History) calm {
	m := calm{own: map[int][]time.Duration{}}
	for _, f := range fate.Faults {
		switch f.Kind {
		case CAOutage, CALongOutage, CADeath, CABrownout, CABusy:
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
	for i := range m.storms {
		slices.SortFunc(m.storms[i], func(a, b oracle.Span) int { return cmp.Compare(a.From, b.From) })
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
	var step renew.Step
	step, c.steps = h.opts.Planted.decide(now, cc, f, c.steps[:0])
	c.skip.to = [2]time.Duration{-1, -1}
	h.result.Looks++
	due := !step.At.After(now)
	if !due || step.Do == renew.Issue {
		p.listen(now, c, cc, f) // nobody hears of what the next second changes; an order takes longer
	}
	if due {
		return step
	}
	if h.opts.Thorough || p.fuse >= 0 || step.Do == renew.Wait {
		return step
	}
	shown := f
	cc, f = h.opts.Planted.facts(now, cc, f)
	c.heldBy, c.window = caOf(f.Held.Directory), f.Journal.Advice.End.Sub(epoch)-h.offset
	until := c.steady(now, cc, shown, h)
	next := renew.Step{Do: renew.Wait, At: now.Add(day), Reason: renew.NothingToDo}
	for _, s := range c.steps {
		switch which := c.series(s, f); which {
		case proofs:
			s.At = h.leap(c, proofs, f.Journal.Proofs[0].CheckedAt, s.At, until)
		case polls:
			s.At = h.leap(c, polls, f.Journal.Advice.FetchedAt, s.At, until)
		default:
			s.At = h.hopeless(s, f)
		}
		if s.At.Before(next.At) || next.Do == renew.Wait {
			next = s
		}
	}
	return next
}

// series tells of which series a step is; neither is -1.
func (c *cert) series(s renew.Step, f *renew.Facts) int {
	switch {
	case f.Unwritten != "": // what was skipped could not be entered
	case s.Do == renew.Verify && s.Reason == renew.ProofDue && f.Journal.Verify.Count == 0 &&
		c.serving >= 0 && f.Journal.Proofs[0].Fingerprint == c.fingerprint(c.serving):
		return proofs
	case s.Do == renew.Advise && c.garbage == 0 && f.Journal.Advise.Count == 0 && f.Journal.Advice.CertID == f.Held.CertID && !f.Journal.Advice.Start.IsZero():
		return polls
	}
	return -1
}

// steady is until when the certificate's health stays as it is if nothing but
// the time changes.
func (c *cert) steady(now time.Time, cc *renew.Cert, f *renew.Facts, h *host) time.Time {
	until, put := now.Add(400*day), false
	for _, s := range c.steps {
		if c.series(s, f) < 0 && s.At.Before(until) {
			until = s.At
		}
		put = put || s.Do == renew.Issue && s.Reason != renew.Lifetime && s.Reason != renew.ARIWindow && s.Reason != renew.Emergency
	}
	if c.level == renew.OK && !put {
		return until // health worsens with the time once the renewal is overdue
	}
	for range 4 {
		if h.opts.Planted.health(until, cc, f).Level == c.level {
			return until
		}
		until = now.Add(until.Sub(now) / 2)
	}
	return now
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
	if which == proofs {
		stop = min(stop, h.calm.stop(s, h.calm.storms[cas]))
	} else {
		stop = min(stop, h.calm.stop(s, h.calm.storms[cas], h.calm.storms[c.heldBy]))
		for _, at := range []time.Duration{c.news, c.window} { // to ask once the window is over is another thing
			if at >= s[0] {
				stop = min(stop, max(s[0]+s[1], before(at+1, s)+s[1]))
			}
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

// A step of this host's own that has failed so often is tried again every minute
// or so.
const (
	oftenFailed = 10
	lastTry     = 90 * time.Second // before the obstacle goes
)

// hopeless puts off a step that fails every minute until what is in its way is
// about to end: the server's configuration, the clock, or the disk.
func (h *host) hopeless(s renew.Step, f *renew.Facts) time.Time {
	end, failed := time.Duration(0), 0
	switch {
	case s.Do == renew.Deploy && h.broken > 0:
		failed, end = f.Journal.Hooks["server"].Trouble.Count, h.until(BadConfig)
	case s.Do == renew.Verify && h.broken > 0:
		failed, end = f.Journal.Verify.Count, h.until(BadConfig)
	case s.Do == renew.Issue && s.Reason == renew.BackingOff && (h.offset != 0 || h.full+h.readOnly > 0):
		for _, t := range f.Journal.Issuers {
			if t.Class != renew.Local {
				return s.At
			}
			failed = max(failed, t.Count)
		}
		end = h.until(ClockJump, DiskFull, ReadOnly)
	}
	if failed < oftenFailed {
		return s.At
	}
	if all := h.fate.Faults; h.begun < len(all) {
		end = min(end, all[h.begun].From)
	}
	if at := epoch.Add(end + h.offset - lastTry); at.After(s.At) {
		h.result.Skipped += int64((at.Sub(s.At)) / time.Minute)
		return at
	}
	return s.At
}

// until is when the first of the faults of the kinds that are in force ends.
func (h *host) until(kinds ...Kind) time.Duration {
	end := forever
	for _, f := range h.fate.Faults[:h.begun] {
		if f.To > h.now && slices.Contains(kinds, f.Kind) {
			end = min(end, f.To)
		}
	}
	return end
}

// awake ends all skipping, so that every certificate's series is planned anew:
// something happens that may break into it.
func (h *host) awake() {
	for _, c := range h.certs {
		h.catchUp(c)
		c.skip.to = [2]time.Duration{-1, -1}
	}
	if h.proc != nil && !h.opts.Thorough {
		h.proc.agent.Wake()
	}
}

// catchUp enters in the journal what was skipped until now.
func (h *host) catchUp(c *cert) {
	for which, to := range c.skip.to {
		if to < 0 {
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
			c.journal.Proofs = slices.Clone(c.journal.Proofs)
			for i := range c.journal.Proofs {
				c.journal.Proofs[i].CheckedAt = at
			}
			continue
		}
		c.journal.Advice.FetchedAt, c.journal.Advice.PollAt = at, at.Add(s[1])
	}
}
