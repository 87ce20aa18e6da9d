package renew

import (
	"slices"
	"time"
)

// Withheld tells that the live pair is broken, that what is left of those before
// has expired, and that a server that runs may still have the good one loaded:
// that is not to be reloaded for an expired one. A new one is due at once. It
// ends when what is loaded does, when the endpoints don't answer any more (a
// server that is down does not start without a whole pair, for the other sites
// either), and after a while where another certificate is Blocked by it.
func Withheld(now time.Time, f *Facts) bool {
	return f.Held.N > 0 && f.Live != 0 && f.Live != f.Held.N && !now.Before(f.Held.NotAfter) && loadedYet(now, f)
}

// loadedYet tells whether a server may have a pair loaded that is good still,
// although it is gone from the disk. Where endpoints are looked at they say so.
func loadedYet(now time.Time, f *Facts) bool {
	for i := range f.Journal.Proofs {
		p := &f.Journal.Proofs[i]
		if now.Before(p.NotAfter) || p.Unverifiable && f.Journal.Verify.Count < patientTries {
			return true
		}
	}
	return len(f.Journal.Proofs) == 0 &&
		slices.ContainsFunc(f.Journal.Issued, func(i Issuance) bool { return now.Before(i.NotAfter) })
}

// A certificate that others wait for has had this long to be replaced by a good
// one, at most a quarter of its slack, since its loss was seen.
const (
	replaceTime = 12 * time.Hour
	replacePart = 4
)

// givesWay tells whether an expired pair is put over the broken one for the sake
// of others, although a server has the good one loaded.
func givesWay(now time.Time, c *Cert, f *Facts) bool {
	seen := f.Journal.Verify.Since // zero where nobody looks
	return f.Blocking && now.Sub(seen) >= min(replaceTime, Slack(c, f)/replacePart)
}

// blockedLeft is the part of the slack with which left in what is served a
// certificate is Blocked.
const blockedLeft = 4

// Blocked tells that clients get a certificate that ends soon because a hook
// fails that has to load the next: another's broken pair may be why.
func Blocked(now time.Time, c *Cert, f *Facts) bool {
	failing := func(h string) bool { return f.Journal.Hooks[h].Trouble.Count >= patientTries }
	if !inPlace(f) || !slices.ContainsFunc(c.Hooks, failing) {
		return false
	}
	soon := now.Add(Slack(c, f) / blockedLeft)
	for p := range LiveProofs(c, f) {
		if !p.Served && !p.NotAfter.IsZero() && p.NotAfter.Before(soon) {
			return true
		}
	}
	return false
}

// keepsBetter tells that an older pair stands in for a broken one which a server
// has loaded still, and which lasts longer. The older one is in place for the case
// that the server restarts; it is not to be reloaded for it.
func keepsBetter(f *Facts) bool {
	if f.Newest.Fault == "" || f.Newest.N <= f.Held.N {
		return false
	}
	end := f.Held.End()
	return slices.ContainsFunc(f.Journal.Proofs, func(p Proof) bool { return p.NotAfter.After(end) })
}
