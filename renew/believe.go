package renew

import (
	"slices"
	"time"
)

// farthest is more than any wait that this package or a CA's Retry-After gives.
const farthest = 30 * time.Hour

// Believable returns f without what the clock says can't be so. A clock that was
// ahead for a while (a machine that boots without one) leaves dates in the
// journal that would hold everything up, or let everything through, until they
// have come: what was noted in the future was not noted then.
func Believable(now time.Time, f Facts) Facts {
	ahead := func(t time.Time) bool { return t.After(now) }
	believe := func(t Trouble) Trouble {
		if ahead(t.Last) {
			return Trouble{}
		}
		t.RetryAt = earlier(t.RetryAt, now.Add(farthest))
		return t
	}
	j := f.Journal
	j.Install, j.Verify, j.Advise, j.Enroll = believe(j.Install), believe(j.Verify), believe(j.Advise), believe(j.Enroll)
	j.Adopt, j.LookUp = believe(j.Adopt), believe(j.LookUp)
	j.Revocation.NextAt = earlier(j.Revocation.NextAt, now.Add(farthest))
	j.Issuers = nil
	for label, t := range f.Journal.Issuers {
		if t = believe(t); t.Count > 0 {
			if j.Issuers == nil {
				j.Issuers = make(map[string]Trouble, len(f.Journal.Issuers))
			}
			j.Issuers[label] = t
		}
	}
	if ahead(j.Request.At) {
		j.Request = Request{}
	}
	j.Advice.PollAt = earlier(j.Advice.PollAt, now.Add(farthest))
	if ahead(j.Advice.FetchedAt) {
		j.Advice = Advice{}
	}
	if ahead(j.Preflight.At) {
		j.Preflight = Rehearsal{}
	}
	if ahead(j.Placed.At) {
		j.Placed = Placed{}
	}
	if ahead(j.Adopted.At) {
		j.Adopted = Placed{}
	}
	j.Issued, j.Hooks = nil, nil
	for _, i := range f.Journal.Issued {
		if !ahead(i.At) {
			j.Issued = append(j.Issued, i)
		}
	}
	for name, h := range f.Journal.Hooks {
		if j.Hooks == nil {
			j.Hooks = make(map[string]HookRecord, len(f.Journal.Hooks))
		}
		h.Trouble = believe(h.Trouble)
		h.RanAt = earlier(h.RanAt, now)
		j.Hooks[name] = h
	}
	f.Journal = j
	f.Standings = slices.Clone(f.Standings)
	for i := range f.Standings {
		f.Standings[i].HoldUntil = earlier(f.Standings[i].HoldUntil, now.Add(farthest))
	}
	if ahead(f.Held.IssuedAt) {
		f.Held.IssuedAt = f.Held.NotBefore // the CA's clock said that
	}
	return f
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
