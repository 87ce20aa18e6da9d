package renew

import (
	"math"
	"slices"
	"time"
)

// issueRule: when the certificate is due, put off by what the CA, the schedule
// or the brake say.
func issueRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	s := due(now, c, f)
	if s.At.IsZero() {
		return s, false
	}
	wanted := s
	s.At = later(s.At, now) // a wait that is over is no reason any more
	s = rescued(now, c, f, ask(now, c, f, s))
	if at := braked(c, f, s.At); at.After(s.At) {
		s.At, s.Reason = at, Braked
	}
	s = windowed(now, c, f, wanted, s)
	s = expects(f, wanted, s)
	if f.Earliest.After(now) && f.Earliest.After(s.At) {
		// The clock is behind: what is due can't be told, and a CA would be asked for
		// what is not. Once it is right, this is in the past.
		s.At, s.Reason = f.Earliest, ClockBehind
	}
	return s, true
}

// due returns when a certificate is to be issued and why, before anything holds
// it back: now, where what is held is not what is wanted; else the earliest of
// the CA's advice and the backstop.
func due(now time.Time, c *Cert, f *Facts) Step {
	s := Step{Do: Issue, At: now}
	if rolledBack(f) {
		// A newer one is there. Another would be refused as well, unless what is wanted
		// has changed.
		newest := *f
		newest.Held, newest.Journal.Refused = f.Newest, Refusal{}
		return due(now, c, &newest)
	}
	if s.Reason = differs(now, c, f); s.Reason != "" {
		return s
	}
	if r := f.Journal.Request; r.Force && r.At.After(f.Held.IssuedAt) {
		s.Reason = Requested
		return s
	}
	s = scheduled(c, f)
	if at, ok := takeBack(c, f); ok && at.Before(s.At) {
		s.At, s.Reason = at, NameLeftOut
	}
	return s
}

// scheduled returns when what is held is due by its own dates: the earliest of
// the CA's advice and the backstop. The slack counts from there.
func scheduled(c *Cert, f *Facts) Step {
	s := Step{Do: Issue, At: backstop(c, &f.Held), Reason: Lifetime}
	if a := f.Journal.Advice; c.ARI && a.CertID == f.Held.CertID && !a.Chosen.IsZero() && a.Chosen.Before(s.At) {
		s.At, s.Reason = a.Chosen, ARIWindow
		if a.End.Before(a.heardOf()) {
			s.Reason = Emergency
		}
	}
	return s
}

// differs tells why what is held is not what is wanted; empty where it is.
func differs(now time.Time, c *Cert, f *Facts) Reason {
	held := &f.Held
	switch {
	case held.N == 0 && f.Newest.N == 0:
		return Missing
	case held.N == 0:
		return f.Newest.Fault
	case f.Newest.N > held.N && f.Newest.Fault != "":
		return f.Newest.Fault // an older pair holds the fort
	case !now.Before(held.NotAfter):
		return Expired
	case f.revoked():
		return IsRevoked
	case held.Foreign && Covers(held.Names, c.Names):
		return "" // what it is was for someone else to choose
	case !sameSet(held.Names, c.Names) && len(LeftOut(c, *held)) == 0:
		return NamesDiffer
	case held.KeyType != c.KeyType:
		return KeyDiffers
	case held.Directory == "": // its notes were lost: nothing says that it differs
		return ""
	}
	return issuerDiffers(c, held)
}

// issuerDiffers compares held with the issuer that it came from, by its label.
// Where that is gone any other of the same CA may have issued it.
func issuerDiffers(c *Cert, held *Version) Reason {
	why := IssuerDiffers
	for _, i := range c.Issuers {
		switch {
		case i.Directory != held.Directory:
		case i.Profile == held.Profile:
			why = ""
		case i.Name == held.Issuer:
			return ProfileDiffers
		case why == IssuerDiffers:
			why = ProfileDiffers
		}
	}
	return why
}

// backstop is when v is renewed whatever the CA advises: with a third of the
// lifetime left, half under ten days.
func backstop(c *Cert, v *Version) time.Time {
	end := v.End()
	life := end.Sub(v.NotBefore)
	return end.Add(-time.Duration(float64(life) * float64(c.lifetimeLeft(life))))
}

// Slack is the time between due and expiry of what is held: what there is to
// put things right in. Zero where nothing is held.
func Slack(c *Cert, f *Facts) time.Duration {
	if f.Held.N == 0 {
		return 0
	}
	return max(0, f.Held.End().Sub(backstop(c, &f.Held)))
}

// The brake: within one lifetime, at most a week, no more certificates for one
// set of names than the schedule itself calls for and brakeSpare more. A week,
// since a pair that is lost again and again must not stay lost for a quarter of
// a year, and since it stays below the five that Let's Encrypt issues for one
// set in seven days. One more, the last, is let through where what is held does
// not last until the brake lets go: a lapse is worse than a certificate too many.
const (
	brakeWindow = 7 * 24 * time.Hour
	brakeSpare  = 2
	brakeLast   = 1
)

// braked returns until when the brake holds what is due at at; no later than
// that where it does not.
func braked(c *Cert, f *Facts, at time.Time) time.Time {
	issued := f.Journal.Issued
	if !crowded(issued) || alike(issued) && !brakes(c, f, issued).After(at) {
		return time.Time{} // mostly so, and whose they are need not be known
	}
	set := c.Set()
	return brakes(c, f, slices.DeleteFunc(slices.Clone(issued), func(i Issuance) bool { return i.Set != set }))
}

// alike tells whether all are for one set of names.
func alike(issued []Issuance) bool {
	for i := range issued {
		if issued[i].Set != issued[0].Set {
			return false
		}
	}
	return true
}

// brakes is braked by what was issued for one set of names, the certificate's own.
func brakes(c *Cert, f *Facts, issued []Issuance) time.Time {
	if len(issued) == 0 {
		return time.Time{}
	}
	last := issued[len(issued)-1]
	if r := f.Journal.Request; r.Force && r.At.After(last.At) {
		return time.Time{}
	}
	life := last.NotAfter.Sub(last.At)
	if life <= 0 {
		life = brakeWindow
	}
	window := min(life, brakeWindow)
	every := float64(life) * (1 - float64(c.lifetimeLeft(life)))
	allowed := int(math.Ceil(float64(window)/every)) + brakeSpare
	release := func(allowed int) time.Time {
		if len(issued) < allowed {
			return time.Time{}
		}
		return issued[len(issued)-allowed].At.Add(window)
	}
	at := release(allowed)
	if f.Held.N == 0 || f.revoked() || f.Held.NotAfter.Before(at) {
		return release(allowed + brakeLast)
	}
	return at
}

// crowded tells whether so many were issued lately, for whatever names, that the
// brake could hold: most of the time it says no, and costs nothing. Issuances are
// noted in order.
func crowded(issued []Issuance) bool {
	n := len(issued)
	return n > brakeSpare && issued[n-1].At.Sub(issued[n-1-brakeSpare].At) < brakeWindow
}

// Draw picks the point of the CA's suggested window at which to renew v, from u,
// drawn uniformly from [0, 1). The part of the window before v was issued is
// cut off, so that the wide window of a very short certificate does not renew
// it at once; a window that lies before it wholly is kept as it is: an emergency.
// RFC 9773, section 4.2.
func Draw(v Version, start, end time.Time, u float64) time.Time {
	if cut := later(start, v.IssuedAt); cut.Before(end) {
		start = cut
	}
	return start.Add(time.Duration(u * float64(end.Sub(start))))
}
