package renew

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// OnChange says what is done about a pair that someone else put where ours
// belongs. The zero OnChange is Adopting.
type OnChange string

// What can be done.
const (
	Adopting  OnChange = "adopt"   // one that is good and lasts longer becomes ours; any other is replaced
	Restoring OnChange = "restore" // whatever it is, it is replaced
	Alarming  OnChange = "alarm"   // one that is good is left, and told of
)

// OnChanges lists every [OnChange], the default first.
var OnChanges = []OnChange{Adopting, Restoring, Alarming}

// AtLive is the place of live/<name>, among those that are outputs' numbers.
const AtLive = -1

// Foreign is a pair that someone else put where ours belongs, after we did.
type Foreign struct {
	Place       int       // the Output's number in the Cert, or AtLive
	Path        string    // for a person
	Fault       string    // why no client should get it; empty where it is good
	Fingerprint string    // of its leaf, where it can be read
	NotAfter    time.Time // when clients stop taking it
	ChangedAt   time.Time // when one of its files last changed
	Since       time.Time // when it was first seen
}

// Who writes a pair writes several files. They are judged once they have stood
// still for a while; who writes all the time gets five times that.
const (
	settleTime    = 2 * time.Second
	settlePortion = 60 // of the lifetime, where that is shorter
	settleMost    = 5
)

// settled returns when the pair may be judged.
func (f Foreign) settled(held Version) time.Time {
	settle := settleTime
	if held.N > 0 {
		settle = min(settle, held.Lifetime()/settlePortion)
	}
	return earlier(later(f.ChangedAt, f.Since).Add(settle), f.Since.Add(settleMost*settle))
}

// unsettled returns when all that someone else is writing may be judged; zero
// where nobody is.
func unsettled(f *Facts) time.Time {
	var at time.Time
	for _, x := range f.Foreign {
		at = later(at, x.settled(f.Held))
	}
	return at
}

// Adoptable returns the pair that is to become ours: the one that lasts longest
// of those that are good and last longer than what is held.
func Adoptable(c *Cert, f *Facts) (Foreign, bool) {
	var best Foreign
	if c.OnChange != "" && c.OnChange != Adopting {
		return best, false
	}
	end := f.Held.End() // zero where nothing is held
	if f.revoked() {
		end = time.Time{}
	}
	found := false
	for _, x := range f.Foreign {
		if f.good(x) && x.NotAfter.After(end) {
			best, end, found = x, x.NotAfter, true
		}
	}
	return best, found
}

// good tells whether clients may get what someone else put in place.
func (f *Facts) good(x Foreign) bool {
	return x.Fault == "" && (x.Fingerprint == "" || x.Fingerprint != f.Journal.Revoked.Fingerprint)
}

// LeftAlone tells whether the operator wants what stands at a place to stay: it
// is somebody else's, and good.
func LeftAlone(c *Cert, f *Facts, place int) bool {
	return c.OnChange == Alarming && slices.ContainsFunc(f.Foreign, func(x Foreign) bool {
		return x.Place == place && f.good(x)
	})
}

// LeftBy lists the leaves that an install step leaves where they are.
func LeftBy(c *Cert, f *Facts) []string {
	var all []string
	for _, x := range f.Foreign {
		if LeftAlone(c, f, x.Place) {
			all = append(all, x.Fingerprint)
		}
	}
	return all
}

// adoptRule: a pair of someone else's that is better than ours is made ours, as
// soon as it stands still; who brings a better one again and again has to wait.
func adoptRule(_ time.Time, c *Cert, f *Facts) (Step, bool) {
	if _, ok := Adoptable(c, f); !ok {
		return Step{}, false
	}
	s := Step{Do: Adopt, Reason: ForeignChange, At: later(unsettled(f), f.Journal.Adopted.next(adoptions))}
	return retried(s, f.Journal.Adopt, f.Journal.Request), true
}

// adoptions stands for the version in the Placed that counts adoptions, each of
// which is another.
const adoptions = 1

// Adopts notes an adoption at now.
func (p Placed) Adopts(now time.Time) Placed { return p.Place(now, adoptions) }

// yields puts an install step off while someone else is writing, and takes it
// back where what he wrote is about to be adopted. By a clock that is behind a
// good pair looks as if it was not valid yet: it stays until the clock is right.
func yields(now time.Time, c *Cert, f *Facts, s Step) (Step, bool) {
	if len(f.Foreign) == 0 {
		return s, true
	}
	if _, ok := Adoptable(c, f); ok && (f.Journal.Adopt.Count < patientTries || f.revoked() || !now.Before(f.Held.End())) {
		return s, false // what clients refuse is never put over what they take
	}
	s.At, s.Reason = later(s.At, unsettled(f)), ForeignChange
	if f.Earliest.After(now) && slices.ContainsFunc(f.Foreign, func(x Foreign) bool { return x.Fingerprint != "" }) {
		s.At, s.Reason = later(s.At, f.Earliest), ClockBehind
	}
	return s, true
}

// expects puts off what is issued for a pair that someone is overwriting: what
// comes may be good. No other renewal waits for anybody who writes.
func expects(f *Facts, wanted, s Step) Step {
	if f.Newest.Fault == "" || wanted.Reason != f.Newest.Fault {
		return s
	}
	for _, x := range f.Foreign {
		if at := x.settled(f.Held); x.Place == AtLive && at.After(s.At) {
			s.At, s.Reason = at, ForeignChange
		}
	}
	return s
}

// Covers tells whether a certificate for the names have is good for every name
// that is wanted: TLS clients let a wildcard stand for one label (RFC 9525,
// section 6.3).
func Covers(have, want []string) bool {
	for _, n := range want {
		_, parent, _ := strings.Cut(n, ".")
		if !slices.Contains(have, n) && (parent == "" || !slices.Contains(have, "*."+parent)) {
			return false
		}
	}
	return true
}

// foreignHealth: a human hears of what is left alone, and of who does not stop.
func foreignHealth(now time.Time, c *Cert, f *Facts) []Finding {
	var found []Finding
	for _, x := range f.Foreign {
		if LeftAlone(c, f, x.Place) && !now.Before(x.settled(f.Held)) {
			found = append(found, Finding{Attention, ForeignChange, fmt.Sprintf("%s holds a certificate that someone else put there, valid until %s; on_change = \"alarm\" leaves it",
				x.Path, x.NotAfter.UTC().Format(time.RFC3339))})
		}
	}
	if p := f.Journal.Adopted; p.Again >= placedAlarm && now.Sub(p.At) < placedWindow {
		found = append(found, Finding{Attention, ForeignChange, fmt.Sprintf("adopted from someone else %d times within hours: who else renews it?", p.Again+1)})
	}
	if f.Held.Foreign {
		found = append(found, Finding{OK, ForeignChange, "what is held was put there by someone else"})
	}
	return found
}
