package renew

import (
	"maps"
	"slices"
	"time"
)

// farthest is more than any wait that this package or a CA's Retry-After gives.
const farthest = 30 * time.Hour

// Believe takes out of f what the clock says can't be so. A clock that was
// ahead for a while (a machine that boots without one) leaves dates in the
// journal that would hold everything up, or let everything through, until they
// have come: what was noted in the future was not noted then. A date that is put
// off to a time counted from now would never come.
func Believe(now time.Time, f *Facts) {
	ahead := func(t time.Time) bool { return t.After(now) }
	most := now.Add(farthest)
	credible := func(t *Trouble) bool { return !t.Last.After(now) && !t.RetryAt.After(t.Last.Add(farthest)) }
	believe := func(t Trouble) Trouble {
		if ahead(t.Last) {
			return Trouble{}
		}
		t.RetryAt = earlier(t.RetryAt, t.Last.Add(farthest))
		return t
	}
	j := &f.Journal
	for _, t := range []*Trouble{&j.Install, &j.Verify, &j.Advise, &j.Enroll, &j.Adopt, &j.LookUp} {
		if t.Count > 0 && !credible(t) {
			*t = believe(*t)
		}
	}
	if j.Revocation.NextAt.After(most) {
		j.Revocation.NextAt = time.Time{}
	}
	if ahead(j.Request.At) {
		j.Request = Request{}
	}
	if a := &j.Advice; ahead(a.FetchedAt) {
		*a = Advice{}
	} else if !a.PollAt.IsZero() {
		a.PollAt = earlier(a.PollAt, a.FetchedAt.Add(farthest))
	}
	if ahead(j.Preflight.At) {
		j.Preflight = Rehearsal{}
	}
	if ahead(j.Found.At) {
		j.Found.At = time.Time{} // what was found is there, whenever that was
	}
	if ahead(j.Placed.At) {
		j.Placed = Placed{Version: j.Placed.Version} // it was, whenever that was
	}
	if ahead(j.Refused.At) {
		j.Refused = Refusal{}
	}
	if ahead(j.Adopted.At) {
		j.Adopted = Placed{}
	}
	// What is shared with whoever read the journal is replaced, never changed.
	for _, t := range j.Issuers {
		if t.Count > 0 && credible(&t) {
			continue
		}
		j.Issuers = maps.Clone(j.Issuers)
		for label, t := range j.Issuers {
			if j.Issuers[label] = believe(t); j.Issuers[label].Count == 0 {
				delete(j.Issuers, label)
			}
		}
		break
	}
	for _, h := range j.Hooks {
		if !ahead(h.RanAt) && credible(&h.Trouble) {
			continue
		}
		j.Hooks = maps.Clone(j.Hooks)
		for label, h := range j.Hooks {
			if h.Trouble = believe(h.Trouble); ahead(h.RanAt) {
				h.RanAt = time.Time{} // it has run, whenever that was: no proof since is older
			}
			j.Hooks[label] = h
		}
		break
	}
	if n := len(j.Issued); n > 0 && ahead(j.Issued[n-1].At) { // the oldest come first
		j.Issued = slices.DeleteFunc(slices.Clone(j.Issued), func(i Issuance) bool { return ahead(i.At) })
	}
	for i, s := range f.Standings {
		if until := HeldUntil(now, s.HoldUntil); !until.Equal(s.HoldUntil) {
			f.Standings = slices.Clone(f.Standings)
			f.Standings[i].HoldUntil = until
		}
	}
	if ahead(f.Held.IssuedAt) {
		f.Held.IssuedAt = f.Held.NotBefore // the CA's clock said that
	}
}

// HeldUntil is until when a CA takes no order, as it was noted: zero where no CA
// asks for so much, since it was a clock that was ahead that the wait was added to.
func HeldUntil(now, noted time.Time) time.Time {
	if !noted.IsZero() && noted.After(now.Add(farthest)) {
		return time.Time{}
	}
	return noted
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
