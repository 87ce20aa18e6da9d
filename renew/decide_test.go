package renew

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

const day = 24 * time.Hour

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func wantCert() Cert {
	return Cert{
		Name: "www", Names: []string{"example.com", "www.example.com"}, KeyType: EC256, ARI: true,
		Issuers:   []Issuer{{Name: "le", Directory: "https://ca.example/dir"}},
		Hooks:     []string{"nginx"},
		Endpoints: []Endpoint{{Address: "127.0.0.1:443", Protocol: "tls", Names: []string{"example.com"}}},
	}
}

// servedAt returns the facts of a certificate of the given lifetime, issued at
// t0, for which everything was done within a second.
func servedAt(lifetime time.Duration) Facts {
	v := Version{
		N: 1, Fingerprint: "aa", CertID: "id1", Names: []string{"example.com", "www.example.com"}, KeyType: EC256,
		NotBefore: t0, NotAfter: t0.Add(lifetime), Issuer: "le", Directory: "https://ca.example/dir", IssuedAt: t0,
	}
	return Facts{
		Newest: v, Held: v, Live: 1, ChangedAt: t0, Seen: "as it is",
		Journal: Journal{
			Advice: Advice{CertID: "id1", FetchedAt: t0, PollAt: t0.Add(2 * lifetime)},
			Hooks:  map[string]HookRecord{"nginx": {Acknowledged: 1, RanAt: t0.Add(time.Millisecond), Saw: "as it is"}},
			Proofs: []Proof{{Address: "127.0.0.1:443", Name: "example.com", Version: 1, Served: true, CheckedAt: t0.Add(time.Second)}},
			Issued: []Issuance{{At: t0, Set: wantCert().Set(), NotAfter: v.NotAfter}},
			// A look made in the far future: no table waits for one by accident.
			Preflight: Rehearsal{At: t0.Add(10 * lifetime), Of: wantCert().settings()},
		},
	}
}

// failed notes a run of failures at the one issuer of wantCert.
func (f *Facts) failed(t Trouble) {
	f.Journal.Issuers = map[string]Trouble{"le": failedAt(t)}
}

func failedAt(t Trouble) Trouble {
	if t.Directory == "" {
		t.Directory = "https://ca.example/dir"
	}
	return t
}

func renewal(t *testing.T, now time.Time, c Cert, f Facts) Step {
	t.Helper()
	for _, s := range Ahead(now, &c, &f) {
		if s.Do == Issue {
			return s
		}
	}
	t.Fatalf("no issue step in %v", Ahead(now, &c, &f))
	return Step{}
}

func TestBackstopOverLifetimes(t *testing.T) {
	for _, tc := range []struct {
		lifetime time.Duration
		left     Fraction
		want     time.Duration // after NotBefore
	}{
		{time.Minute, 0, 30 * time.Second},
		{time.Hour, 0, 30 * time.Minute},
		{160 * time.Hour, 0, 80 * time.Hour},
		{6 * day, 0, 3 * day},
		{47 * day, 0, 47 * day * 2 / 3},
		{90 * day, 0, 60 * day},
		{398 * day, 0, 398 * day * 2 / 3},
		{90 * day, 0.5, 45 * day},
	} {
		c, f := wantCert(), servedAt(tc.lifetime)
		c.LifetimeLeft = tc.left
		s := renewal(t, t0.Add(2*time.Second), c, f)
		if d := s.At.Sub(t0.Add(tc.want)); d.Abs() > time.Second || s.Reason != Lifetime {
			t.Errorf("%s certificate with %v left: due %s after its start for %s, want %s for %s",
				tc.lifetime, tc.left, s.At.Sub(t0), s.Reason, tc.want, Lifetime)
		}
	}
}

func TestDecide(t *testing.T) {
	soon := t0.Add(2 * time.Second)
	for _, tc := range []struct {
		name   string
		now    time.Time
		change func(*Cert, *Facts)
		do     Do
		at     time.Time // zero: now
		reason Reason
	}{
		{"nothing is held: issue", soon, func(c *Cert, f *Facts) { *f = Facts{} }, Issue, time.Time{}, Missing},
		{"the only pair is broken: issue", soon, func(c *Cert, f *Facts) {
			f.Newest.Fault, f.Held = PairMismatch, Version{}
		}, Issue, time.Time{}, PairMismatch},
		{"the newest pair is broken: first the older one goes live", soon, func(c *Cert, f *Facts) {
			f.Newest = Version{N: 2, Fault: Unreadable}
			f.Live = 2
		}, Install, time.Time{}, InstallPending},
		{"the newest pair is broken, and the server has it loaded: it is not reloaded for the older one", soon, func(c *Cert, f *Facts) {
			f.Newest = Version{N: 2, Fault: Unreadable}
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: soon}
			f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Served: true, CheckedAt: soon, NotAfter: f.Held.NotAfter.Add(day)}
			f.failed(Trouble{Count: 1, Class: Limited, Last: soon, RetryAt: soon.Add(day)})
		}, Verify, time.Time{}, NotProved},
		{"it has another that ends sooner: then it is", soon, func(c *Cert, f *Facts) {
			f.Newest = Version{N: 2, Fault: Unreadable}
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: soon}
			f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Served: true, CheckedAt: soon, NotAfter: f.Held.NotAfter.Add(-day)}
			f.failed(Trouble{Count: 1, Class: Limited, Last: soon, RetryAt: soon.Add(day)})
		}, Deploy, time.Time{}, HookPending},
		{"the newest pair is broken and the older is live: issue", soon, func(c *Cert, f *Facts) {
			f.Newest = Version{N: 2, Fault: Unreadable}
		}, Issue, time.Time{}, Unreadable},
		{"the live pair is broken and what is left has expired: a whole one, or nginx does not start", t0.Add(91 * day), func(c *Cert, f *Facts) {
			f.Newest.N, f.Newest.Fault, f.Live = 2, Unreadable, 2
		}, Install, time.Time{}, InstallPending},
		{"an expired one is in place, and the server has a good one loaded: it is not reloaded", t0.Add(91 * day), func(c *Cert, f *Facts) {
			f.Newest.N, f.Newest.Fault = 2, Unreadable
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: t0}
			f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 1, CheckedAt: t0.Add(91 * day), NotAfter: t0.Add(150 * day)}
			f.Journal.Verify = Trouble{Count: 1, Last: t0.Add(91 * day), RetryAt: t0.Add(92 * day)}
			f.failed(Trouble{Count: 1, Class: Limited, Last: t0.Add(91 * day), RetryAt: t0.Add(92 * day)})
		}, Issue, t0.Add(92 * day), Throttled},
		{"nothing is live and what there is has expired: better than no file at all", t0.Add(91 * day), func(c *Cert, f *Facts) {
			f.Live = 0
		}, Install, time.Time{}, InstallPending},
		{"expired: issue", t0.Add(91 * day), nil, Issue, time.Time{}, Expired},
		{"the clock was set back before NotBefore: no issue", t0.Add(-40 * day), func(c *Cert, f *Facts) {
			c.Endpoints, c.Hooks, c.ARI = nil, nil, false
		}, Issue, t0.Add(60 * day), Lifetime},
		{"a name was added: issue", soon, func(c *Cert, f *Facts) { c.Names = append(c.Names, "new.example.com") }, Issue, time.Time{}, NamesDiffer},
		{"the names in another order are the same names", soon, func(c *Cert, f *Facts) {
			c.Names = []string{"www.example.com", "example.com"}
		}, Verify, t0.Add(time.Hour + time.Second), ProofDue},
		{"another key type: issue", soon, func(c *Cert, f *Facts) { c.KeyType = RSA2048 }, Issue, time.Time{}, KeyDiffers},
		{"another profile: issue", soon, func(c *Cert, f *Facts) { c.Issuers[0].Profile = "shortlived" }, Issue, time.Time{}, ProfileDiffers},
		{"the CA is no longer configured: issue", soon, func(c *Cert, f *Facts) { c.Issuers[0].Directory = "https://other/dir" }, Issue, time.Time{}, IssuerDiffers},
		{"the second CA issued it: no reason to issue", soon, func(c *Cert, f *Facts) {
			c.Issuers = append([]Issuer{{Name: "x", Directory: "https://other/dir"}}, c.Issuers...)
		}, Verify, t0.Add(time.Hour + time.Second), ProofDue},
		{"its notes were lost: no reason to issue", soon, func(c *Cert, f *Facts) { f.Held.Directory = "" }, Verify, t0.Add(time.Hour + time.Second), ProofDue},
		{"the live link shows another version: install", soon, func(c *Cert, f *Facts) { f.Live = 0 }, Install, time.Time{}, InstallPending},
		{"an output drifted: install", soon, func(c *Cert, f *Facts) { f.Outputs = []OutputState{{Reason: Drift}} }, Install, time.Time{}, Drift},
		{"an output failed: later", soon, func(c *Cert, f *Facts) {
			f.Outputs = []OutputState{{Reason: InstallPending}}
			f.Journal.Install = Trouble{Count: 1, RetryAt: soon.Add(5 * time.Second)}
		}, Install, soon.Add(5 * time.Second), InstallPending},
		{"an output keeps failing: the hooks run all the same", soon, func(c *Cert, f *Facts) {
			f.Outputs = []OutputState{{Reason: InstallPending}}
			f.Journal.Install = Trouble{Count: 1, RetryAt: soon.Add(5 * time.Second)}
			f.Journal.Hooks = nil
		}, Deploy, time.Time{}, HookPending},
		{"a hook has not acknowledged: deploy", soon, func(c *Cert, f *Facts) { f.Journal.Hooks = nil }, Deploy, time.Time{}, HookPending},
		{"a failing hook waits, the proof does not", soon, func(c *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Trouble: Trouble{Count: 3, RetryAt: t0.Add(time.Minute)}}
			f.Journal.Proofs = nil
		}, Verify, time.Time{}, NotProved},
		{"a failing hook never holds back a renewal", t0.Add(61 * day), func(c *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Trouble: Trouble{Count: 3, RetryAt: t0.Add(61 * day)}}
		}, Issue, time.Time{}, Lifetime},
		{"what lies at the paths is not what the hook saw: deploy again", soon, func(c *Cert, f *Facts) { f.Seen = "else" }, Deploy, time.Time{}, HookPending},
		{"a hook of an older journal saw nothing: no reason to run it", soon, func(c *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0.Add(time.Millisecond)}
			f.Seen = "else"
		}, Verify, t0.Add(time.Hour + time.Second), ProofDue},
		{"a file was touched since the proof: look again", soon, func(c *Cert, f *Facts) { f.ChangedAt = t0.Add(1500 * time.Millisecond) }, Verify, time.Time{}, ProofDue},
		{"a change dated ahead of the clock says nothing", soon, func(c *Cert, f *Facts) { f.ChangedAt = t0.Add(40 * day) }, Verify, t0.Add(time.Hour + time.Second), ProofDue},
		{"put in place a moment ago, and changed again: not at once", soon, func(c *Cert, f *Facts) {
			f.Outputs = []OutputState{{Reason: Drift}}
			f.Journal.Placed = Placed{Version: 1, At: soon, Again: 2}
		}, Install, soon.Add(4 * time.Second), Drift},
		{"another version is put in place at once all the same", soon, func(c *Cert, f *Facts) {
			f.Live, f.Journal.Placed = 0, Placed{Version: 7, At: soon, Again: 9}
		}, Install, time.Time{}, InstallPending},
		{"no proof yet: verify", soon, func(c *Cert, f *Facts) { f.Journal.Proofs = nil }, Verify, time.Time{}, NotProved},
		{"a proof of another version is none", soon, func(c *Cert, f *Facts) { f.Journal.Proofs[0].Version = 7 }, Verify, time.Time{}, NotProved},
		{"not served although the hook returned 0: run it again when its time has come", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served = false
			f.Journal.Verify = Trouble{Count: 1, RetryAt: soon}
		}, Deploy, time.Time{}, NotServed},
		{"not served: not before its time", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served = false
			f.Journal.Verify = Trouble{Count: 1, RetryAt: soon.Add(4 * time.Second)}
		}, Deploy, soon.Add(4 * time.Second), NotServed},
		{"not served in the very instant in which the hook ran: run it again", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served = false
			f.Journal.Proofs[0].CheckedAt = f.Journal.Hooks["nginx"].RanAt
			f.Journal.Verify = Trouble{Count: 1, RetryAt: soon}
		}, Deploy, time.Time{}, NotServed},
		{"the hook ran again since: verify", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served = false
			f.Journal.Verify = Trouble{Count: 1, RetryAt: soon}
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0.Add(1500 * time.Millisecond), Saw: "as it is"}
		}, Verify, time.Time{}, NotServed},
		{"a hook that failed has run at last: looked at at once", t0.Add(3 * time.Second), func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served = false
			f.Journal.Verify = Trouble{Count: 9, Last: t0.Add(time.Second), RetryAt: t0.Add(time.Minute)}
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0.Add(2 * time.Second), Saw: f.Seen}
		}, Verify, time.Time{}, NotServed},
		{"an endpoint that can't be reached: no reload, another look", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].Unverifiable = false, true
			f.Journal.Verify = Trouble{Count: 1, RetryAt: soon}
		}, Verify, time.Time{}, Unverifiable},
		{"served an hour ago: look again", t0.Add(time.Hour + time.Second), nil, Verify, time.Time{}, ProofDue},
		{"a short certificate is proved more often", t0.Add(2 * time.Second), func(c *Cert, f *Facts) {
			*f = servedAt(time.Minute)
		}, Verify, t0.Add(4 * time.Second), ProofDue},
		{"the CA was never asked about this certificate: ask", soon, func(c *Cert, f *Facts) { f.Journal.Advice.CertID = "id0" }, Advise, time.Time{}, AdviceDue},
		{"asking failed: later", soon, func(c *Cert, f *Facts) {
			f.Journal.Advice.CertID = "id0"
			f.Journal.Advise = Trouble{Count: 1, RetryAt: soon.Add(time.Minute)}
		}, Advise, soon.Add(time.Minute), AdviceDue},
		{"nothing configured to do: wait", soon, func(c *Cert, f *Facts) { *c, *f = Cert{}, Facts{Held: Version{N: 1}, Live: 1} }, Issue, time.Time{}, Expired},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			if tc.change != nil {
				tc.change(&c, &f)
			}
			f.Journal.Preflight.Of = c.settings() // the rows of preflight_test.go tell what else makes one due
			want := Step{Do: tc.do, At: tc.at, Reason: tc.reason}
			if tc.at.IsZero() {
				want.At = tc.now
			}
			got := Decide(tc.now, &c, &f)
			if got.Do == Issue && len(c.Issuers) > 0 {
				want.Issuer = c.Issuers[0].Name
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestWhatHoldsAnIssueBack(t *testing.T) {
	now := t0.Add(61 * day)
	issued := func(ages ...time.Duration) []Issuance {
		var l []Issuance
		for _, a := range ages {
			l = append(l, Issuance{At: now.Add(-a), Set: wantCert().Set(), NotAfter: now.Add(-a + 90*day)})
		}
		return l
	}
	for _, tc := range []struct {
		name   string
		change func(*Cert, *Facts)
		at     time.Time
		reason Reason
	}{
		{"nothing", nil, now, Lifetime},
		{"the schedule after a failure", func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Transient, Last: now, RetryAt: now.Add(time.Minute)})
		}, now.Add(time.Minute), BackingOff},
		{"the schedule after a failure, once it is over", func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Transient, Last: now.Add(-time.Minute), RetryAt: now})
		}, now, Lifetime},
		{"the CA's Retry-After", func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Limited, Last: now, RetryAt: now.Add(time.Hour)})
		}, now.Add(time.Hour), Throttled},
		{"the CA's Retry-After for the whole account", func(c *Cert, f *Facts) { f.Standings = []Standing{{HoldUntil: now.Add(2 * time.Hour)}} }, now.Add(2 * time.Hour), Throttled},
		{"another CA's Retry-After does not count", func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Limited, Last: now, RetryAt: now.Add(time.Hour), Directory: "https://other/dir"})
		}, now, Lifetime},
		{"a request lifts the schedule", func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Transient, Last: now.Add(-time.Second), RetryAt: now.Add(time.Minute)})
			f.Journal.Request.At = now
		}, now, Lifetime},
		{"a request does not lift the CA's Retry-After", func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Limited, Last: now.Add(-time.Second), RetryAt: now.Add(time.Minute)})
			f.Journal.Request = Request{At: now, Force: true}
		}, now.Add(time.Minute), Throttled},
		{"two more than the schedule in a week are let through", func(c *Cert, f *Facts) { f.Journal.Issued = issued(3*day, 2*day) }, now, Lifetime},
		{"three in a week brake", func(c *Cert, f *Facts) { f.Journal.Issued = issued(3*day, 2*day, day) }, now.Add(4 * day), Braked},
		{"a fourth is let through where what is held was revoked", func(c *Cert, f *Facts) {
			f.Journal.Issued = issued(3*day, 2*day, day)
			f.Journal.Revoked.Fingerprint = f.Held.Fingerprint
		}, now, IsRevoked},
		{"a fifth is not", func(c *Cert, f *Facts) {
			f.Journal.Issued = issued(4*day, 3*day, 2*day, day)
			f.Journal.Revoked.Fingerprint = f.Held.Fingerprint
		}, now.Add(3 * day), Braked},
		{"three, one of them long ago, do not", func(c *Cert, f *Facts) { f.Journal.Issued = issued(8*day, 2*day, day) }, now, Lifetime},
		{"those for other names do not count", func(c *Cert, f *Facts) {
			f.Journal.Issued = issued(3*day, 2*day, day)
			f.Journal.Issued[1].Set = "other"
		}, now, Lifetime},
		{"force lifts the brake", func(c *Cert, f *Facts) {
			f.Journal.Issued = issued(3*day, 2*day, day)
			f.Journal.Request = Request{At: now, Force: true}
		}, now, Requested},
		{"an earlier force does not", func(c *Cert, f *Facts) {
			f.Journal.Issued = issued(3*day, 2*day, day)
			f.Journal.Request = Request{At: now.Add(-2 * day), Force: true}
			f.Held.IssuedAt = now.Add(-day)
		}, now.Add(4 * day), Braked},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			f.Journal.Issued = nil
			if tc.change != nil {
				tc.change(&c, &f)
			}
			if got := renewal(t, now, c, f); got.At != tc.at || got.Reason != tc.reason {
				t.Errorf("got %+v, want %s for %s", got, tc.at, tc.reason)
			}
		})
	}
}

func TestAdvice(t *testing.T) {
	life := 90 * day
	stop := t0.Add(60 * day)
	for _, tc := range []struct {
		name   string
		advice Advice
		at     time.Time
		reason Reason
	}{
		{"a point before the backstop counts", Advice{CertID: "id1", Start: t0.Add(58 * day), End: t0.Add(60 * day), Chosen: t0.Add(59 * day)}, t0.Add(59 * day), ARIWindow},
		{"a point after the backstop does not", Advice{CertID: "id1", Start: t0.Add(80 * day), End: t0.Add(85 * day), Chosen: t0.Add(81 * day)}, stop, Lifetime},
		{"advice for another leaf is void", Advice{CertID: "id0", Chosen: t0.Add(day)}, stop, Lifetime},
		{"no advice", Advice{CertID: "id1"}, stop, Lifetime},
		{"a window that passed while the renewal failed is none: the CA asked for no hurry", Advice{CertID: "id1", Start: t0.Add(58 * day), End: t0.Add(59 * day),
			Chosen: t0.Add(58 * day), DrawnAt: t0, FetchedAt: t0.Add(59*day + time.Hour)}, t0.Add(58 * day), ARIWindow},
		{"a window in the past is an emergency, however often it was told since", Advice{CertID: "id1", Start: t0.Add(-2 * time.Hour), End: t0.Add(-time.Hour),
			Chosen: t0.Add(-90 * time.Minute), DrawnAt: t0, FetchedAt: t0.Add(time.Second)}, t0.Add(2 * time.Second), Emergency},
		{"a window in the past is an emergency", Advice{CertID: "id1", Start: t0.Add(-2 * time.Hour), End: t0.Add(-time.Hour), Chosen: t0.Add(-90 * time.Minute), FetchedAt: t0}, t0.Add(2 * time.Second), Emergency},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(life)
			f.Journal.Advice = tc.advice
			if got := renewal(t, t0.Add(2*time.Second), c, f); got.At != tc.at || got.Reason != tc.reason {
				t.Errorf("got %+v, want %s for %s", got, tc.at, tc.reason)
			}
			c.ARI = false
			if got := renewal(t, t0.Add(2*time.Second), c, f); got.At != stop {
				t.Errorf("with ari = false: got %+v, want the backstop %s", got, stop)
			}
		})
	}
}

func TestDrawStaysWithinTheCertificatesLife(t *testing.T) {
	v := Version{IssuedAt: t0, NotBefore: t0, NotAfter: t0.Add(time.Minute)}
	for _, u := range []float64{0, 0.5, 0.999} {
		if got := Draw(v, t0.Add(-day), t0.Add(day), u); got.Before(t0) || !got.Before(t0.Add(day)) {
			t.Errorf("Draw with u = %v gave %s", u, got)
		}
	}
	if got := Draw(v, t0.Add(-2*day), t0.Add(-day), 0.5); got != t0.Add(-36*time.Hour) {
		t.Errorf("a window wholly in the past: %s", got)
	}
}

func TestAnIntermediateThatEndsFirstCountsAsTheEnd(t *testing.T) {
	c, f := wantCert(), servedAt(90*day)
	f.Held.ChainNotAfter = t0.Add(30 * day)
	if got := renewal(t, t0.Add(2*time.Second), c, f); got.At.Sub(t0.Add(20*day)).Abs() > time.Second {
		t.Errorf("due at %s, want after 20 days", got.At.Sub(t0))
	}
}

func TestDueHooks(t *testing.T) {
	now := t0.Add(10 * time.Second)
	c, f := wantCert(), servedAt(90*day)
	c.Hooks = []string{"a", "b", "nginx"}
	f.Journal.Hooks["b"] = HookRecord{Trouble: Trouble{Count: 1, RetryAt: now.Add(time.Second)}}
	if got := DueHooks(now, &c, &f); len(got) != 1 || got[0] != "a" {
		t.Errorf("due: %v, want a alone: b waits, nginx has acknowledged", got)
	}
	f.Journal.Hooks = map[string]HookRecord{}
	for _, h := range c.Hooks {
		f.Journal.Hooks[h] = HookRecord{Acknowledged: 1, RanAt: t0}
	}
	f.Journal.Proofs[0].Served = false
	if got := DueHooks(now, &c, &f); len(got) != 3 {
		t.Errorf("not served: due %v, want all three again", got)
	}
	c.Endpoints[0].Hooks = []string{"b"}
	if got := DueHooks(now, &c, &f); len(got) != 1 || got[0] != "b" {
		t.Errorf("not served: due %v, want b alone, which is the endpoint's", got)
	}
	f.Journal.Hooks["b"] = HookRecord{Acknowledged: 1, RanAt: now}
	if got := DueHooks(now, &c, &f); len(got) != 0 {
		t.Errorf("due %v, want none before the next proof: b has run since the last", got)
	}
}

// anyNight is a window for the hook of wantCert.
var anyNight = map[string]Window{"nginx": {text: "02:00-05:00", zone: time.UTC, spans: []span{{2 * 3600, 3 * 3600}, {daySeconds + 2*3600, 3 * 3600}}}}

// TestDecideIsTotal throws random facts at Decide: whatever they are, it gives
// a step that is not in the past, gives it again for the same facts, and never
// issues before a time that the CA named.
func TestDecideIsTotal(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	at := func() time.Time { return t0.Add(time.Duration(rnd.Int64N(int64(200*day))) - 100*day) }
	maybe := func() bool { return rnd.IntN(2) == 0 }
	trouble := func() Trouble {
		if maybe() {
			return Trouble{}
		}
		return Trouble{Count: rnd.IntN(9), Class: []Class{Transient, Limited, Refused}[rnd.IntN(3)], Last: at(), RetryAt: at()}
	}
	for range 50_000 {
		c, f := wantCert(), servedAt(time.Duration(rnd.Int64N(int64(398*day))))
		now := at()
		f.Held.N, f.Newest.N, f.Live = rnd.IntN(3), rnd.IntN(4), rnd.IntN(3)
		f.Journal.Install, f.Journal.Verify, f.Journal.Advise = trouble(), trouble(), trouble()
		f.failed(trouble())
		f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: rnd.IntN(3), RanAt: at(), Trouble: trouble()}
		f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: rnd.IntN(3), Served: maybe(), Unverifiable: maybe(), CheckedAt: at()}
		f.Journal.Request = Request{At: at(), Force: maybe()}
		if maybe() {
			c.HookWindows, f.Held.Reason = anyNight, Lifetime
			rec := f.Journal.Hooks["nginx"]
			rec.NotAfter = at()
			f.Journal.Hooks["nginx"] = rec
		}
		if maybe() {
			f.Standings = []Standing{{HoldUntil: at()}}
		}
		if maybe() {
			f.ChangedAt = at()
		}
		if maybe() {
			c.OnChange = append(OnChanges, "")[rnd.IntN(4)]
			f.Outputs = []OutputState{{InPlace: maybe(), Reason: InstallPending}}
			f.Foreign = []Foreign{{Place: rnd.IntN(3) - 1, Fault: []string{"", "no"}[rnd.IntN(2)], NotAfter: at(), ChangedAt: at(), Since: at()}}
		}
		s := Decide(now, &c, &f)
		if s.At.Before(now) || s.Reason == "" || s.Do == "" {
			t.Fatalf("step %+v at %s of %+v", s, now, f)
		}
		if again := Decide(now, &c, &f); !reflect.DeepEqual(again, s) {
			t.Fatalf("the same facts gave %+v, then %+v", s, again)
		}
		if s.Do == Issue && !s.At.After(now) {
			if now.Before(f.standing(0).HoldUntil) {
				t.Fatalf("issues before the account's hold is over: %+v", f)
			}
			if i := f.Journal.Issuer(wantCert().Issuers[0]); i.Count > 0 && i.Class == Limited && now.Before(i.RetryAt) {
				t.Fatalf("issues before the CA's Retry-After: %+v", f)
			}
		}
		Health(now, &c, &f)
		StageOf(&c, &f)
		for do := range map[Do]bool{Issue: true, Deploy: true, Advise: true} {
			if b := Backoff(now, do, rnd.IntN(50), &c, &f); b <= 0 || b > 24*time.Hour {
				t.Fatalf("backoff of %s: %s", do, b)
			}
		}
	}
}
