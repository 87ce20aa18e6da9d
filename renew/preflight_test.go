package renew

import (
	"slices"
	"testing"
	"time"
)

// lookedAt is a certificate of that lifetime, served, whose last preflight was
// made an hour after its issue (a 100th of the lifetime, where that is less).
func lookedAt(lifetime time.Duration, found ...Obstacle) (Cert, Facts, time.Time) {
	c, f := wantCert(), servedAt(lifetime)
	at := t0.Add(min(time.Hour, lifetime/100))
	f.Journal.Preflight = Rehearsal{}.Next(at, &c, found)
	return c, f, at
}

func preflightAt(t *testing.T, now time.Time, c Cert, f Facts) time.Time {
	t.Helper()
	for _, s := range Ahead(now, &c, &f) {
		if s.Do == Preflight {
			return s.At
		}
	}
	t.Fatalf("no preflight in %v", Ahead(now, &c, &f))
	return time.Time{}
}

func TestWhenAPreflightIsMade(t *testing.T) {
	forbidden := Obstacle{Reason: CAAForbids, Subject: "example.com", Issuer: "le", Detail: "it names another CA"}
	for _, tc := range []struct {
		name     string
		lifetime time.Duration
		found    []Obstacle
		change   func(c *Cert, f *Facts, at time.Time)
		after    time.Duration // the look before; negative: at once
	}{
		{"daily", 90 * day, nil, nil, 23 * time.Hour},
		{"a tenth of a short lifetime", 5 * day, nil, nil, 12 * time.Hour},
		{"never more often than every five seconds", 20 * time.Second, nil, nil, 5 * time.Second},
		{"what is new is looked at again soon", 90 * day, []Obstacle{forbidden}, nil, 5 * time.Minute},
		{"what was found before is looked at again within an hour", 90 * day, []Obstacle{forbidden}, func(_ *Cert, f *Facts, at time.Time) {
			f.Journal.Preflight.Obstacles[0].Since = at.Add(-time.Hour)
		}, time.Hour},
		{"none was made yet", 90 * day, nil, func(_ *Cert, f *Facts, _ time.Time) { f.Journal.Preflight = Rehearsal{} }, -1},
		{"the settings are others", 90 * day, nil, func(c *Cert, _ *Facts, _ time.Time) { c.Solver = "webroot.site" }, -1},
		{"somebody asked", 90 * day, nil, func(_ *Cert, f *Facts, at time.Time) { f.Journal.Request.At = at.Add(1) }, -1},
		{"a hook ran that could not", 90 * day, []Obstacle{{Reason: HookNotExecutable, Subject: "nginx"}}, func(_ *Cert, f *Facts, at time.Time) {
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: at.Add(1), Saw: f.Seen}
		}, -1},
		{"a hook ran, and there was nothing to be gone", 90 * day, nil, func(_ *Cert, f *Facts, at time.Time) {
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: at.Add(1), Saw: f.Seen}
		}, 23 * time.Hour},
		{"an order failed just now", 90 * day, nil, func(_ *Cert, f *Facts, at time.Time) {
			f.failed(Trouble{Count: 1, Last: at.Add(time.Minute)})
		}, preflightFailing},
		{"an order failed later", 90 * day, nil, func(_ *Cert, f *Facts, at time.Time) {
			f.failed(Trouble{Count: 1, Last: at.Add(2 * time.Hour)})
		}, 2 * time.Hour},
		{"an order had failed before", 90 * day, nil, func(_ *Cert, f *Facts, at time.Time) {
			f.failed(Trouble{Count: 1, Last: at.Add(-time.Minute)})
		}, 23 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f, at := lookedAt(tc.lifetime, tc.found...)
			if tc.change != nil {
				tc.change(&c, &f, at)
			}
			now := at.Add(2)
			want := at.Add(tc.after)
			if tc.after < 0 {
				want = now
			}
			if got := preflightAt(t, now, c, f); !got.Equal(want) {
				t.Errorf("%s after the look before, want %s", got.Sub(at), want.Sub(at))
			}
		})
	}
}

func TestAPreflightIsBehindEveryOtherStepAndInNobodysWay(t *testing.T) {
	c, f, at := lookedAt(90*day, Obstacle{Reason: CAAForbids, Subject: "example.com"})
	late := t0.Add(70 * day)
	if s := Decide(late, &c, &f); s.Do != Issue {
		t.Errorf("due for two things, it does %s first", s.Do)
	}
	f.Held.NotAfter = t0.Add(365 * day)
	if s := Decide(at.Add(time.Minute), &c, &f); s.Do == Preflight {
		t.Error("a preflight before its time")
	}
	f.Journal.Preflight = Rehearsal{}
	f.Checking = true
	for _, s := range Ahead(at, &c, &f) {
		if s.Do == Preflight {
			t.Error("one is under way, and another one is due")
		}
	}
}

func TestHowAnObstacleIsJudged(t *testing.T) {
	unreachable := Obstacle{Reason: Port80Unreachable, Subject: "example.com", Detail: "no answer in time"}
	unseen := Obstacle{Reason: AddressUnseen, Subject: "example.com AAAA", Detail: "network is unreachable"}
	endpoint := Obstacle{Reason: EndpointUnreachable, Subject: "127.0.0.1:443", Detail: "connection refused"}
	caa := Obstacle{Reason: CAAForbids, Subject: "example.com", Detail: "it names another CA"}
	for _, tc := range []struct {
		name   string
		found  Obstacle
		change func(c *Cert, f *Facts)
		level  Level // empty: it is not told
	}{
		{"a valid pair is held: attention", caa, nil, Attention},
		{"nothing valid is held: critical", caa, func(_ *Cert, f *Facts) { f.Held.NotAfter = t0 }, Critical},
		{"of other settings: not told", caa, func(c *Cert, _ *Facts) { c.Names = c.Names[:1] }, ""},
		{"port 80 can't be reached since long after the issue: attention", unreachable, nil, Attention},
		{"it could not be reached when a certificate was issued: no alarm", unreachable, func(_ *Cert, f *Facts) {
			f.Held.IssuedAt = t0.Add(2 * time.Hour)
		}, OK},
		{"another CA issued it: attention", unreachable, func(_ *Cert, f *Facts) {
			f.Held.IssuedAt, f.Held.Directory = t0.Add(2*time.Hour), "https://other/dir"
		}, Attention},
		{"it was issued for other names: attention", unreachable, func(_ *Cert, f *Facts) {
			f.Held.IssuedAt, f.Held.Names = t0.Add(2*time.Hour), []string{"www.example.com"}
		}, Attention},
		{"no route to one address since long after the issue: attention", unseen, nil, Attention},
		{"no route to one address when a certificate was issued: no alarm", unseen, func(_ *Cert, f *Facts) {
			f.Held.IssuedAt = t0.Add(2 * time.Hour)
		}, OK},
		{"a dead address when a certificate was issued: attention", Obstacle{Reason: AddressDead, Subject: "example.com AAAA"}, func(_ *Cert, f *Facts) {
			f.Held.IssuedAt = t0.Add(2 * time.Hour)
		}, Attention},
		{"a newer proof tells of the endpoint: not told", endpoint, func(_ *Cert, f *Facts) {
			f.Journal.Proofs[0].CheckedAt = t0.Add(2 * time.Hour)
		}, ""},
		{"nobody looked at the endpoint since: attention", endpoint, nil, Attention},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f, at := lookedAt(90*day, tc.found)
			if tc.change != nil {
				tc.change(&c, &f)
			}
			var level Level
			for _, o := range Obstacles(at, &c, &f) {
				level = o.Level
			}
			if level != tc.level {
				t.Errorf("%q, want %q", level, tc.level)
			}
			told := slices.ContainsFunc(Health(at, &c, &f).Findings, func(n Finding) bool {
				return n.Reason == tc.found.Reason && n.Level == tc.level
			})
			if told != (tc.level != "") {
				t.Errorf("health says %+v", Health(at, &c, &f).Findings)
			}
		})
	}
}

func TestAnObstacleIsAsOldAsItsFirstSight(t *testing.T) {
	c := wantCert()
	one, two := Obstacle{Reason: DiskFull, Subject: "/a", Detail: "1 KiB left"}, Obstacle{Reason: DiskFull, Subject: "/b"}
	first := Rehearsal{}.Next(t0, &c, []Obstacle{one})
	one.Detail = "2 KiB left"
	second := first.Next(t0.Add(day), &c, []Obstacle{one, two})
	if got := second.Obstacles; len(got) != 2 || !got[0].Since.Equal(t0) || !got[1].Since.Equal(t0.Add(day)) || got[0].Detail != "2 KiB left" {
		t.Errorf("%+v", got)
	}
	third := second.Next(t0.Add(2*day), &c, nil)
	if got := third.Next(t0.Add(3*day), &c, []Obstacle{one}).Obstacles[0].Since; !got.Equal(t0.Add(3 * day)) {
		t.Errorf("gone in between, and it is from %s", got)
	}
	c.Hooks = nil
	if got := second.Next(t0.Add(2*day), &c, []Obstacle{one}).Obstacles[0].Since; !got.Equal(t0) {
		t.Errorf("after a change of other settings it is from %s", got)
	}
}

func TestAnObstacleThatCannotBeLookedAtIsAsOldAsBefore(t *testing.T) {
	c := wantCert()
	dead := Obstacle{Reason: AddressUnseen, Subject: "example.com AAAA"}
	full := Obstacle{Reason: DiskFull, Subject: "/a"}
	for _, by := range []Obstacle{{Reason: DNSFailing, Subject: "example.com"}, {Reason: SolverUnusable, Subject: "solver http.main"}} {
		r := Rehearsal{}.Next(t0, &c, []Obstacle{dead, full})
		for n := range 3 {
			if r = r.Next(t0.Add(time.Duration(n+1)*time.Hour), &c, []Obstacle{by}); len(r.Obstacles) != 1 {
				t.Errorf("behind %s: %+v", by.Reason, r.Obstacles)
			}
		}
		r = r.Next(t0.Add(day), &c, []Obstacle{dead, full})
		if got := r.Obstacles; !got[0].Since.Equal(t0) || !got[1].Since.Equal(t0.Add(day)) || len(r.Hidden) > 0 {
			t.Errorf("after %s: %+v", by.Reason, r)
		}
	}
	r := Rehearsal{}.Next(t0, &c, []Obstacle{dead}).Next(t0.Add(1), &c, []Obstacle{{Reason: DNSFailing, Subject: "www.example.com"}})
	if len(r.Hidden) > 0 {
		t.Errorf("another name's failure hides it: %+v", r.Hidden)
	}
}

func TestALookThatTheClockDatesAheadIsNotBelieved(t *testing.T) {
	c, f, at := lookedAt(90*day, Obstacle{Reason: DiskFull, Subject: "/a"})
	Believe(at.Add(-time.Second), &f)
	if !f.Journal.Preflight.At.IsZero() || len(Obstacles(at, &c, &f)) > 0 {
		t.Errorf("%+v", f.Journal.Preflight)
	}
}

// TestSettingsAreTheSameWithoutCredentials: whoever looks without them, as check
// does, is to take a preflight for one of the same settings.
func TestSettingsAreTheSameWithoutCredentials(t *testing.T) {
	c := wantCert()
	c.Outputs = []Output{{Format: "pkcs12", Path: "/etc/x.p12", Password: word("x")}}
	with, searched := c.settings(), c.searched()
	c.Outputs = []Output{{Format: "pkcs12", Path: "/etc/x.p12"}}
	if c.settings() != with || c.searched() != searched {
		t.Error("they differ by a password")
	}
	if c.Outputs[0].Path = "/etc/y.p12"; c.settings() == with || c.searched() == searched {
		t.Error("another path does not count")
	}
}

// word is a password.
type word string

func (w word) Reveal() string { return string(w) }
