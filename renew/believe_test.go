package renew

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

// TestAClockThatWasAheadHoldsNothingUp plants what a machine leaves behind that
// booted in the future and was set right: no wait, no storm, no lasting brake.
func TestAClockThatWasAheadHoldsNothingUp(t *testing.T) {
	now, future := t0.Add(61*day), t0.Add(1500*day)
	trouble := Trouble{Count: 3, Class: Transient, Message: "x", Since: future, Last: future, RetryAt: future.Add(time.Minute)}
	issued := Issuance{At: future, Set: wantCert().Set(), NotAfter: future.Add(90 * day)}
	for name, plant := range map[string]func(*Facts){
		"a failure":         func(f *Facts) { f.failed(trouble) },
		"a CA's refusal":    func(f *Facts) { t := trouble; t.Class = Limited; f.failed(t) },
		"a far wait":        func(f *Facts) { t := trouble; t.Last = t0; f.failed(t) },
		"a request":         func(f *Facts) { f.Journal.Request = Request{At: future, Force: true} },
		"issuances":         func(f *Facts) { f.Journal.Issued = []Issuance{issued, issued, issued} },
		"an account's hold": func(f *Facts) { f.Standings = []Standing{{HoldUntil: future}} },
		"a version's date":  func(f *Facts) { f.Held.IssuedAt = future },
		"advice": func(f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", FetchedAt: future, PollAt: future, Chosen: t0}
		},
		"a hook's run":        func(f *Facts) { f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: future, Saw: "as it is"} },
		"a hook's failure":    func(f *Facts) { f.Journal.Hooks["nginx"] = HookRecord{Trouble: trouble} },
		"an install":          func(f *Facts) { f.Live = 0; f.Journal.Placed = Placed{Version: 1, At: future, Again: 9} },
		"a failure to look":   func(f *Facts) { f.Journal.Verify = trouble },
		"a failure to ask":    func(f *Facts) { f.Journal.Advise = trouble },
		"a failure to switch": func(f *Facts) { f.Journal.Install = trouble },
	} {
		t.Run(name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			plant(&f)
			Believe(now, &f)
			s := renewal(t, now, c, f)
			if d := s.At.Sub(now); d > farthest {
				t.Errorf("the renewal that is due waits %s (%s)", d, s.Reason)
			}
			if s.Reason == Requested {
				t.Error("a request of the future is followed")
			}
			for _, s := range Ahead(now, &c, &f) {
				if s.Do != Issue && s.At.Sub(now) > farthest {
					t.Errorf("%s waits until %s", s.Do, s.At)
				}
			}
		})
	}
}

// TestARequestAfterAClockWasAheadCounts: the version in hand is dated ahead, and
// the operator's word must not have to wait for that date.
func TestARequestAfterAClockWasAheadCounts(t *testing.T) {
	now := t0.Add(day)
	c, f := wantCert(), servedAt(90*day)
	f.Held.IssuedAt = t0.Add(1500 * day)
	f.Journal.Request = Request{At: now, Force: true}
	later := now.Add(time.Second)
	Believe(later, &f)
	if s := renewal(t, later, c, f); s.Reason == Requested {
		return
	}
	// Dated "now", the version is newer than the request: the date it can be
	// trusted with is that of the CA.
	t.Error("the request is taken for one that was followed")
}

// TestThatOursWasPutInPlaceIsNotForgotten: when is what the clock takes away.
// Without the rest, what someone else put in place since would be overwritten
// unseen, as what was there before certvigil.
func TestThatOursWasPutInPlaceIsNotForgotten(t *testing.T) {
	f := servedAt(90 * day)
	f.Journal.Placed = Placed{Version: 1, At: t0.Add(1500 * day), Again: 9}
	Believe(t0.Add(day), &f)
	if p := f.Journal.Placed; p != (Placed{Version: 1}) {
		t.Errorf("%+v", p)
	}
}

func TestWhatIsBelievableStays(t *testing.T) {
	now := t0.Add(61 * day)
	f := servedAt(90 * day)
	f.failed(Trouble{Count: 1, Last: now, RetryAt: now.Add(24 * time.Hour)})
	f.Journal.Request = Request{At: now}
	f.Journal.Advice.FetchedAt, f.Journal.Advice.PollAt = now, now.Add(24*time.Hour)
	f.Standings = []Standing{{HoldUntil: now.Add(24 * time.Hour)}}
	f.Journal.Preflight.At = now
	g := f
	g.Journal.Hooks, g.Journal.Issuers = maps.Clone(f.Journal.Hooks), maps.Clone(f.Journal.Issuers)
	Believe(now, &g)
	if !reflect.DeepEqual(f, g) {
		t.Errorf("%+v became %+v", f, g)
	}
}

// TestWhatAClockThatWasAheadPutOffComes: a date that is beyond belief is not
// moved along with the clock, or it never comes.
func TestWhatAClockThatWasAheadPutOffComes(t *testing.T) {
	due := t0.Add(61 * day)
	for name, plant := range map[string]func(*Facts){
		"the CA asked for an hour": func(f *Facts) { f.Standings = []Standing{{HoldUntil: t0.Add(400 * day)}} },
		"a renewal failed":         func(f *Facts) { f.failed(Trouble{Count: 1, Last: t0.Add(60 * day), RetryAt: t0.Add(400 * day)}) },
		"a list was looked at": func(f *Facts) {
			f.Held.CRL, f.Journal.Revocation = "http://ca.example/crl", Revocation{Fingerprint: "aa", NextAt: t0.Add(400 * day)}
		},
		"the CA was asked for news": func(f *Facts) { f.Journal.Advice.PollAt = t0.Add(400 * day) },
	} {
		c, f := wantCert(), servedAt(90*day)
		plant(&f)
		for now := due; ; now = now.Add(time.Hour) {
			seen := f
			Believe(now, &seen)
			late := slices.ContainsFunc(Ahead(now, &c, &seen), func(s Step) bool { return s.Do != Preflight && s.Do != Verify && s.At.After(now) })
			if !late {
				break
			}
			if now.Sub(due) > 2*farthest {
				t.Errorf("%s: still waiting after %s: %+v", name, now.Sub(due), Ahead(now, &c, &seen))
				break
			}
		}
	}
}

// TestAHookThatRanWhileTheClockWasAheadRunsAgain: its run is after no proof that
// was made since. Dated "now" at each look it was, and the server that came back
// with the old certificate was asked without a pause, and never reloaded.
func TestAHookThatRanWhileTheClockWasAheadRunsAgain(t *testing.T) {
	c, f := wantCert(), servedAt(90*day)
	now := t0.Add(day)
	f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0.Add(1500 * day), Saw: f.Seen}
	f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 1, Error: "it shows another", CheckedAt: now}
	f.Journal.Verify = Trouble{Count: 1, Class: Local, Last: now, RetryAt: now.Add(time.Second)}
	f.Journal.Preflight = Rehearsal{At: now, Of: c.settings()}
	for _, passed := range []time.Duration{time.Millisecond, time.Second, time.Hour} {
		seen := f
		Believe(now.Add(passed), &seen)
		s, again := Decide(now.Add(passed), &c, &seen), later(now.Add(passed), now.Add(time.Second))
		if due := DueHooks(again, &c, &seen); s.Do != Deploy || !s.At.Equal(again) || len(due) != 1 {
			t.Errorf("%s after the proof: %s at %s, hooks %v", passed, s.Do, s.At.Sub(now), due)
		}
	}
}

// TestAFailedProofOfTheFutureIsMadeAgain: the hooks that ran since seem to have
// run before it, and the server was reloaded every few seconds until the date of
// the proof, without another.
func TestAFailedProofOfTheFutureIsMadeAgain(t *testing.T) {
	now := t0.Add(day)
	for _, ran := range []time.Time{t0, now, t0.Add(1500 * day)} {
		c, f := wantCert(), servedAt(90*day)
		f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: ran, Saw: f.Seen}
		f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 1, Error: "it shows another", CheckedAt: t0.Add(1500 * day)}
		Believe(now, &f)
		if s := Decide(now, &c, &f); s.Do != Verify || !s.At.Equal(now) || len(DueHooks(now, &c, &f)) > 0 {
			t.Errorf("the hook ran at %s: %s at %s, hooks %v", ran.Sub(t0), s.Do, s.At, DueHooks(now, &c, &f))
		}
	}
}
