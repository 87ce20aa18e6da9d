package renew

import (
	"iter"
	"slices"
	"time"
)

// idle is how far ahead a Step looks that has nothing to wait for.
const idle = 24 * time.Hour

// rule answers for one stage: what it wants done and when. It answers false
// where it wants nothing.
type rule func(now time.Time, c *Cert, f *Facts) (Step, bool)

// rules, in the order in which they are asked. What puts a whole pair in place
// comes first, then what gets a new one, so that a hook or an endpoint that
// keeps failing never holds back a renewal.
var rules = [...]rule{adoptRule, installRule, issueRule, rollbackRule, deployRule, verifyRule, adviseRule, enrollRule, lookUpRule, searchRule, preflightRule}

// Decide returns the one thing to do next for c: the first rule whose time has
// come, otherwise the rule whose time comes first. It is total: any facts,
// however odd, give a step, and Step.At is never before now.
func Decide(now time.Time, c *Cert, f *Facts) Step {
	next, _ := Foresee(now, c, f, nil)
	return next
}

// Foresee is Decide, and appends to ahead, unless that is nil, what every rule wants
// that was asked: all that [Ahead] returns, where nothing is due yet.
func Foresee(now time.Time, c *Cert, f *Facts, ahead []Step) (Step, []Step) {
	next := Step{Do: Wait, At: now.Add(idle), Reason: NothingToDo}
	for _, r := range rules {
		s, ok := r(now, c, f)
		if !ok {
			continue
		}
		if !s.At.After(now) {
			s.At = now
			return s, ahead
		}
		if s.At.Before(next.At) || next.Do == Wait {
			next = s
		}
		if ahead != nil {
			ahead = append(ahead, s)
		}
	}
	return next, ahead
}

// Ahead returns what every stage wants next, in the order of the rules: the
// plan that Decide picks from.
func Ahead(now time.Time, c *Cert, f *Facts) []Step {
	var steps []Step
	for _, r := range rules {
		if s, ok := r(now, c, f); ok {
			s.At = later(s.At, now)
			steps = append(steps, s)
		}
	}
	return steps
}

func installRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	reason := Reason("")
	switch {
	case f.Held.N == 0:
		return Step{}, false // nothing whole to put in place
	case f.Live != f.Held.N && !LeftAlone(c, f, AtLive):
		reason = InstallPending
	default:
		for i, o := range f.Outputs {
			if !o.InPlace && !LeftAlone(c, f, i) {
				reason = o.Reason
				break
			}
		}
	}
	if reason == "" {
		return Step{}, false
	}
	s := Step{Do: Install, Reason: reason, At: f.Journal.Placed.next(f.Held.N)}
	return yields(now, c, f, retried(s, f.Journal.Install, f.Journal.Request))
}

// Somebody who writes at the same paths is answered at once, then ever more
// slowly, to three times an hour: to fight with him for every second helps
// nobody, and the servers would be reloaded each time.
const (
	placedFactor = 4
	placedSlow   = 20 * time.Minute
	placedWindow = time.Hour
	placedAlarm  = 3
)

// next returns when version n may be put in place again.
func (p Placed) next(n int) time.Time {
	if p.Version != n || p.Again == 0 {
		return time.Time{}
	}
	return p.At.Add(grow(localFirst, placedFactor, p.Again, placedSlow))
}

// Place notes that version n was put in place at now.
func (p Placed) Place(now time.Time, n int) Placed {
	switch {
	case p.Version != n || p.Version == 0:
		return Placed{Version: n, At: now}
	case now.Sub(p.At) > placedWindow:
		return Placed{Version: n, At: now, Again: 1}
	default:
		return Placed{Version: n, At: now, Again: p.Again + 1}
	}
}

func deployRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	if !inPlace(f) {
		return Step{}, false
	}
	var first Step
	for _, h := range c.Hooks {
		if s, ok := hookRun(now, h, c, f); ok && (first.Do == "" || s.At.Before(first.At)) {
			first = s
		}
	}
	return first, first.Do != ""
}

// hookRun returns when h is to run: one that has yet to, or that ran in vain.
func hookRun(now time.Time, h string, c *Cert, f *Facts) (Step, bool) {
	switch {
	case hookPending(h, f):
		return hookStep(now, h, c, f), true
	case ranInVain(now, h, c, f):
		return inHookWindow(now, h, c, f, againInVain(h, f)), true
	default:
		return Step{}, false
	}
}

// againInVain returns when h is to run again, which ran in vain.
func againInVain(h string, f *Facts) Step {
	s := retried(Step{Do: Deploy, Reason: NotServed}, f.Journal.Verify, f.Journal.Request)
	return retried(s, f.Journal.Hooks[h].Trouble, f.Journal.Request)
}

// DueHooks lists the hooks that a deploy step runs at now, in the order of the
// configuration: those that have not acknowledged and may be tried again, and
// those of an endpoint that still answers with something else although all of its
// hooks have acknowledged: an exit code of 0 proves nothing. One whose window is
// to be waited for is not due.
func DueHooks(now time.Time, c *Cert, f *Facts) []string {
	var due []string
	for _, h := range c.Hooks {
		if s, ok := hookRun(now, h, c, f); ok && !s.At.After(now) {
			due = append(due, h)
		}
	}
	return due
}

// hookPending tells whether h still has to run: it never returned 0 for the
// live version, or what lies at the paths is not what it was when it did. What
// someone else put there is adopted or replaced first.
func hookPending(h string, f *Facts) bool {
	if keepsBetter(f) {
		return false
	}
	rec := f.Journal.Hooks[h]
	return rec.Acknowledged != f.Live || (rec.Saw != "" && rec.Saw != f.Seen && len(f.Foreign) == 0)
}

// ranInVain tells whether an endpoint of h's was seen with another certificate
// after h had returned 0, and all others that are the endpoint's. Once h ran again
// it gets another proof before it is blamed again.
func ranInVain(now time.Time, h string, c *Cert, f *Facts) bool {
	if keepsBetter(f) || c.OnChange == Alarming && len(f.Foreign) > 0 {
		return false // what is served may be somebody else's, as the operator wants it
	}
	ran := f.Journal.Hooks[h].RanAt
	for e, p := range liveProofs(c, f) {
		if p.Served || p.Unverifiable || p.CheckedAt.IsZero() || astray(c, f, p) {
			continue
		}
		own := e.HooksOr(c.Hooks)
		if !slices.Contains(own, h) || slices.ContainsFunc(own, func(h string) bool { return hookPending(h, f) }) {
			continue
		}
		// One instant for both, on a coarse clock: the proof came after the hook,
		// since a failed proof is never followed by a reload without a wait. One that
		// is dated ahead of the clock would be after every run, and is made again first.
		if !ran.After(p.CheckedAt) && !p.CheckedAt.After(now) {
			return true
		}
	}
	return false
}

// The longest time between two proofs of an endpoint that serves what it
// should; a twentieth of the lifetime where that is shorter.
const (
	proofEvery   = time.Hour
	proofPortion = 20
)

func verifyRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	if !inPlace(f) {
		return Step{}, false
	}
	every := proofInterval(f)
	again, any := Step{Do: Verify, Reason: ProofDue}, false
	for p := range LiveProofs(c, f) {
		any = true
		if at, ok := lookAgain(now, p, c, f); ok {
			if again.At.IsZero() || at.Before(again.At) {
				again.At = at
			}
			continue
		}
		switch {
		case p.CheckedAt.IsZero():
			return retried(Step{Do: Verify, Reason: NotProved}, f.Journal.Verify, f.Journal.Request), true
		case p.CheckedAt.After(now):
			return Step{Do: Verify, At: now, Reason: ProofDue}, true
		case !p.Served:
			return failingProof(p, c, f), true
		case f.ChangedAt.After(p.CheckedAt) && !f.ChangedAt.After(now):
			return Step{Do: Verify, At: now, Reason: ProofDue}, true
		}
		if at := p.CheckedAt.Add(every); again.At.IsZero() || at.Before(again.At) {
			again.At = at
		}
	}
	return again, any
}

func proofInterval(f *Facts) time.Duration {
	return min(proofEvery, f.Held.Lifetime()/proofPortion)
}

// ranSince tells whether a hook has acknowledged the live version since p.
func ranSince(p Proof, c *Cert, f *Facts) bool {
	return slices.ContainsFunc(c.Hooks, func(h string) bool {
		rec := f.Journal.Hooks[h]
		return rec.Acknowledged == f.Live && rec.RanAt.After(p.CheckedAt)
	})
}

// failingProof: at once where a hook ran since, which may have failed until then;
// else again when the backoff is over. The hooks ran again before it where there
// are any, since deployRule is asked first.
func failingProof(p Proof, c *Cert, f *Facts) Step {
	s := Step{Do: Verify, Reason: NotServed}
	if p.Unverifiable {
		s.Reason = Unverifiable
	}
	if ranSince(p, c, f) {
		return s
	}
	return retried(s, f.Journal.Verify, f.Journal.Request)
}

func adviseRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	// RFC 9773, section 4.3: no polling once the certificate has expired.
	if !c.ARI || f.Held.N == 0 || f.Held.CertID == "" || !now.Before(f.Held.NotAfter) {
		return Step{}, false
	}
	s := Step{Do: Advise, Reason: AdviceDue}
	if f.Journal.Advice.CertID == f.Held.CertID {
		s.At = f.Journal.Advice.PollAt
	}
	return retried(s, f.Journal.Advise, f.Journal.Request), true
}

// retried puts s off until the trouble's time has come. An operator's request
// after the last failure stands above the schedule, never above a time that the
// CA named.
func retried(s Step, t Trouble, req Request) Step {
	if t.Count == 0 || (t.Class != Limited && req.At.After(t.Last)) {
		return s
	}
	s.At = later(s.At, t.RetryAt)
	return s
}

// inPlace tells whether live/<name> shows the held version.
func inPlace(f *Facts) bool { return f.Held.N > 0 && f.Live == f.Held.N }

// LiveProofs gives a proof for every endpoint, configured or found, and name, but
// for names that were left out: a zero one, but for address and name,
// where the live version was not looked for yet.
func LiveProofs(c *Cert, f *Facts) iter.Seq[Proof] {
	return func(yield func(Proof) bool) {
		for _, p := range liveProofs(c, f) {
			if !yield(p) {
				return
			}
		}
	}
}

// liveProofs are LiveProofs, each with its endpoint.
func liveProofs(c *Cert, f *Facts) iter.Seq2[*Endpoint, Proof] {
	return func(yield func(*Endpoint, Proof) bool) {
		leftOut, n := LeftOut(c, f.Held), 0
		endpoints := Endpoints(c, f)
		for i := range endpoints {
			e := &endpoints[i]
			for _, name := range without(e.NamesOr(c.Names), leftOut) {
				if !yield(e, proofOf(f, e.Address, name, n)) {
					return
				}
				n++
			}
		}
	}
}

// proofOf finds the proof of one endpoint and name. Proofs are noted in the order
// of the configuration, so that it mostly stands at the place where it is looked
// for first.
func proofOf(f *Facts, address, name string, place int) Proof {
	all := f.Journal.Proofs
	for i := range all {
		p := &all[(place+i)%len(all)]
		if p.Version == f.Live && p.Address == address && p.Name == name {
			return *p
		}
	}
	return Proof{Address: address, Name: name}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Renewal returns when the next certificate is to be issued and why, whatever
// else comes before it. It answers false where none ever is.
func Renewal(now time.Time, c *Cert, f *Facts) (Step, bool) {
	s, ok := issueRule(now, c, f)
	s.At = later(s.At, now)
	return s, ok
}
