package renew

import (
	"slices"
	"testing"
	"time"
)

func deadName(c Cert, since, last time.Time, count int) map[string]Trouble {
	t := failingSince(c.Issuers[0], since, last, count)
	t.Names = []string{"www.example.com"}
	return map[string]Trouble{c.Issuers[0].Name: t}
}

func TestADeadNameIsLeftOutOnceHalfOfTheSlackIsGone(t *testing.T) {
	due := t0.Add(60 * day)
	half := due.Add(15 * day)
	for _, tc := range []struct {
		name   string
		now    time.Time
		change func(c *Cert, f *Facts)
		out    bool
		at     time.Time
	}{
		{"half is gone", half, func(*Cert, *Facts) {}, true, half},
		{"before that the time is known", half.Add(-time.Hour), func(*Cert, *Facts) {}, true, half},
		{"not where the operator says no", half, func(c *Cert, _ *Facts) { c.Rescue = false }, false, time.Time{}},
		{"not where every name is dead", half, func(c *Cert, f *Facts) {
			t := f.Journal.Issuers["le"]
			t.Names = c.Names
			f.Journal.Issuers["le"] = t
		}, false, time.Time{}},
		{"not where no name is", half, func(_ *Cert, f *Facts) {
			t := f.Journal.Issuers["le"]
			t.Names = nil
			f.Journal.Issuers["le"] = t
		}, false, time.Time{}},
		{"not for a name that is configured no more", half, func(c *Cert, f *Facts) {
			t := f.Journal.Issuers["le"]
			t.Names = []string{"gone.example.com"}
			f.Journal.Issuers["le"] = t
		}, false, time.Time{}},
		{"a rescue that failed waits for its schedule", half.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Issuers = deadName(*c, due, half.Add(time.Minute), 9)
		}, true, half.Add(time.Minute).Add(3 * day)},
		{"what the CA named is kept", half, func(c *Cert, f *Facts) {
			t := f.Journal.Issuers["le"]
			t.Class = Limited
			f.Journal.Issuers["le"] = t
		}, true, half.Add(-time.Hour).Add(3 * day)},
		{"with nothing valid in hand at once, after three failures", t0.Add(91 * day), func(c *Cert, f *Facts) {
			f.Journal.Issuers = deadName(*c, due, t0.Add(91*day), 3)
		}, true, t0.Add(91 * day).Add(3 * day)},
		{"what was revoked is as bad as expired", t0.Add(10 * day), func(c *Cert, f *Facts) {
			f.Journal.Revoked = Revoked{Fingerprint: f.Held.Fingerprint}
			f.Journal.Issuers = deadName(*c, t0.Add(9*day), t0.Add(9*day), 3)
		}, true, t0.Add(12 * day)},
		{"but for a hiccup", t0.Add(10 * day), func(c *Cert, f *Facts) {
			f.Journal.Revoked = Revoked{Fingerprint: f.Held.Fingerprint}
			f.Journal.Issuers = deadName(*c, t0.Add(9*day), t0.Add(9*day), 2)
		}, false, time.Time{}},
		{"a window of the CA's that has passed is no revocation: whoever is late has one", due.Add(2 * day), func(c *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: f.Held.CertID, Start: due.Add(-day), End: due, Chosen: due.Add(-time.Hour), FetchedAt: due.Add(day)}
			f.Journal.Issuers = deadName(*c, due, due.Add(day), 3)
		}, false, time.Time{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			c.Rescue = true
			f.Journal.Issuers = deadName(c, due, half.Add(-time.Hour), 9)
			tc.change(&c, &f)
			s := renewal(t, tc.now, c, f)
			if got := slices.Equal(s.Without, []string{"www.example.com"}); got != tc.out {
				t.Fatalf("got %+v", s)
			}
			if tc.out && !s.At.Equal(tc.at) {
				t.Errorf("at %s, want %s (%s)", s.At, tc.at, s.Reason)
			}
			if tc.out && !s.At.After(tc.now) && s.Reason != Rescue {
				t.Errorf("reason %s", s.Reason)
			}
		})
	}
}

// rescuedFacts is a certificate that was issued at t0 without www.example.com.
func rescuedFacts() (Cert, Facts) {
	c, f := wantCert(), servedAt(90*day)
	c.Rescue, c.Endpoints = true, []Endpoint{{Address: "127.0.0.1:443", Protocol: "tls"}}
	f.Held.Names, f.Held.Reason = []string{"example.com"}, Rescue
	f.Newest = f.Held
	return c, f
}

func TestANameThatWasLeftOutIsTakenBack(t *testing.T) {
	c, f := rescuedFacts()
	if s := renewal(t, t0.Add(time.Hour), c, f); !s.At.Equal(t0.Add(day)) || s.Reason != NameLeftOut || len(s.Without) > 0 {
		t.Errorf("got %+v, want a try for all names a day later", s)
	}
	if v := Health(t0.Add(time.Hour), &c, &f); v.Level != Critical || v.Reason() != NameLeftOut {
		t.Errorf("nobody is told of the name: %+v", v)
	}
	if p := slices.Collect(LiveProofs(&c, &f)); len(p) != 1 || p[0].Name != "example.com" {
		t.Errorf("proofs are asked for a name that the certificate does not have: %+v", p)
	}
	if s := StageOf(&c, &f); s != Served {
		t.Errorf("stage %s", s)
	}
	f.Journal.Request = Request{At: t0.Add(time.Minute)}
	if s := renewal(t, t0.Add(time.Hour), c, f); !s.At.Equal(t0.Add(time.Hour)) || s.Reason != NameLeftOut {
		t.Errorf("the operator's word: got %+v", s)
	}
	f.Journal.Request = Request{}
	f.Journal.Issuers = deadName(c, t0.Add(day), t0.Add(day), 1)
	if s := renewal(t, t0.Add(day).Add(time.Hour), c, f); len(s.Without) > 0 || !s.At.Equal(t0.Add(4*day)) {
		t.Errorf("a try that failed: got %+v, want the schedule and the whole certificate", s)
	}
}

func TestNamesThatDifferWithoutARescueAreIssuedAtOnce(t *testing.T) {
	c, f := rescuedFacts()
	f.Held.Reason = Lifetime
	if s := renewal(t, t0.Add(time.Hour), c, f); s.Reason != NamesDiffer || s.At.After(t0.Add(time.Hour)) {
		t.Errorf("the operator added a name: got %+v", s)
	}
	f.Held.Reason, f.Held.Names = Rescue, []string{"example.com", "old.example.com"}
	if s := renewal(t, t0.Add(time.Hour), c, f); s.Reason != NamesDiffer {
		t.Errorf("a name was taken out since the rescue: got %+v", s)
	}
}
