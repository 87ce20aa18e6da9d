package renew

import (
	"testing"
	"time"
)

// refusedFacts is version 2 in place, with which the hook fails, after version 1
// that was served until it was renewed on schedule.
func refusedFacts(now time.Time) (Cert, Facts) {
	c, f := wantCert(), servedAt(90*day)
	one := f.Held
	f.Held.N, f.Held.Fingerprint, f.Held.CertID = 2, "bb", "id2"
	f.Held.NotBefore, f.Held.NotAfter, f.Held.IssuedAt = now.Add(-time.Hour), now.Add(90*day-time.Hour), now.Add(-time.Hour)
	f.Newest, f.Live, f.ChangedAt = f.Held, 2, f.Held.IssuedAt
	f.Journal.Hooks = map[string]HookRecord{"nginx": {
		Acknowledged: 1, RanAt: t0, Trouble: Trouble{Count: 9, Class: Local, Message: "ee key too small", Since: now.Add(-11 * time.Minute), Last: now, RetryAt: now.Add(time.Minute)},
	}}
	f.Standby = Standby{N: 1, End: standbyUntil(&one, "")}
	return c, f
}

func TestWhenTheVersionBeforeIsPutBack(t *testing.T) {
	now := t0.Add(60 * day)
	for _, tc := range []struct {
		name   string
		change func(*Cert, *Facts)
		back   bool
		at     time.Time // zero: now
	}{
		{"the hook fails for eleven minutes", nil, true, time.Time{}},
		{"it fails for nine", func(_ *Cert, f *Facts) { f.hook(func(t *Trouble) { t.Since = now.Add(-9 * time.Minute) }) }, true, now.Add(time.Minute)},
		{"it failed four times", func(_ *Cert, f *Facts) { f.hook(func(t *Trouble) { t.Count = 4 }) }, false, time.Time{}},
		{"it does not fail", func(_ *Cert, f *Facts) { f.hook(func(t *Trouble) { *t = Trouble{} }) }, false, time.Time{}},
		{"there is nothing to go back to", func(_ *Cert, f *Facts) { f.Standby = Standby{} }, false, time.Time{}},
		{"what there was is about to end", func(_ *Cert, f *Facts) { f.Standby.End = now }, false, time.Time{}},
		{"an endpoint shows the new one", func(_ *Cert, f *Facts) { f.Journal.Proofs[0].Version = 2 }, false, time.Time{}},
		{"it was not its fault", func(_ *Cert, f *Facts) { f.Journal.Refused = Refusal{Version: 2, Count: 1, Cleared: true} }, false, time.Time{}},
		{"it is on trial again, and fails for a minute", func(_ *Cert, f *Facts) {
			f.Journal.Refused = Refusal{Version: 2, Count: 1, At: now.Add(-time.Hour), TryAt: now.Add(-2 * time.Minute)}
			f.hook(func(t *Trouble) { t.Since, t.Count = now.Add(-time.Minute), 3 })
		}, true, time.Time{}},
		{"another version was refused before", func(_ *Cert, f *Facts) { f.Journal.Refused = Refusal{Version: 1, Count: 1, Cleared: true} }, true, time.Time{}},
	} {
		c, f := refusedFacts(now)
		if tc.change != nil {
			tc.change(&c, &f)
		}
		s, ok := rollbackRule(now, &c, &f)
		if tc.at.IsZero() {
			tc.at = s.At
			if ok && s.At.After(now) {
				t.Errorf("%s: not before %s", tc.name, s.At)
			}
		}
		if ok != tc.back || ok && (s.Do != RollBack || !s.At.Equal(tc.at)) {
			t.Errorf("%s: %v, %+v", tc.name, ok, s)
		}
	}
}

func (f *Facts) hook(change func(*Trouble)) {
	h := f.Journal.Hooks["nginx"]
	change(&h.Trouble)
	f.Journal.Hooks = map[string]HookRecord{"nginx": h}
}

// TestTheWayBackAndForth goes through a refusal: back, the trial again, and what
// happens when the one before comes near its end.
func TestTheWayBackAndForth(t *testing.T) {
	now := t0.Add(60 * day)
	c, f := refusedFacts(now)
	one := servedAt(90 * day).Held
	both := []Version{one, f.Held}

	f.Journal.Refused = Refuse(now, &c, &f)
	r := f.Journal.Refused
	if r.Version != 2 || r.Count != 1 || r.Message != "ee key too small" || !r.TryAt.Equal(now.Add(10*time.Minute)) {
		t.Fatalf("%+v", r)
	}
	if fit := f.Journal.Fit(now, both); len(fit) != 1 || Best(now, fit).N != 1 {
		t.Fatalf("after the refusal: %+v", fit)
	}
	for at, want := range map[time.Time]int{
		now.Add(9 * time.Minute): 1, now.Add(10 * time.Minute): 2, one.NotAfter.Add(-48 * time.Hour): 2,
	} {
		if got := Best(at, f.Journal.Fit(at, both)).N; got != want {
			t.Errorf("%s after the refusal version %d is the best, want %d", at.Sub(now), got, want)
		}
	}
	r.TryAt = now.Add(1000 * day)
	late := Journal{Refused: r}
	if got := Best(one.NotAfter, late.Fit(one.NotAfter.Add(-47*time.Hour), both)).N; got != 2 {
		t.Errorf("two days before its end version %d is the best", got)
	}
	if late.Revoked = (Revoked{Fingerprint: one.Fingerprint}); Best(now, late.Fit(now, both)).N != 2 {
		t.Error("back to a revoked one")
	}

	// Back in place: it is told, and no other is issued.
	f.Held, f.Live = one, 1
	if v := rollbackHealth(now, &c, &f); len(v) != 1 || v[0].Level != Attention || v[0].Reason != RolledBack {
		t.Errorf("%+v", v)
	}
	if s, _ := Renewal(now, &c, &f); !s.At.After(now.Add(50 * day)) {
		t.Errorf("issued again: %+v", s)
	}
	c.KeyType = RSA2048
	if s, _ := Renewal(now, &c, &f); s.At.After(now) || s.Reason != KeyDiffers {
		t.Errorf("another key is wanted: %+v", s)
	}
	c.KeyType = EC256

	// The hook fails with that one as well: it was not the version.
	f.hook(func(t *Trouble) { t.Count, t.Since = 3, now })
	if s, ok := rollbackRule(now, &c, &f); !ok || s.At.After(now) {
		t.Errorf("%v, %+v", ok, s)
	}
	if r := Refuse(now, &c, &f); !r.Cleared || r.Version != 2 {
		t.Errorf("%+v", r)
	}
	f.Journal.Refused.Cleared = true
	if Best(now, f.Journal.Fit(now, both)).N != 2 {
		t.Error("the newest is not put in place again")
	}
}
