package renew

import (
	"math/rand/v2"
	"testing"
	"time"
)

const testBusy = 15 * time.Minute

// promised returns the one promise of that kind, and fails where there are more.
func promised(t *testing.T, all []Promise, do Do, hook string) (Promise, bool) {
	t.Helper()
	var found []Promise
	for _, p := range all {
		if p.Do == do && p.Hook == hook {
			found = append(found, p)
		}
	}
	if len(found) > 1 {
		t.Fatalf("%d promises to %s %s: %+v", len(found), do, hook, found)
	}
	if len(found) == 0 {
		return Promise{}, false
	}
	return found[0], true
}

func TestPromises(t *testing.T) {
	issueDue := t0.Add(60 * day)
	for _, tc := range []struct {
		name   string
		now    time.Time
		change func(*Cert, *Facts)
		do     Do
		hook   string
		reason Reason
		due    time.Time
	}{
		{"the backstop lies ahead", t0.Add(day), nil, Issue, "", Lifetime, issueDue},
		{"the backstop has passed: due since then", t0.Add(61 * day), nil, Issue, "", Lifetime, issueDue},
		{"expired: due since the backstop", t0.Add(91 * day), nil, Issue, "", Expired, issueDue},
		{"the chosen point has passed", t0.Add(50 * day), func(_ *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: t0.Add(30 * day), End: t0.Add(60 * day), Chosen: t0.Add(40 * day), FetchedAt: t0, PollAt: t0.Add(60 * day)}
		}, Issue, "", ARIWindow, t0.Add(40 * day)},
		{"the CA moved its window into the past: due since it said so", t0.Add(50 * day), func(_ *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: t0, End: t0.Add(day), Chosen: t0.Add(time.Hour), FetchedAt: t0.Add(49 * day), PollAt: t0.Add(60 * day)}
		}, Issue, "", Emergency, t0.Add(49 * day)},
		{"issuing failed: the next try, ahead", t0.Add(61 * day), func(_ *Cert, f *Facts) {
			f.failed(Trouble{Count: 2, Last: t0.Add(61*day - time.Hour), RetryAt: t0.Add(62 * day)})
		}, Issue, "", BackingOff, t0.Add(62 * day)},
		{"issuing failed: the next try was not made", t0.Add(64 * day), func(_ *Cert, f *Facts) {
			f.failed(Trouble{Count: 2, Last: t0.Add(61 * day), RetryAt: t0.Add(62 * day)})
		}, Issue, "", Lifetime, t0.Add(62 * day)},
		{"an operator asked after the failure: from then on", t0.Add(64 * day), func(_ *Cert, f *Facts) {
			f.failed(Trouble{Count: 2, Last: t0.Add(61 * day), RetryAt: t0.Add(69 * day)})
			f.Journal.Request = Request{At: t0.Add(63 * day)}
		}, Issue, "", Lifetime, t0.Add(63 * day)},
		{"a CA's time outranks the operator", t0.Add(64 * day), func(_ *Cert, f *Facts) {
			f.failed(Trouble{Count: 2, Class: Limited, Last: t0.Add(61 * day), RetryAt: t0.Add(69 * day)})
			f.Journal.Request = Request{At: t0.Add(63 * day)}
		}, Issue, "", Throttled, t0.Add(69 * day)},
		{"a CA's time that is over counts from then, whoever asked before", t0.Add(64 * day), func(_ *Cert, f *Facts) {
			f.failed(Trouble{Count: 2, Class: Limited, Last: t0.Add(61 * day), RetryAt: t0.Add(63 * day)})
			f.Journal.Request = Request{At: t0.Add(62 * day)}
		}, Issue, "", Lifetime, t0.Add(63 * day)},
		{"the account's hold lies ahead", t0.Add(61 * day), func(_ *Cert, f *Facts) { f.Standings = []Standing{{HoldUntil: t0.Add(63 * day)}} }, Issue, "", Throttled, t0.Add(63 * day)},
		{"the account's hold is over", t0.Add(64 * day), func(_ *Cert, f *Facts) { f.Standings = []Standing{{HoldUntil: t0.Add(63 * day)}} }, Issue, "", Lifetime, t0.Add(63 * day)},
		{"the brake has let go", t0.Add(9 * day), func(c *Cert, f *Facts) {
			c.KeyType = RSA2048
			for i := range 3 {
				f.Journal.Issued = append(f.Journal.Issued, Issuance{At: t0.Add(time.Duration(i+1) * time.Hour), Set: c.Set(), NotAfter: t0.Add(90 * day)})
			}
		}, Issue, "", KeyDiffers, t0.Add(7*day + time.Hour)},
		{"a forced renewal: since it was asked for", t0.Add(5 * day), func(_ *Cert, f *Facts) {
			f.Journal.Request = Request{At: t0.Add(4 * day), Force: true}
		}, Issue, "", Requested, t0.Add(4 * day)},
		{"nothing is held: since it was configured", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			*f = Facts{ConfiguredAt: t0.Add(day)}
		}, Issue, "", Missing, t0.Add(day)},
		{"a name was added: since then", t0.Add(2 * day), func(c *Cert, f *Facts) {
			c.Names, f.ConfiguredAt = append(c.Names, "new.example.com"), t0.Add(day)
		}, Issue, "", NamesDiffer, t0.Add(day)},
		{"the pair broke: since the agent last did something", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Newest, f.Held = Version{N: 1, Fault: PairMismatch}, Version{}
			f.Journal.Proofs[0].CheckedAt = t0.Add(47 * time.Hour)
		}, Issue, "", PairMismatch, t0.Add(47 * time.Hour)},

		{"a new version is not live: since it was issued", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Held.N, f.Newest.N, f.Held.IssuedAt = 2, 2, t0.Add(day)
		}, Install, "", InstallPending, t0.Add(day)},
		{"the live link was flipped: since then", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Live, f.ChangedAt = 0, t0.Add(day)
		}, Install, "", InstallPending, t0.Add(day)},
		{"an output failed: since the next try was due", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Outputs = []OutputState{{Reason: InstallPending}}
			f.Journal.Install = Trouble{Count: 3, Last: t0.Add(day), RetryAt: t0.Add(day + time.Minute)}
		}, Install, "", InstallPending, t0.Add(day + time.Minute)},
		{"an output is gone: since the agent last did something", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Outputs = []OutputState{{Reason: InstallPending}}
		}, Install, "", InstallPending, t0.Add(time.Second)},

		{"a hook has not run: since the install", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Journal.Hooks = nil
			f.Journal.Placed = Placed{Version: 1, At: t0.Add(day)}
		}, Deploy, "nginx", HookPending, t0.Add(day)},
		{"a hook failed: the next try, ahead", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Trouble: Trouble{Count: 1, Last: t0.Add(day), RetryAt: t0.Add(3 * day)}}
		}, Deploy, "nginx", HookPending, t0.Add(3 * day)},
		{"of two hooks, one fails and one never ran", t0.Add(2 * day), func(c *Cert, f *Facts) {
			c.Hooks = []string{"nginx", "mail"}
			f.Journal.Hooks["nginx"] = HookRecord{Trouble: Trouble{Count: 1, Last: t0.Add(day), RetryAt: t0.Add(3 * day)}}
		}, Deploy, "mail", HookPending, t0},
		{"what a hook saw was changed: since then", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Seen, f.ChangedAt = "otherwise", t0.Add(day)
		}, Deploy, "nginx", HookPending, t0.Add(day)},
		{"a reload in vain: again after the backoff", t0.Add(2 * day), func(_ *Cert, f *Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].CheckedAt = false, t0.Add(day)
			f.Journal.Verify = Trouble{Count: 1, Last: t0.Add(day), RetryAt: t0.Add(day + time.Minute)}
		}, Deploy, "", NotServed, t0.Add(day + time.Minute)},

		{"served: again within the hour", t0.Add(time.Minute), nil, Verify, "", ProofDue, t0.Add(time.Hour + time.Second)},
		{"served, and not looked at since", t0.Add(day), nil, Verify, "", ProofDue, t0.Add(time.Hour + time.Second)},
		{"of two proofs the older one is due first", t0.Add(day), func(c *Cert, f *Facts) {
			c.Endpoints[0].Names = []string{"www.example.com", "example.com"}
			p := f.Journal.Proofs[0]
			p.Name, p.CheckedAt = "www.example.com", t0.Add(10*time.Minute)
			f.Journal.Proofs = append(f.Journal.Proofs, p)
		}, Verify, "", ProofDue, t0.Add(time.Hour + time.Second)},
		{"never proved: since the hooks ran", t0.Add(day), func(_ *Cert, f *Facts) {
			f.Journal.Proofs = nil
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0.Add(time.Hour), Saw: "as it is"}
		}, Verify, "", NotProved, t0.Add(time.Hour)},
		{"unverifiable: the next try was not made", t0.Add(day), func(_ *Cert, f *Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].Unverifiable = false, true
			f.Journal.Verify = Trouble{Count: 7, Last: t0.Add(time.Second), RetryAt: t0.Add(time.Minute)}
		}, Verify, "", Unverifiable, t0.Add(time.Minute)},
		{"a file changed after the proof: since then", t0.Add(30 * time.Minute), func(_ *Cert, f *Facts) {
			f.ChangedAt = t0.Add(10 * time.Minute)
		}, Verify, "", ProofDue, t0.Add(10 * time.Minute)},

		{"the CA is to be asked again", t0.Add(day), func(_ *Cert, f *Facts) { f.Journal.Advice.PollAt = t0.Add(6 * time.Hour) }, Advise, "", AdviceDue, t0.Add(6 * time.Hour)},
		{"the CA was never asked about this leaf", t0.Add(day), func(_ *Cert, f *Facts) { f.Journal.Advice = Advice{CertID: "old"} }, Advise, "", AdviceDue, t0},
		{"asking the CA failed: the next try", t0.Add(day), func(_ *Cert, f *Facts) {
			f.Journal.Advice.PollAt = t0
			f.Journal.Advise = Trouble{Count: 1, Last: t0.Add(time.Hour), RetryAt: t0.Add(2 * time.Hour)}
		}, Advise, "", AdviceDue, t0.Add(2 * time.Hour)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			if tc.change != nil {
				tc.change(&c, &f)
			}
			p, ok := promised(t, Promises(tc.now, &c, &f, testBusy), tc.do, tc.hook)
			if !ok || p.Reason != tc.reason || !p.Due.Equal(tc.due) {
				t.Fatalf("%v %s, due %s (%s after the issue), want %s, due %s", ok, p.Reason, p.Due, p.Due.Sub(t0), tc.reason, tc.due)
			}
			if tc.due.After(tc.now) && p.Overdue(tc.now, time.Time{}) {
				t.Error("overdue before it is due")
			}
			if last := tc.due.Add(p.Grace); p.Overdue(last, time.Time{}) || !p.Overdue(last.Add(1), time.Time{}) {
				t.Errorf("overdue is not what is later than %s after %s", p.Grace, tc.due)
			}
		})
	}
}

func TestWhatWasDueWhileNoAgentRanIsCountedFromItsStart(t *testing.T) {
	p := Promise{Due: t0, Grace: time.Hour}
	if p.Overdue(t0.Add(2*time.Hour), t0.Add(90*time.Minute)) {
		t.Error("overdue although the agent came half an hour ago")
	}
	if !p.Overdue(t0.Add(3*time.Hour), t0.Add(90*time.Minute)) {
		t.Error("not overdue although the agent had more than the grace")
	}
}

func TestGraceShrinksWithTheLifetime(t *testing.T) {
	c := wantCert()
	for lifetime, want := range map[time.Duration]time.Duration{
		10 * time.Second: graceLeast,
		time.Minute:      15 * time.Second,
		time.Hour:        15 * time.Minute,
		6 * day:          2*time.Minute + testBusy + time.Hour,
		90 * day:         2*time.Minute + testBusy + time.Hour,
	} {
		f := servedAt(lifetime)
		if got := grace(&c, &f, testBusy); got != want {
			t.Errorf("%s certificate: grace %s, want %s", lifetime, got, want)
		}
	}
	if got := grace(&c, &Facts{}, testBusy); got != 2*time.Minute+testBusy {
		t.Errorf("nothing held: grace %s", got)
	}
}

// Whatever the facts are: every rule's wish is a promise, for the very time of
// the wish where that lies ahead, and for a time that has come where it does not.
func TestEveryStepAheadIsAPromise(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	at := func() time.Time { return t0.Add(time.Duration(rnd.Int64N(int64(200*day))) - 100*day) }
	maybe := func() bool { return rnd.IntN(2) == 0 }
	trouble := func() Trouble {
		return Trouble{Count: rnd.IntN(7), Class: []Class{Transient, Limited}[rnd.IntN(2)], Since: at(), Last: at(), RetryAt: at()}
	}
	seen := map[Do]int{}
	for range 10_000 {
		c, f := twoIssuers(), servedAt(time.Duration(rnd.Int64N(int64(398*day))))
		f.Held.CRL = "http://ca.example/crl"
		f.Journal.LookUp, f.Journal.Enroll, f.Journal.Adopt = trouble(), trouble(), trouble()
		if maybe() {
			f.Foreign = []Foreign{{Place: AtLive, NotAfter: at(), ChangedAt: at(), Since: at()}}
		}
		c.Hooks = []string{"nginx", "mail"}
		now := at()
		f.Held.N, f.Newest.N, f.Live = rnd.IntN(3), rnd.IntN(4), rnd.IntN(3)
		f.Journal.Install, f.Journal.Verify, f.Journal.Advise = trouble(), trouble(), trouble()
		f.Standby, f.Journal.Refused = Standby{N: 1, End: at()}, Refusal{Version: rnd.IntN(4), Cleared: maybe()}
		for _, h := range c.Hooks {
			f.Journal.Hooks[h] = HookRecord{Acknowledged: rnd.IntN(3), RanAt: at(), NotAfter: at(), Trouble: trouble()}
		}
		f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: rnd.IntN(3), Served: maybe(), Unverifiable: maybe(), CheckedAt: at()}
		f.Journal.Request = Request{At: at(), Force: maybe()}
		f.ConfiguredAt, f.Standings, f.ChangedAt = at(), []Standing{{HoldUntil: at()}, {HoldUntil: at()}}, at()
		f.failed(trouble())
		if maybe() {
			c.HookWindows, f.Held.Reason = anyNight, Lifetime
		}
		c.Auto = maybe()
		f.Journal.Found = Found{At: at(), For: rnd.IntN(3), Places: []Place{{Address: "127.0.0.1:443", Name: "example.com", Older: maybe(), Copy: maybe()}}}
		if maybe() {
			f.Journal.Found.Of = c.searched()
		}
		all := Promises(now, &c, &f, testBusy)
		for _, s := range Ahead(now, &c, &f) {
			var first time.Time
			for _, p := range all {
				if p.Do == s.Do && (first.IsZero() || p.Due.Before(first)) {
					first = p.Due
				}
				if p.Due.IsZero() || p.Grace < graceLeast {
					t.Fatalf("%+v of %+v", p, f)
				}
			}
			switch {
			case first.IsZero():
				t.Fatalf("nobody promises %+v; facts: %+v", s, f)
			case s.At.After(now) && !first.Equal(s.At):
				t.Fatalf("%s at %s is promised for %s; facts: %+v", s.Do, s.At, first, f)
			case !s.At.After(now) && first.After(now):
				t.Fatalf("%s is due at %s and promised for %s; facts: %+v", s.Do, now, first, f)
			}
			seen[s.Do]++
		}
	}
	if len(seen) < len(rules) {
		t.Errorf("only these steps came up: %v", seen)
	}
}

// TestWhatLeavesNoDateIsNotOverdueAtOnce: a window that opens, an issuer whose
// turn comes and a rescue are due later than the certificate is, and no fact
// says when.
func TestWhatLeavesNoDateIsNotOverdueAtOnce(t *testing.T) {
	due := t0.Add(60 * day)
	for _, tc := range []struct {
		name string
		at   time.Time // when it becomes due
		with func(c *Cert, f *Facts)
	}{
		{"a window opens", time.Date(2026, 5, 1, 2, 0, 0, 0, time.UTC), func(c *Cert, _ *Facts) {
			c.Window, _ = ParseWindow("02:00-05:00", time.UTC)
		}},
		{"the second issuer's turn", due.Add(12 * day), func(c *Cert, f *Facts) {
			*c = twoIssuers()
			f.Journal.Issuers = map[string]Trouble{"le": withRetry(failingSince(c.Issuers[0], due, due.Add(day), 9), f.Held.NotAfter)}
		}},
		{"a rescue", due.Add(15 * day), func(c *Cert, f *Facts) {
			c.Rescue = true
			f.Journal.Issuers = deadName(*c, due, due.Add(14*day), 9)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			tc.with(&c, &f)
			f.Journal.Proofs[0].CheckedAt = tc.at
			overdue := func(now time.Time) bool {
				for _, p := range Promises(now, &c, &f, time.Minute) {
					if p.Do == Issue && p.Overdue(now, t0) {
						return true
					}
				}
				return false
			}
			if overdue(tc.at.Add(time.Minute)) {
				t.Error("overdue a minute after")
			}
			if !overdue(tc.at.Add(2 * time.Hour)) {
				t.Error("not overdue two hours after")
			}
		})
	}
}
