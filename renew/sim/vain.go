package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/sim/oracle"
)

const (
	// oftenFailed is how many failures in a row it takes until the waits between two
	// tries of what is this host's own are at their longest.
	oftenFailed = 6
	// toldOf is how many failed orders it takes until health tells of them.
	toldOf = 3
)

// hindrance is what is in the way of a step, as long as every try is in vain. The
// oracle has its own notion of that, which is obstacles.
type hindrance struct {
	end    time.Duration // when it is gone; zero where there is none
	failed renew.Trouble // what the journal says of the step
	took   time.Duration // what a try at a CA takes that does not answer
}

// hindrance finds what is in the way of a step: the server's configuration is
// broken, the clock is wrong, the disk takes nothing, or the CA is out.
func (h *host) hindrance(s renew.Step, cc *renew.Cert, f *renew.Facts) (o hindrance) {
	switch s.Do {
	case renew.Deploy:
		if o.failed = f.Journal.Hooks["server"].Trouble; o.failed.Count >= oftenFailed && h.broken > 0 {
			o.end = h.until(0, BadConfig)
		}
	case renew.Verify:
		if o.failed = f.Journal.Verify; o.failed.Count >= oftenFailed && h.broken > 0 {
			o.end = h.until(0, BadConfig)
		}
	case renew.Advise:
		if o.failed = f.Journal.Advise; o.failed.Count > 0 {
			o.end, o.took = h.silence(caOf(f.Held.Directory), f)
		}
	case renew.Issue:
		o.failed = f.Journal.Issuers[s.Issuer]
		switch {
		case s.Reason != renew.BackingOff:
		case o.failed.Class == renew.Local && o.failed.Count >= oftenFailed && (h.offset != 0 || h.full+h.readOnly > 0):
			o.end = h.until(0, ClockJump, DiskFull, ReadOnly)
		case o.failed.Class == renew.Transient && o.failed.Count > 0:
			o.end, o.took = h.silence(caOf(renew.Asked(*cc, s).Issuers[0].Directory), f)
		}
	}
	return o
}

// silence is until when a CA surely does not answer, and this host can note that,
// and what a try takes; zero where it may answer.
func (h *host) silence(ca int, f *renew.Facts) (end, took time.Duration) {
	a := &h.cas[ca]
	if a.out != 1 || f.Unwritten != "" || h.full+h.readOnly > 0 {
		return 0, 0
	}
	end = h.until(ca, CAOutage, CALongOutage, CADeath)
	for _, list := range [][]oracle.Span{h.calm.storms[ca], h.calm.storms[cas]} {
		if i := slices.IndexFunc(list, func(s oracle.Span) bool { return s.From > h.now }); i >= 0 {
			end = min(end, list[i].From)
		}
	}
	if i, _ := slices.BinarySearch(h.calm.breaks, h.now+1); i < len(h.calm.breaks) {
		end = min(end, h.calm.breaks[i])
	}
	if a.deaf > 0 {
		return end, timeoutTime
	}
	return end, refusedTime
}

// after returns when a step of this host's own is tried for the first time after
// its hindrance is gone: at until at the latest.
func (h *host) after(o hindrance, until time.Time, s renew.Step, cc *renew.Cert, f *renew.Facts) time.Time {
	if gone := earlier(epoch.Add(o.end+h.offset), until); gone.After(s.At) {
		wait := renew.Backoff(s.At, renew.Install, o.failed.Count, cc, f)
		tries := gone.Sub(s.At)/wait + 1
		s.At = s.At.Add(tries * wait)
		h.result.Skipped += int64(tries)
	}
	return s.At
}

// mostTries is how many tries at a CA that does not answer are left out at once.
const mostTries = 64

// unanswered leaves out what is tried at a CA that does not answer, as the agent
// would try it. It returns what is done first of all that takes place: a try, or
// an order at the next CA.
func (h *host) unanswered(c *cert, o hindrance, until time.Time, s renew.Step, cc *renew.Cert, f *renew.Facts) renew.Step {
	gone, t := earlier(epoch.Add(o.end+h.offset), until), o.failed
	then := *f
	for n := 0; n < mostTries && s.At.Add(o.took).Before(gone); n++ {
		if s.Do == renew.Issue && t.Count+1 == toldOf {
			break // somebody hears of it
		}
		at := s.At.Add(o.took)
		wait := renew.Backoff(at, s.Do, t.Count+1, cc, f)
		if s.Do == renew.Issue {
			wait = renew.Hurried(at, wait, cc, f)
		}
		t = t.Fail(at, at.Add(time.Duration(float64(wait)*agent.Jitter(h.drawn(c, at)))), t.Class, t.Message)
		c.skip.tries = append(c.skip.tries, try{s.Do, s.Issuer, at.Sub(epoch) - h.offset, t})
		if s.Do == renew.Advise {
			s.At = t.RetryAt
			continue
		}
		if n == 0 {
			then.Journal.Issuers = maps.Clone(f.Journal.Issuers)
		}
		then.Journal.Issuers[s.Issuer] = t
		next, _ := renew.Renewal(at, cc, &then)
		if next.Issuer != s.Issuer || next.Reason != renew.BackingOff {
			return next
		}
		s = next
	}
	return s
}

// until is when the last of the faults of the kinds that are in force ends, of
// those that are a CA's where they are ca's.
func (h *host) until(ca int, kinds ...Kind) (end time.Duration) {
	for i := range h.fate.Faults[:h.begun] {
		f := &h.fate.Faults[i]
		if f.To > max(end, h.now) && f.CA == ca && slices.Contains(kinds, f.Kind) {
			end = f.To
		}
	}
	return end
}
