package renew

import (
	"testing"
	"time"
)

func twoIssuers() Cert {
	c := wantCert()
	c.Issuers = []Issuer{{Name: "le", Directory: "https://ca.example/dir"}, {Name: "spare", Directory: "https://spare.example/dir"}}
	c.Rescue = true
	return c
}

// failingSince returns a run of failures at one issuer that began at since and
// whose last was at last.
func failingSince(i Issuer, since, last time.Time, count int) Trouble {
	return Trouble{Count: count, Class: Transient, Message: "down", Since: since, Last: last, RetryAt: last.Add(3 * day), Directory: i.Directory}
}

func TestTheNextIssuerIsAskedBeforeHalfOfTheSlackIsGone(t *testing.T) {
	for _, tc := range []struct {
		name     string
		lifetime time.Duration
		due      time.Duration // after t0
		down     time.Duration // the first failure, after due
		want     time.Duration // the second issuer's turn, after due
	}{
		{"90 days", 90 * day, 60 * day, 0, 12 * day},
		{"45 days", 45 * day, 30 * day, 0, 6 * day},
		{"160 hours", 160 * time.Hour, 80 * time.Hour, 0, 32 * time.Hour},
		{"a minute", time.Minute, 30 * time.Second, 0, 12 * time.Second},
		{"down late: a day of loyalty all the same", 90 * day, 60 * day, 14 * day, 15 * day},
		{"six hours where the lifetime is short", 160 * time.Hour, 80 * time.Hour, 40 * time.Hour, 46 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := twoIssuers(), servedAt(tc.lifetime)
			due := t0.Add(tc.due)
			since := due.Add(tc.down)
			f.Journal.Issuers = map[string]Trouble{"le": failingSince(c.Issuers[0], since, since, 9)}
			f.Journal.Issuers["le"] = withRetry(f.Journal.Issuers["le"], f.Held.NotAfter)
			s := renewal(t, since, c, f)
			if s.Issuer != "spare" || !s.At.Equal(due.Add(tc.want)) || s.Reason != BackingOff {
				t.Errorf("got %s at due + %s (%s)", s.Issuer, s.At.Sub(due), s.Reason)
			}
			s = renewal(t, due.Add(tc.want), c, f)
			if s.Issuer != "spare" || !s.At.Equal(due.Add(tc.want)) {
				t.Errorf("in its time: got %+v", s)
			}
		})
	}
}

func withRetry(t Trouble, at time.Time) Trouble {
	t.RetryAt = at
	return t
}

func TestWhichIssuerIsAsked(t *testing.T) {
	due := t0.Add(60 * day)
	late := due.Add(13 * day) // past the point where the second may be asked
	first, second := twoIssuers().Issuers[0], twoIssuers().Issuers[1]
	for _, tc := range []struct {
		name   string
		now    time.Time
		change func(c *Cert, f *Facts)
		want   string
		at     time.Time
	}{
		{"nothing failed: the first", due, func(*Cert, *Facts) {}, "le", due},
		{"even late", late, func(*Cert, *Facts) {}, "le", late},
		{"the first's own next try comes sooner", due.Add(time.Hour), func(_ *Cert, f *Facts) {
			f.Journal.Issuers = map[string]Trouble{"le": withRetry(failingSince(first, due, due, 1), due.Add(2*time.Hour))}
		}, "le", due.Add(2 * time.Hour)},
		{"both fail: whose time comes first", late, func(_ *Cert, f *Facts) {
			f.Journal.Issuers = map[string]Trouble{
				"le":    withRetry(failingSince(first, due, late, 9), late.Add(2*time.Hour)),
				"spare": withRetry(failingSince(second, late, late, 1), late.Add(3*time.Hour)),
			}
		}, "le", late.Add(2 * time.Hour)},
		{"both fail, the spare's sooner", late, func(_ *Cert, f *Facts) {
			f.Journal.Issuers = map[string]Trouble{
				"le":    withRetry(failingSince(first, due, late, 9), late.Add(2*time.Hour)),
				"spare": withRetry(failingSince(second, late, late, 1), late.Add(time.Hour)),
			}
		}, "spare", late.Add(time.Hour)},
		{"the first's account is on hold all the time", late, func(_ *Cert, f *Facts) {
			f.Standings = []Standing{{HoldUntil: late.Add(day)}, {}}
		}, "spare", late},
		{"the spare is on hold too", late, func(_ *Cert, f *Facts) {
			f.Standings = []Standing{{HoldUntil: late.Add(day)}, {HoldUntil: late.Add(time.Hour)}}
		}, "spare", late.Add(time.Hour)},
		{"nothing valid is held: three failures are enough", t0.Add(91 * day), func(_ *Cert, f *Facts) {
			f.Journal.Issuers = map[string]Trouble{"le": failingSince(first, t0.Add(90*day), t0.Add(91*day), 3)}
		}, "spare", t0.Add(91 * day)},
		{"nothing valid is held: two may be a hiccup", t0.Add(91 * day), func(_ *Cert, f *Facts) {
			f.Journal.Issuers = map[string]Trouble{"le": withRetry(failingSince(first, t0.Add(90*day), t0.Add(91*day), 2), t0.Add(91*day).Add(time.Minute))}
		}, "le", t0.Add(91 * day).Add(time.Minute)},
		{"an emergency waits for no slack, but for a day", t0.Add(day), func(_ *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: t0.Add(-2 * day), End: t0.Add(-day), Chosen: t0, FetchedAt: t0, PollAt: t0.Add(2 * day)}
			f.Journal.Issuers = map[string]Trouble{"le": failingSince(first, t0, t0.Add(day), 3)}
		}, "spare", t0.Add(day)},
		{"neither does one that was revoked", t0.Add(day), func(_ *Cert, f *Facts) {
			f.Journal.Revoked = Revoked{Fingerprint: "aa"}
			f.Journal.Issuers = map[string]Trouble{"le": failingSince(first, t0, t0.Add(day), 3)}
		}, "spare", t0.Add(day)},
		{"nor does a name that clients ask for and that is in none", t0.Add(day), func(c *Cert, f *Facts) {
			c.Names = append(c.Names, "new.example.com")
			f.Journal.Issuers = map[string]Trouble{"le": failingSince(first, t0, t0.Add(day), 3)}
		}, "spare", t0.Add(day)},
		{"what another directory of that label said does not count", late, func(c *Cert, f *Facts) {
			f.Journal.Issuers = map[string]Trouble{"le": failingSince(first, due, late, 9)}
			c.Issuers[0].Directory = "https://ca.example/dir2"
			f.Held.Directory = c.Issuers[0].Directory
		}, "le", late},
		{"back to the first at the next cycle", t0.Add(60 * day), func(_ *Cert, f *Facts) {
			f.Held.Issuer, f.Held.Directory = "spare", second.Directory
		}, "le", t0.Add(60 * day)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := twoIssuers(), servedAt(90*day)
			tc.change(&c, &f)
			if s := renewal(t, tc.now, c, f); s.Issuer != tc.want || !s.At.Equal(tc.at) {
				t.Errorf("got %s at %s (%s), want %s at %s", s.Issuer, s.At, s.Reason, tc.want, tc.at)
			}
		})
	}
}

func TestAThirdIssuerWaitsForTheSecond(t *testing.T) {
	c, f := twoIssuers(), servedAt(90*day)
	c.Issuers = append(c.Issuers, Issuer{Name: "last", Directory: "https://last.example/dir"})
	due := t0.Add(60 * day)
	late := due.Add(14 * day)
	f.Journal.Issuers = map[string]Trouble{"le": failingSince(c.Issuers[0], due, late, 9)}
	if s := renewal(t, late, c, f); s.Issuer != "spare" {
		t.Errorf("got %+v", s)
	}
	f.Journal.Issuers["spare"] = failingSince(c.Issuers[1], late, late, 1)
	if s := renewal(t, late, c, f); s.Issuer != "last" || !s.At.Equal(late.Add(day)) {
		t.Errorf("got %s at %s, want the last one a day after the second's first failure", s.Issuer, s.At)
	}
}

func TestAskedIsForOneIssuerAndTheNamesThatAreWell(t *testing.T) {
	c := twoIssuers()
	got := Asked(c, Step{Issuer: "spare", Without: []string{"www.example.com"}})
	if len(got.Issuers) != 1 || got.Issuers[0].Name != "spare" || len(got.Names) != 1 || got.Names[0] != "example.com" {
		t.Errorf("got %+v", got)
	}
	if len(c.Issuers) != 2 || len(c.Names) != 2 {
		t.Errorf("the configuration was changed: %+v", c)
	}
}

func TestAnAccountIsMadeBeforeItIsNeeded(t *testing.T) {
	now := t0.Add(10 * time.Second)
	c, f := twoIssuers(), servedAt(90*day)
	f.Standings = []Standing{{Registered: true}, {}}
	if s := Decide(now, &c, &f); s.Do != Enroll || s.Issuer != "spare" || s.Reason != NotRegistered {
		t.Errorf("got %+v", s)
	}
	f.Journal.Enroll = Trouble{Count: 3, Class: Config, Last: now, RetryAt: now.Add(time.Hour), Message: "agree"}
	if s := Decide(now, &c, &f); s.Do == Enroll && !s.At.Equal(now.Add(time.Hour)) {
		t.Errorf("after a failure: got %+v", s)
	}
	if v := Health(now, &c, &f); v.Reason() != FallbackUnready {
		t.Errorf("health: %+v", v)
	}
	f.Standings[1].Registered, f.Journal.Enroll = true, Trouble{}
	if s := Decide(now, &c, &f); s.Do == Enroll {
		t.Errorf("once it is there: got %+v", s)
	}
	f.Standings[1].Registered, f.Held, f.Newest, f.Live = false, Version{}, Version{}, 0
	if s := Decide(now, &c, &f); s.Do != Issue {
		t.Errorf("before there is a certificate: got %+v", s)
	}
}

// Two issuers may be one CA with two profiles: what the second issued there is as
// wanted as what the first did.
func TestWhatTheSecondProfileOfACAIssuedIsNotIssuedAgain(t *testing.T) {
	now := t0.Add(day)
	for _, tc := range []struct {
		name, label, profile string
		want                 Reason
	}{
		{"the first's", "le", "short", Lifetime},
		{"the second's", "spare", "classic", Lifetime},
		{"the first's, whose profile was changed to another", "le", "classic", ProfileDiffers},
		{"that of a label which is gone", "before", "classic", Lifetime},
		{"nobody's", "le", "long", ProfileDiffers},
	} {
		c, f := twoIssuers(), servedAt(90*day)
		c.Issuers[1].Directory = c.Issuers[0].Directory
		c.Issuers[0].Profile, c.Issuers[1].Profile = "short", "classic"
		f.Held.Issuer, f.Held.Directory, f.Held.Profile = tc.label, c.Issuers[0].Directory, tc.profile
		if s := renewal(t, now, c, f); s.Reason != tc.want {
			t.Errorf("%s: %+v, want %s", tc.name, s, tc.want)
		}
	}
}
