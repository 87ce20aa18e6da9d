package renew

import (
	"testing"
	"time"
)

func TestAClockThatIsBehindIssuesNothing(t *testing.T) {
	for _, tc := range []struct {
		name  string
		now   time.Time
		built time.Time
		want  time.Time // zero: at once
	}{
		{"1970 at boot", time.Unix(0, 0), time.Time{}, t0.Add(-ClockTolerance)},
		{"40 days back", t0.Add(-40 * day), time.Time{}, t0.Add(-ClockTolerance)},
		{"a CA whose clock is a little ahead", t0.Add(-4 * time.Minute), time.Time{}, time.Time{}},
		{"before the program was made", t0.Add(day), t0.Add(2 * day), t0.Add(2 * day)},
		{"right", t0.Add(day), t0.Add(-day), time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			c.KeyType = RSA2048 // due at once
			f.Earliest = later(Earliest([]Version{f.Held}), tc.built)
			Believe(tc.now, &f)
			s := renewal(t, tc.now, c, f)
			if tc.want.IsZero() {
				if s.At.After(tc.now) {
					t.Errorf("got %+v", s)
				}
				return
			}
			if !s.At.Equal(tc.want) || s.Reason != ClockBehind {
				t.Errorf("got %+v", s)
			}
			found := false
			for _, one := range Health(tc.now, &c, &f).Findings {
				found = found || one.Reason == ClockBehind
			}
			if !found {
				t.Error("nobody is told")
			}
		})
	}
}

// TestAClockSetBackBringsNoOldPairBack: a version that was issued while the
// clock was right is not valid yet by a clock that went back. The one before it
// may have expired since.
func TestAClockSetBackBringsNoOldPairBack(t *testing.T) {
	old := Version{N: 1, NotBefore: t0.Add(-90 * day), NotAfter: t0.Add(day)}
	renewed := Version{N: 2, NotBefore: t0, NotAfter: t0.Add(90 * day)}
	if got := Best(t0.Add(-40*day), []Version{old, renewed}); got.N != 2 {
		t.Errorf("version %d is put in place", got.N)
	}
}

// TestTheBrakeYieldsToALapse: what stands in for a pair that was lost ends
// before the brake lets go.
func TestTheBrakeYieldsToALapse(t *testing.T) {
	now := t0.Add(4 * day)
	c, f := wantCert(), servedAt(90*day)
	f.Newest = Version{N: 4, Fault: Altered}
	issued := func(ago ...time.Duration) (all []Issuance) {
		for _, a := range ago {
			all = append(all, Issuance{At: now.Add(-a), Set: c.Set(), NotAfter: now.Add(-a).Add(90 * day)})
		}
		return all
	}
	f.Journal.Issued = issued(3*day, 2*day, day)
	if s := renewal(t, now, c, f); s.Reason != Braked {
		t.Errorf("what stands in lasts: got %+v", s)
	}
	f.Held.NotAfter = now.Add(2 * day)
	if s := renewal(t, now, c, f); s.Reason != Altered || s.At.After(now) {
		t.Errorf("what stands in ends in two days: got %+v", s)
	}
	f.Journal.Issued = issued(3*day, 2*day, day, time.Hour)
	if s := renewal(t, now, c, f); s.Reason != Braked {
		t.Errorf("a fifth in a week: got %+v", s)
	}
}
