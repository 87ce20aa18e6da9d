package renew

import "time"

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
	j.Issue, j.Install, j.Verify, j.Advise = believe(j.Issue), believe(j.Install), believe(j.Verify), believe(j.Advise)
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
	f.HoldUntil = earlier(f.HoldUntil, now.Add(farthest))
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
