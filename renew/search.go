package renew

import "time"

// How often servers are searched for, with a part of the lifetime where that is
// shorter; sooner while something is not as it should be. What shows no version
// any more is kept for a day, so that a server that is stopped for a while is
// told like any other endpoint.
const (
	searchEvery   = time.Hour
	searchPortion = 20
	searchHealing = 5 * time.Minute
	healingPart   = 4 // of the interval, at most
	searchLeast   = time.Second
	loadTime      = 10 * time.Second // after a hook, until a server shows what it loaded
	loadPortion   = 60
	awayFor       = 24 * time.Hour
	awayPortion   = 4
)

// SearchEvery is the longest time between two searches for the servers of c.
func SearchEvery(f *Facts) time.Duration {
	return min(searchEvery, max(f.Held.Lifetime()/searchPortion, searchLeast))
}

// searchRule asks for a search: once a start of the agent, after a change of the
// settings, once the hooks of a version have run, and every so often. Like a
// preflight, nothing waits for it.
func searchRule(_ time.Time, c *Cert, f *Facts) (Step, bool) {
	if !c.Auto || f.Searching || !inPlace(f) {
		return Step{}, false
	}
	last := &f.Journal.Found
	s := Step{Do: Discover, Reason: DiscoveryDue}
	if last.At.IsZero() || last.Of != c.searched() || f.Journal.Request.At.After(last.At) || f.Unsearched {
		return s, true
	}
	every := SearchEvery(f)
	if searchSoon(c, f) {
		every = min(searchHealing, max(every/healingPart, searchLeast))
	}
	s.At = last.At.Add(every)
	if settled, ok := settledAt(c, f); ok && last.For != f.Live {
		s.At = earlier(s.At, later(settled, last.At.Add(searchLeast)))
	}
	return s, true
}

// searchSoon tells whether what was found is not all, or not to stay as it is: a copy, a server that is away or fails its proof, or none at all.
func searchSoon(c *Cert, f *Facts) bool {
	for i := range f.Journal.Found.Places {
		p := &f.Journal.Found.Places[i]
		if p.Copy || !p.Away.IsZero() {
			return true
		}
		if proof := proofOf(f, p.Address, p.Name, i); !proof.CheckedAt.IsZero() && !proof.Served {
			return true
		}
	}
	return f.Journal.Found.Cut || len(Endpoints(c, f)) == 0
}

// settledAt returns when servers show what the hooks had them load; false while a
// hook is still to run.
func settledAt(c *Cert, f *Facts) (time.Time, bool) {
	if !inPlace(f) || !Acknowledged(c, f) {
		return time.Time{}, false
	}
	at := f.Journal.Placed.At
	for _, h := range c.Hooks {
		at = later(at, f.Journal.Hooks[h].RanAt)
	}
	return at.Add(min(loadTime, f.Held.Lifetime()/loadPortion)), true
}

// searched stands for all of c that a search depends on.
func (c Cert) searched() string { return digest("%q %+v", c.Names, outlined(c.Outputs)) }
