package renew

import (
	"slices"
	"strings"
	"time"
)

// Obstacle is one thing that would stop a renewal, were it due today.
type Obstacle struct {
	Level   Level     `json:"level,omitempty"`  // as [Obstacles] judges it; not kept in the journal
	Reason  Reason    `json:"reason"`           //
	Subject string    `json:"subject"`          // the name, path, hook or address that it is about
	Issuer  string    `json:"issuer,omitempty"` // the issuer block's label; empty where it bears on all
	Detail  string    `json:"detail"`           // what was found
	Remedy  string    `json:"remedy,omitempty"` // what to do
	Since   time.Time `json:"since,omitzero"`   // when it was first seen
}

// String is the obstacle in one line, without its reason and remedy.
func (o Obstacle) String() string {
	if o.Issuer != "" {
		return o.Subject + " (" + o.Issuer + "): " + o.Detail
	}
	return o.Subject + ": " + o.Detail
}

func (o Obstacle) same(as Obstacle) bool {
	return o.Reason == as.Reason && o.Subject == as.Subject && o.Issuer == as.Issuer
}

// Rehearsal is the last look for what would stop a renewal.
type Rehearsal struct {
	At        time.Time  `json:"at"` // when the look began
	Of        string     `json:"of"` // which settings were looked at; those of another configuration say nothing
	Obstacles []Obstacle `json:"obstacles,omitempty"`
	Hidden    []Obstacle `json:"hidden,omitempty"` // seen before, and not to be judged this time
}

// Next is the look after r, begun at now: what was found before is as old as it
// was then, also where it could not be looked at in between.
func (r Rehearsal) Next(now time.Time, c *Cert, found []Obstacle) Rehearsal {
	next := Rehearsal{At: now, Of: c.settings()}
	before := slices.Concat(r.Obstacles, r.Hidden)
	for _, o := range found {
		o.Level, o.Since = "", now
		if i := slices.IndexFunc(before, o.same); i >= 0 {
			o.Since = earlier(before[i].Since, now)
		}
		next.Obstacles = append(next.Obstacles, o)
	}
	for _, o := range before {
		if !slices.ContainsFunc(found, o.same) && slices.ContainsFunc(found, o.hiddenBy) {
			next.Hidden = append(next.Hidden, o)
		}
	}
	return next
}

// hiddenBy tells whether by keeps a look from telling whether o is still so: a
// name that is not resolved is not connected to.
func (o Obstacle) hiddenBy(by Obstacle) bool {
	switch o.Reason {
	case AddressDead, AddressUnseen, Port80Unreachable, ChallengeUnanswered:
		return by.Reason == SolverUnusable || (by.Reason == DNSFailing || by.Reason == NoAddress) && by.Subject == o.name()
	}
	return false
}

// name is the identifier that an obstacle is about; the kind of record may stand
// behind it in the subject.
func (o Obstacle) name() string {
	name, _, _ := strings.Cut(o.Subject, " ")
	return name
}

// settings stands for all of c that a preflight looks at.
func (c Cert) settings() string {
	return digest("%q %q %q %q %+v %v", c.Names, c.Issuers, c.Solver, c.Hooks, outlined(c.Outputs), c.Endpoints)
}

// How often a preflight is made. A cause is to be known within a day, and within
// a tenth of the lifetime where that is shorter; whether it is gone, within an
// hour. What is new is looked at again soon: names and CAs hiccup.
const (
	preflightEvery   = 23 * time.Hour // and an hour for what was asked before: within a day
	preflightPortion = 10
	preflightLeast   = 5 * time.Second
	preflightHealing = time.Hour
	preflightAgain   = 5 * time.Minute
	preflightFailing = 10 * time.Minute // after an order that failed, but no sooner after the look before
)

// PreflightEvery is the longest time between two looks for what would stop a
// renewal of c.
func PreflightEvery(f *Facts) time.Duration {
	if f.Held.N == 0 {
		return preflightEvery
	}
	return min(preflightEvery, max(f.Held.Lifetime()/preflightPortion, preflightLeast))
}

// preflightRule is the last of the rules: nothing waits for it, and what it finds
// stops nothing. A renewal that is due is tried whatever a preflight says.
func preflightRule(_ time.Time, c *Cert, f *Facts) (Step, bool) {
	if f.Checking {
		return Step{}, false
	}
	last, j := f.Journal.Preflight, f.Journal
	s := Step{Do: Preflight, Reason: PreflightDue}
	if last.At.IsZero() || last.Of != c.settings() || j.Request.At.After(last.At) {
		return s, true
	}
	every := PreflightEvery(f)
	if len(last.Obstacles) > 0 {
		if went(f).After(last.At) {
			return s, true // one of them is gone, it seems
		}
		every = min(every, preflightHealing)
	}
	if slices.ContainsFunc(last.Obstacles, func(o Obstacle) bool { return o.Since.Equal(last.At) }) {
		every = min(every, preflightAgain)
	}
	s.At = last.At.Add(every)
	if failed := lastRefusal(c, &j); failed.After(last.At) {
		s.At = earlier(s.At, later(failed, last.At.Add(min(every, preflightFailing))))
	}
	return s, true
}

// lastRefusal is when an issuer last failed; zero where none fails.
func lastRefusal(c *Cert, j *Journal) time.Time {
	var at time.Time
	for _, i := range c.Issuers {
		at = later(at, j.Issuer(i).Last)
	}
	return at
}

// went is when a step last succeeded that an obstacle may have stood in the way
// of.
func went(f *Facts) time.Time {
	at := later(f.Held.IssuedAt, f.Journal.Placed.At)
	for _, h := range f.Journal.Hooks {
		at = later(at, h.RanAt)
	}
	return at
}

// An issue this long before a look, at most, still says that the CA can reach
// what the look could not.
const (
	reachedLately  = time.Minute
	reachedPortion = 60
)

// Obstacles judges what the last preflight found. It is OK alone where the facts
// refute it: a name that this host can't reach at all, or an address to which it
// has no route, but for which a certificate was issued all the same while that
// was so. It stands behind an address translation, a proxy or a firewall.
func Obstacles(now time.Time, c *Cert, f *Facts) []Obstacle {
	last := f.Journal.Preflight
	if len(last.Obstacles) == 0 || last.Of != c.settings() {
		return nil
	}
	var judged []Obstacle
	for _, o := range last.Obstacles {
		o.Level = Attention
		switch {
		case o.Reason == EndpointUnreachable && looked(o.Subject, c, f):
			continue // a proof tells it better, and sooner
		case (o.Reason == Port80Unreachable || o.Reason == AddressUnseen) && reached(o, c, f):
			o.Level = OK
			o.Detail += "; but a certificate was issued all the same"
		case !f.Held.valid(now):
			o.Level = Critical
		}
		judged = append(judged, o)
	}
	return judged
}

// looked tells whether handshakes with the endpoint were tried since the
// preflight.
func looked(address string, c *Cert, f *Facts) bool {
	for p := range LiveProofs(c, f) {
		if p.Address == address && p.CheckedAt.After(f.Journal.Preflight.At) {
			return true
		}
	}
	return false
}

func reached(o Obstacle, c *Cert, f *Facts) bool {
	held := f.Held
	if held.N == 0 || held.IssuedAt.IsZero() || !slices.Contains(held.Names, o.name()) ||
		!slices.ContainsFunc(c.Issuers, func(i Issuer) bool { return i.Directory == held.Directory }) {
		return false
	}
	lately := min(reachedLately, held.Lifetime()/reachedPortion)
	return !held.IssuedAt.Before(o.Since.Add(-lately))
}

// preflightHealth: what would stop a renewal that is not due yet, or is a reason
// why one fails.
func preflightHealth(now time.Time, c *Cert, f *Facts) []Finding {
	var found []Finding
	for _, o := range Obstacles(now, c, f) {
		found = append(found, Finding{Level: o.Level, Reason: o.Reason, Detail: o.String()})
	}
	return found
}
