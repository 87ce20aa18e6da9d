package renew

import (
	"slices"
	"time"
)

// HookWait is a hook that has yet to run and waits for its window.
type HookWait struct {
	Hook   string
	Window Window
	Until  time.Time // when the window opens
}

// HookWaits lists the hooks of c that wait for nothing but their windows, in the
// order of the configuration.
func HookWaits(now time.Time, c *Cert, f *Facts) []HookWait {
	if len(c.HookWindows) == 0 || !inPlace(f) {
		return nil
	}
	var all []HookWait
	for _, h := range c.Hooks {
		if s := hookStep(now, h, c, f); s.Reason == WindowShut && hookPending(h, f) {
			all = append(all, HookWait{h, c.HookWindows[h], s.At})
		}
	}
	return all
}

// hookStep returns when h is to run that has yet to: when its backoff is over
// and its window is open.
func hookStep(now time.Time, h string, c *Cert, f *Facts) Step {
	s := retried(Step{Do: Deploy, Reason: HookPending}, f.Journal.Hooks[h].Trouble, f.Journal.Request)
	return inHookWindow(now, h, c, f, s)
}

// hookMargin is the part of the slack that what is served must still have when a
// window opens for which a hook waits: the part at which a human is told that the
// end is near. A reload that fails in the window can be tried again before that.
const hookMargin = criticalGone

// inHookWindow moves a deploy step into the window of h, where that costs no
// safety. What is served until then must last beyond the opening, and be known;
// and what is not a renewal by the calendar (a name that was added, a certificate
// that was revoked, a broken pair) does not wait, nor does what an operator asked
// for.
func inHookWindow(now time.Time, h string, c *Cert, f *Facts, s Step) Step {
	w, ok := c.HookWindows[h]
	if !ok || (f.Held.Reason != Lifetime && f.Held.Reason != ARIWindow) {
		return s
	}
	if r := f.Journal.Request; !r.Edited && r.At.After(later(f.Held.IssuedAt, f.ChangedAt)) {
		return s
	}
	from := later(s.At, now)
	at := w.Next(from)
	margin := time.Duration(hookMargin * float64(Slack(c, f)))
	if !at.After(from) || at.After(servedUntil(h, f).Add(-margin)) {
		return s
	}
	s.At, s.Reason = at, WindowShut
	return s
}

// servedUntil is the end of what clients get as long as h does not run: of what
// it acknowledged last, and of what any endpoint showed. Zero where nobody knows.
func servedUntil(h string, f *Facts) time.Time {
	rec := f.Journal.Hooks[h]
	if rec.Acknowledged == 0 {
		return time.Time{} // it never ran: the server may have no certificate at all
	}
	end := rec.NotAfter
	for _, p := range f.Journal.Proofs {
		if !p.NotAfter.IsZero() && (end.IsZero() || p.NotAfter.Before(end)) {
			end = p.NotAfter
		}
	}
	return end
}

// hookWaitsOf are the HookWaits of the endpoint that p is of.
func hookWaitsOf(now time.Time, p Proof, c *Cert, f *Facts) []HookWait {
	own := p.hooks(c)
	return slices.DeleteFunc(HookWaits(now, c, f), func(w HookWait) bool { return !slices.Contains(own, w.Hook) })
}

// lookAgain returns when an endpoint is to be looked at that need not show the
// live version yet, since a hook of its waits for its window: as often as one that is
// proved, and after every other hook. It answers false where none waits, or where
// the endpoint did not show the version before.
func lookAgain(now time.Time, p Proof, c *Cert, f *Facts) (time.Time, bool) {
	if len(c.HookWindows) == 0 {
		return time.Time{}, false
	}
	before, ok := proofBefore(p, f)
	if !ok || len(hookWaitsOf(now, p, c, f)) == 0 {
		return time.Time{}, false
	}
	if before.CheckedAt.After(now) { // by a clock that was ahead
		return now, true
	}
	at := before.CheckedAt.Add(proofInterval(f))
	for _, h := range c.Hooks {
		if rec := f.Journal.Hooks[h]; rec.Acknowledged == f.Live && rec.RanAt.After(before.CheckedAt) {
			at = earlier(at, rec.RanAt)
		}
	}
	return at, true
}

// proofBefore returns the proof that the endpoint and name of p showed the
// version before the live one, where that is the last that is known of them.
func proofBefore(p Proof, f *Facts) (Proof, bool) {
	for _, old := range f.Journal.Proofs {
		if old.Address == p.Address && old.Name == p.Name {
			return old, old.Served && old.Version != f.Live
		}
	}
	return Proof{}, false
}

// AsBefore turns a proof that an endpoint does not show the live version into one
// that it shows the version before, where a hook of its waits for its window and that is
// what it has to show until then. Any other it returns as it is.
func AsBefore(now time.Time, p Proof, c *Cert, f *Facts) Proof {
	if p.Served || p.Fingerprint == "" {
		return p
	}
	for _, w := range hookWaitsOf(now, p, c, f) {
		version, expected := 0, false
		if rec := f.Journal.Hooks[w.Hook]; rec.Fingerprint != "" {
			version, expected = rec.Acknowledged, rec.Fingerprint == p.Fingerprint
		} else if old, ok := proofBefore(p, f); ok { // noted by a version before
			version, expected = old.Version, old.Fingerprint == p.Fingerprint
		}
		if expected {
			p.Served, p.Version, p.Error = true, version, ""
			return p
		}
	}
	return p
}
