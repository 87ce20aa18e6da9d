package renew

import (
	"fmt"
	"slices"
	"time"
)

// Refusal is a version that a server would not take: its hook failed with it, and
// not with the one before.
type Refusal struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	Count   int       `json:"count"`   // how often it was tried
	Message string    `json:"message"` // what the hook said
	TryAt   time.Time `json:"try_at"`  // it is put in place again then
	Cleared bool      `json:"cleared"` // the hook failed with the one before as well: it was not the version
}

const (
	rollbackAfter = 10 * time.Minute // of a hook that fails, the first time
	rollbackTries = 5
	rollbackPart  = 20 // of the slack, where that is shorter
	againLongest  = 24 * time.Hour
	// The version before has to last this long, or a quarter of its lifetime: never
	// back to one that is about to end.
	standbyLeast = 48 * time.Hour
	standbyPart  = 4
)

// Standby is the version that every hook acknowledged before the live one; the
// zero Standby is none.
type Standby struct {
	N   int
	End time.Time // it is good to go back to until then
}

// standbyUntil is until when v is worth going back to; zero where it is not.
func standbyUntil(v *Version, revoked string) time.Time {
	if !v.Usable() || v.Fingerprint != "" && v.Fingerprint == revoked {
		return time.Time{}
	}
	return v.End().Add(-min(standbyLeast, v.Lifetime()/standbyPart))
}

// Fit returns the versions without one that was refused, while another will do.
func (j *Journal) Fit(now time.Time, versions []Version) []Version {
	r := &j.Refused
	if r.Version == 0 || r.Cleared || !now.Before(r.TryAt) {
		return versions
	}
	last := len(versions) - 1
	good := func(v Version) bool { return now.Before(standbyUntil(&v, j.Revoked.Fingerprint)) }
	if last < 0 || versions[last].N != r.Version || !slices.ContainsFunc(versions[:last], good) {
		return versions
	}
	return versions[:last]
}

// StandbyOf finds what could be gone back to from the version n; nothing, where no
// hook fails.
func (j *Journal) StandbyOf(n int, hooks []string, versions []Version) Standby {
	if !slices.ContainsFunc(hooks, func(h string) bool { return j.Hooks[h].Trouble.Count > 0 }) {
		return Standby{}
	}
	for i := len(versions) - 1; i >= 0; i-- {
		v := &versions[i]
		if v.N >= n || !v.Usable() {
			continue
		}
		never := func(h string) bool { return j.Hooks[h].Acknowledged != v.N && j.Hooks[h].Acknowledged != n }
		if slices.ContainsFunc(hooks, never) {
			return Standby{}
		}
		return Standby{N: v.N, End: standbyUntil(v, j.Revoked.Fingerprint)}
	}
	return Standby{}
}

// rolledBack tells that the newest version is whole, and was refused.
func rolledBack(f *Facts) bool {
	r := f.Journal.Refused
	return r.Version > 0 && !r.Cleared && f.Newest.N == r.Version && f.Newest.Usable() && f.Held.N > 0 && f.Held.N < r.Version
}

// rollbackRule goes back to the version before where a hook keeps failing with
// the live one and no endpoint shows it. That may be another site's fault: where
// the hook fails with the version before as well, the new one is put in place
// again and stays; else when its time has come.
func rollbackRule(now time.Time, c *Cert, f *Facts) (Step, bool) {
	r, t := &f.Journal.Refused, failingHook(c, f)
	back, again := rolledBack(f), r.Version == f.Held.N // the one before, or the one that was refused, is on trial
	tries, wait := rollbackTries, min(rollbackAfter, Slack(c, f)/rollbackPart)
	if back || again {
		tries, wait = patientTries, 0
	}
	if back && t.Count < tries && now.Before(r.TryAt) {
		return Step{Do: Install, At: r.TryAt, Reason: RolledBack}, true // from then on it is what is held
	}
	if !inPlace(f) || t.Count < tries || again && r.Cleared {
		return Step{}, false
	}
	if !back && (!now.Before(f.Standby.End) || liveShown(c, f)) {
		return Step{}, false
	}
	return Step{Do: RollBack, At: t.Since.Add(wait), Reason: HookFailing}, true
}

// failingHook is the failure that has lasted longest.
func failingHook(c *Cert, f *Facts) Trouble {
	var worst Trouble
	for _, h := range c.Hooks {
		if t := f.Journal.Hooks[h].Trouble; t.Count > 0 && (worst.Count == 0 || t.Since.Before(worst.Since)) {
			worst = t
		}
	}
	return worst
}

// liveShown tells whether any endpoint shows the live version.
func liveShown(c *Cert, f *Facts) bool {
	for p := range LiveProofs(c, f) {
		if p.Served {
			return true
		}
	}
	return false
}

// Refuse is what a step to roll back notes down.
func Refuse(now time.Time, c *Cert, f *Facts) Refusal {
	r := f.Journal.Refused
	if rolledBack(f) {
		r.Cleared = true
		return r
	}
	if r.Version != f.Held.N {
		r = Refusal{Version: f.Held.N}
	}
	r.Count++
	r.At, r.Message = now, failingHook(c, f).Message
	longest := againLongest
	if slack := Slack(c, f); slack > 0 {
		longest = min(longest, max(shortest, slack/slackPortion))
	}
	r.TryAt = now.Add(grow(min(rollbackAfter, longest), 10, r.Count, longest))
	return r
}

func rollbackHealth(_ time.Time, _ *Cert, f *Facts) []Finding {
	if !rolledBack(f) {
		return nil
	}
	r := f.Journal.Refused
	return []Finding{{Attention, RolledBack, fmt.Sprintf("version %d was refused (%s): version %d, valid until %s, is back in place; %d is tried again at %s",
		r.Version, r.Message, f.Held.N, f.Held.End().UTC().Format(time.RFC3339), r.Version, r.TryAt.UTC().Format(time.RFC3339))}}
}
