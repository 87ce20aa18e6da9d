package renew

import (
	"slices"
	"time"
)

// One name that no longer validates vetoes all the others of its certificate:
// Bazel's site was down for thirteen hours after a month of failing renewals,
// for a name that somebody had removed from DNS. So once half of the slack is
// gone the certificate is issued for the names that are well, and the dead one
// is asked for again from time to time.
const (
	rescueGone    = 0.5
	takeBackEvery = 24 * time.Hour // the first try; then the schedule of failures
)

// rescued leaves out of s the names that its issuer could not validate.
func rescued(now time.Time, c *Cert, f *Facts, s Step) Step {
	t := f.Journal.Issuer(issuerNamed(c, s.Issuer))
	dead := within(t.Names, c.Names)
	if !c.Rescue || t.Count == 0 || len(dead) == 0 || len(dead) == len(c.Names) {
		return s
	}
	from := t.Last // nothing is held that clients take for sure: the site is down as it is
	if f.Held.valid(now) && !f.revoked() {
		due := scheduled(c, f).At
		from = due.Add(time.Duration(rescueGone * float64(f.Held.End().Sub(due))))
	} else if t.Count < patientTries {
		return s
	}
	// The names that are well have not failed: their order need not wait for the
	// dead one's next try, but for what the CA itself named.
	if s.Reason == BackingOff && t.Last.Before(from) && from.Before(s.At) {
		s.At = from
	}
	if s.At.Before(from) {
		return s
	}
	s.At = later(s.At, now)
	s.Without = dead
	if s.Reason != Throttled && s.Reason != BackingOff || !s.At.After(now) {
		s.Reason = Rescue
	}
	return s
}

func issuerNamed(c *Cert, label string) Issuer {
	for _, i := range c.Issuers {
		if i.Name == label {
			return i
		}
	}
	return Issuer{}
}

// LeftOut lists the names that c is to have and that v was issued without, to
// rescue the others; none where v was issued for all that was asked for then.
func LeftOut(c *Cert, v Version) []string {
	if v.N == 0 || v.Reason != Rescue || len(within(v.Names, c.Names)) != len(v.Names) {
		return nil
	}
	return without(c.Names, v.Names)
}

// takeBack is when the whole certificate is asked for again after a rescue: a
// day later, an eighth of the slack for short ones, or when the operator says
// so.
func takeBack(c *Cert, f *Facts) (time.Time, bool) {
	if len(LeftOut(c, f.Held)) == 0 {
		return time.Time{}, false
	}
	if f.Journal.Request.At.After(f.Held.IssuedAt) {
		return f.Journal.Request.At, true
	}
	return f.Held.IssuedAt.Add(min(takeBackEvery, max(shortest, Slack(c, f)/slackPortion))), true
}

// without returns the names that are not among drop, in their order.
func without(names, drop []string) []string {
	if len(drop) == 0 {
		return names
	}
	var kept []string
	for _, n := range names {
		if !slices.Contains(drop, n) {
			kept = append(kept, n)
		}
	}
	return kept
}

// within returns the names that are among all, in their order.
func within(names, all []string) []string {
	var kept []string
	for _, n := range names {
		if slices.Contains(all, n) {
			kept = append(kept, n)
		}
	}
	return kept
}
