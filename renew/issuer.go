package renew

import "time"

// Standing is how this host stands with one of a certificate's issuers.
type Standing struct {
	HoldUntil  time.Time // it takes no order from this account before
	Registered bool      // the account is known there
}

// A certificate's next issuer is asked once those before it have failed for
// this long, at most a tenth of the slack, and so much of the slack is gone: a
// CA that is down for an afternoon is waited for, and one that is down for good
// is left long before half of the slack is.
const (
	loyalty        = 24 * time.Hour
	loyaltyShort   = 6 * time.Hour // for lifetimes below shortLifetime
	loyaltyPortion = 10
	loyaltyGone    = 0.4
	longHold       = time.Hour // with nothing valid in hand, no issuer is waited for longer
)

// Issuer returns the run of failures at one issuer. What was noted of another
// directory under the same label is not that issuer's.
func (j *Journal) Issuer(i Issuer) Trouble {
	if t := j.Issuers[i.Name]; t.Directory == i.Directory {
		return t
	}
	return Trouble{}
}

// standing returns how this host stands with the i-th issuer of a certificate.
func (f *Facts) standing(i int) Standing {
	if i < len(f.Standings) {
		return f.Standings[i]
	}
	return Standing{}
}

// ask picks the issuer for a renewal that is due as s says: the one that may be
// asked first, and of two the one that the operator named first. Whoever comes
// after another waits until that one is given up. After a success all failures
// are forgotten, so that the next cycle begins with the first again.
func ask(now time.Time, c *Cert, f *Facts, s Step) Step {
	var best Step
	var from time.Time
	for i, issuer := range c.Issuers {
		one := heldBack(s, f, i, issuer)
		one.Issuer = issuer.Name
		if from.After(one.At) {
			one.At, one.Reason = from, BackingOff
		}
		if i == 0 || one.At.Before(best.At) {
			best = one
		}
		at, ok := givenUp(now, c, f, i, s.Reason)
		if !ok {
			return best
		}
		from = later(from, at)
	}
	if len(c.Issuers) == 0 {
		return s
	}
	return best
}

// heldBack puts s off until the i-th issuer may be asked.
func heldBack(s Step, f *Facts, i int, issuer Issuer) Step {
	t := f.Journal.Issuer(issuer)
	if at := retried(s, t, f.Journal.Request).At; at.After(s.At) {
		s.At, s.Reason = at, BackingOff
		if t.Class == Limited {
			s.Reason = Throttled
		}
	}
	if hold := f.standing(i).HoldUntil; hold.After(s.At) {
		s.At, s.Reason = hold, Throttled
	}
	return s
}

// givenUp tells from when the issuer after the i-th may be asked. It answers
// false where the i-th has not failed.
func givenUp(now time.Time, c *Cert, f *Facts, i int, why Reason) (time.Time, bool) {
	t, hold := f.Journal.Issuer(c.Issuers[i]), f.standing(i).HoldUntil
	failing, held := t.Count > 0, hold.After(now)
	if !failing && !held {
		return time.Time{}, false
	}
	if !f.Held.valid(now) {
		// Clients see a bad certificate, or none: there is nothing to be loyal with.
		wait := later(hold, t.RetryAt)
		return t.Last, t.Count >= patientTries || wait.After(now.Add(longHold))
	}
	due := scheduled(c, f).At
	since := t.Since
	if !failing {
		since = due
	}
	slack := f.Held.End().Sub(due)
	patience := loyalty
	if f.Held.Lifetime() < shortLifetime {
		patience = loyaltyShort
	}
	at := since.Add(min(patience, max(0, slack/loyaltyPortion)))
	if urgent(why) {
		return at, true
	}
	return later(at, due.Add(time.Duration(loyaltyGone*float64(slack)))), true
}

// urgent tells that a certificate is to be replaced long before its end, so
// that the slack says nothing of how much time there is: clients refuse it, will
// soon, or ask for a name that is not in it.
func urgent(why Reason) bool { return why == Emergency || why == IsRevoked || why == NamesDiffer }

// Asked is the certificate as s asks for it: of the one issuer that s picked,
// and without the names that it leaves out.
func Asked(c Cert, s Step) Cert {
	for _, i := range c.Issuers {
		if i.Name == s.Issuer {
			c.Issuers = []Issuer{i}
			break
		}
	}
	c.Names = without(c.Names, s.Without)
	return c
}

// enrollRule: an account at each issuer that may be needed, while nothing
// hurries. On the day that the first issuer is down there is enough to do.
func enrollRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	if len(f.Standings) < len(c.Issuers) || !f.Held.valid(now) {
		return Step{}, false
	}
	for i := 1; i < len(c.Issuers); i++ {
		if !f.Standings[i].Registered {
			s := Step{Do: Enroll, Reason: NotRegistered, Issuer: c.Issuers[i].Name, At: f.Standings[i].HoldUntil}
			return retried(s, f.Journal.Enroll, f.Journal.Request), true
		}
	}
	return Step{}, false
}
