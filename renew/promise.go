package renew

import (
	"slices"
	"time"
)

// Promise is one thing that the agent has said it will do, as the journal and
// the facts hold it: whoever reads them without the agent's help can tell that
// it was not kept.
type Promise struct {
	Do     Do
	Reason Reason
	Hook   string        // which hook, of a [Deploy] that is one hook's; else empty
	Due    time.Time     // when it is to be done, or was
	Grace  time.Duration // how much later it may have been done, and noted down
}

// The grace of a promise: two of the agent's longest turns, what the steps of
// the certificate may take one after the other, and a part of the slack, since
// so many certificates may be due at once that some wait for a place. A short
// certificate can't wait for all that.
const (
	graceTurns   = 2 * time.Minute
	queuePortion = 16
	queueMost    = time.Hour
	gracePortion = 4 // of the lifetime, at most
	graceLeast   = 5 * time.Second
)

// Promises lists what is promised for c: for every rule that wants something,
// when it wants it, or since when. Busy is how long the steps of the
// certificate may take one after the other, each of them at its longest: it has
// one of them under way at a time. Like Decide it is pure and total.
//
// What is due and was tried without success is promised for the time of the
// next try, so an attempt, whatever came of it, always moves a promise on.
func Promises(now time.Time, c *Cert, f *Facts, busy time.Duration) []Promise {
	var all []Promise
	for _, s := range Ahead(now, c, f) {
		p := Promise{Do: s.Do, Reason: s.Reason, Due: s.At, Grace: grace(c, f, busy)}
		hooks := pendingHooks(c, f)
		if s.Do == Deploy && len(hooks) > 0 {
			for _, h := range hooks {
				p.Hook, p.Due = h, deployDue(now, h, c, f)
				// Since when a window is open leaves no date: since the opening after a
				// time at which it was shut.
				if s := hookStep(now.Add(-p.Grace), h, c, f); s.Reason == WindowShut {
					p.Due = later(p.Due, earlier(s.At, now))
				}
				all = append(all, p)
			}
			continue
		}
		if !s.At.After(now) {
			p.Due = earlier(dueSince(now, s, c, f), now)
			if then := now.Add(-p.Grace); p.Due.Before(then) && !wasDue(then, s.Do, c, f) {
				p.Due = then
			}
		}
		all = append(all, p)
	}
	return all
}

// wasDue tells whether a step was due then too, as far as the facts go: a window
// that opened since, an issuer whose turn came since, leave no date.
func wasDue(then time.Time, do Do, c *Cert, f *Facts) bool {
	return slices.ContainsFunc(Ahead(then, c, f), func(s Step) bool { return s.Do == do && !s.At.After(then) })
}

// Overdue tells whether the promise was not kept. What was due before began,
// when the agent started that is to keep it, is counted from then.
func (p Promise) Overdue(now, began time.Time) bool {
	return now.After(later(p.Due, began).Add(p.Grace))
}

func grace(c *Cert, f *Facts, busy time.Duration) time.Duration {
	g := graceTurns + busy + min(queueMost, Slack(c, f)/queuePortion)
	if f.Held.N > 0 {
		g = min(g, f.Held.Lifetime()/gracePortion)
	}
	return max(g, graceLeast)
}

func pendingHooks(c *Cert, f *Facts) []string {
	return slices.DeleteFunc(slices.Clone(c.Hooks), func(h string) bool { return !hookPending(h, f) })
}

// dueSince returns since when a step is due that is due now: the last of the
// things that it had to wait for.
func dueSince(now time.Time, s Step, c *Cert, f *Facts) time.Time {
	switch s.Do {
	case Install:
		// The first rule: while it holds, no other step is begun. A file that is gone
		// leaves no date, but whatever was done since then was done without it.
		return latest(f.Held.IssuedAt, f.ConfiguredAt, f.ChangedAt, f.Journal.Placed.next(f.Held.N),
			f.Journal.Install.resumes(f.Journal.Request), lastDone(now, &f.Journal))
	case Issue:
		return issueSince(now, s, c, f)
	case Deploy: // no hook is pending, but they ran in vain
		return deployAgain(c, f)
	case Verify:
		return verifySince(now, s.Reason, c, f)
	case Advise:
		at := latest(f.Held.IssuedAt, f.ConfiguredAt, f.Journal.Refused.At)
		if f.Journal.Advice.CertID == f.Held.CertID {
			at = f.Journal.Advice.PollAt
		}
		return latest(at, f.Journal.Advise.resumes(f.Journal.Request))
	case Discover:
		at := latest(f.Held.IssuedAt, f.ConfiguredAt)
		if last := f.Journal.Found.At; !last.IsZero() {
			at = latest(at, last.Add(SearchEvery(f)))
		}
		return at
	case Preflight:
		at := latest(f.Held.IssuedAt, f.ConfiguredAt)
		if last := f.Journal.Preflight.At; !last.IsZero() {
			at = latest(at, last.Add(PreflightEvery(f)))
		}
		return at
	default:
		return latest(f.Held.IssuedAt, f.ConfiguredAt, lastDone(now, &f.Journal))
	}
}

func issueSince(now time.Time, s Step, c *Cert, f *Facts) time.Time {
	j := f.Journal
	var at time.Time
	switch d := due(now, c, f); d.Reason {
	case Lifetime:
		at = d.At
	case ARIWindow, Emergency:
		at = latest(d.At, j.Advice.FetchedAt)
	case Expired:
		at = backstop(c, &f.Held)
	case Requested:
		at = j.Request.At
	case Missing, NamesDiffer, KeyDiffers, ProfileDiffers, IssuerDiffers:
		at = f.ConfiguredAt
	default: // a pair that broke leaves no date; when something was last done, it was whole
		at = latest(f.ConfiguredAt, lastDone(now, &j))
	}
	at = latest(at, f.Held.IssuedAt, braked(c, f, time.Time{}))
	for i, issuer := range c.Issuers {
		t := j.Issuer(issuer)
		tried := t.resumes(j.Request)
		if len(s.Without) > 0 {
			tried = t.Last // a rescue does not wait for the dead name's next try
		}
		if issuer.Name == s.Issuer {
			at = latest(at, tried, f.standing(i).HoldUntil)
		}
	}
	return at
}

// deployDue returns when a pending hook is to be run, or since when.
func deployDue(now time.Time, hook string, c *Cert, f *Facts) time.Time {
	if s := hookStep(now, hook, c, f); s.At.After(now) {
		return s.At
	}
	t := f.Journal.Hooks[hook].Trouble
	at := latest(f.Held.IssuedAt, f.ConfiguredAt, f.ChangedAt, f.Journal.Placed.At, t.resumes(f.Journal.Request))
	return earlier(at, now)
}

func deployAgain(c *Cert, f *Facts) time.Time {
	at := latest(f.Journal.Verify.resumes(f.Journal.Request))
	for p := range LiveProofs(c, f) {
		at = later(at, p.CheckedAt)
	}
	for _, h := range c.Hooks {
		at = later(at, f.Journal.Hooks[h].Trouble.resumes(f.Journal.Request))
	}
	return at
}

func verifySince(now time.Time, why Reason, c *Cert, f *Facts) time.Time {
	j := f.Journal
	if why == NotProved {
		at := latest(f.Held.IssuedAt, f.ConfiguredAt, f.ChangedAt, j.Placed.At, j.Verify.resumes(j.Request))
		for _, h := range c.Hooks {
			at = latest(at, j.Hooks[h].RanAt)
		}
		return at
	}
	var first time.Time // of the proofs, whichever is the first to be due
	for p := range LiveProofs(c, f) {
		at := latest(p.CheckedAt, j.Verify.resumes(j.Request))
		again, waits := lookAgain(now, p, c, f)
		switch {
		case waits:
			at = again
		case p.Served && f.ChangedAt.After(p.CheckedAt) && !f.ChangedAt.After(now):
			at = f.ChangedAt
		case p.Served:
			at = p.CheckedAt.Add(proofInterval(f))
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	return first
}

// resumes returns when a run of failures lets the step be tried again: retried
// in other words.
func (t Trouble) resumes(req Request) time.Time {
	switch {
	case t.Count == 0:
		return time.Time{}
	case t.Class != Limited && req.At.After(t.Last):
		return req.At
	default:
		return t.RetryAt
	}
}

// lastDone returns when the agent last noted something down.
func lastDone(now time.Time, j *Journal) time.Time {
	times := []time.Time{
		j.Install.Last, j.Verify.Last, j.Advise.Last, j.Enroll.Last, j.Adopt.Last, j.LookUp.Last,
		j.Placed.At, j.Adopted.At, j.Advice.FetchedAt, j.Revocation.CheckedAt, j.Preflight.At, j.Found.At,
	}
	for _, t := range j.Issuers {
		times = append(times, t.Last)
	}
	for _, h := range j.Hooks {
		times = append(times, h.RanAt, h.Trouble.Last)
	}
	for _, p := range j.Proofs {
		times = append(times, p.CheckedAt)
	}
	return latest(slices.DeleteFunc(times, func(t time.Time) bool { return t.After(now) })...)
}

func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		last = later(last, t)
	}
	return last
}
