package renew

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// renewedAt returns the facts of a certificate of the given lifetime whose second
// version was put in place at now, when a third of the first was left (a half,
// below ten days), and that nobody has loaded yet.
func renewedAt(lifetime time.Duration) (now time.Time, f Facts) {
	f = servedAt(lifetime)
	old := f.Held
	left := lifetime / 3
	if lifetime < shortLifetime {
		left = lifetime / 2
	}
	now = old.NotAfter.Add(-left)
	f.Held.N, f.Held.Fingerprint, f.Held.CertID = 2, "bb", "id2"
	f.Held.NotBefore, f.Held.NotAfter, f.Held.IssuedAt, f.Held.Reason = now, now.Add(lifetime), now, Lifetime
	f.Newest, f.Live, f.ChangedAt, f.Seen = f.Held, 2, now, "renewed"
	f.Journal.Advice = Advice{CertID: "id2", FetchedAt: now, PollAt: now.Add(2 * lifetime)}
	f.Journal.Placed = Placed{Version: 2, At: now}
	f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0, Saw: "as it is", NotAfter: old.NotAfter}
	f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 1, Served: true, Fingerprint: "aa", NotAfter: old.NotAfter, CheckedAt: now.Add(-time.Minute)}
	return now, f
}

func inWindow(t *testing.T, text string) Cert {
	t.Helper()
	c := wantCert()
	w, err := ParseWindow(text, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	c.HookWindows = map[string]Window{"nginx": w}
	return c
}

func deployStep(now time.Time, c *Cert, f *Facts) Step {
	s, _ := deployRule(now, c, f)
	s.At = later(s.At, now)
	return s
}

// TestAHookWaitsForItsWindow: the certificate of 90 days is renewed on Thursday,
// 30 April 2026, at noon; that of 160 hours on Wednesday, 4 March, at 20:00.
func TestAHookWaitsForItsWindow(t *testing.T) {
	thursday := time.Date(2026, 4, 30, 12, 0, 0, 0, time.UTC)
	wednesday := time.Date(2026, 3, 4, 20, 0, 0, 0, time.UTC)
	failed := func(at, retry time.Time) func(*Cert, *Facts) {
		return func(_ *Cert, f *Facts) {
			rec := f.Journal.Hooks["nginx"]
			rec.Trouble = Trouble{Count: 1, Class: Local, Last: at, RetryAt: retry}
			f.Journal.Hooks["nginx"] = rec
		}
	}
	saturday := time.Date(2026, 5, 2, 2, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name   string
		window string
		life   time.Duration
		after  time.Duration // since the renewal
		change func(*Cert, *Facts)
		at     time.Time
		reason Reason
	}{
		{"no window", "", 90 * day, 0, nil, thursday, HookPending},
		{"open", "Thu 10:00-14:00", 90 * day, 0, nil, thursday, HookPending},
		{"shut: until it opens", "Sat 02:00-05:00", 90 * day, 0, nil, saturday, WindowShut},
		{"shut, a day later", "Sat 02:00-05:00", 90 * day, day, nil, saturday, WindowShut},
		{"it has opened", "Sat 02:00-05:00", 90 * day, 38*time.Hour + time.Minute, nil, saturday.Add(time.Minute), HookPending},
		{"it was missed: the next", "Sat 02:00-05:00", 90 * day, 3 * day, nil, saturday.Add(7 * day), WindowShut},
		{"half of the slack would be gone by the next", "Sat 02:00-05:00", 90 * day, 10 * day, nil, thursday.Add(10 * day), HookPending},
		{"a failure in the window is tried again in it", "Sat 02:00-05:00", 90 * day, 39 * time.Hour,
			failed(saturday.Add(time.Hour), saturday.Add(time.Hour+time.Minute)), saturday.Add(time.Hour + time.Minute), HookPending},
		{"a failure at the end of the window waits for the next", "Sat 02:00-05:00", 90 * day, 41*time.Hour - time.Second,
			failed(saturday.Add(179*time.Minute), saturday.Add(181*time.Minute)), saturday.Add(7 * day), WindowShut},
		{"160 h: every night", "02:00-05:00", 160 * time.Hour, 0, nil, wednesday.Add(6 * time.Hour), WindowShut},
		{"160 h: once a week, in time", "Fri 02:00-05:00", 160 * time.Hour, 0, nil, wednesday.Add(30 * time.Hour), WindowShut},
		{"160 h: once a week, too late", "Sat 02:00-05:00", 160 * time.Hour, 0, nil, wednesday, HookPending},
		{"an hour: at once", "02:00-05:00", time.Hour, 0, nil, t0.Add(30 * time.Minute), HookPending},

		{"an endpoint shows one that ends sooner", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) {
			f.Journal.Proofs[0].NotAfter = saturday.Add(time.Hour)
		}, thursday, HookPending},
		{"it never ran: nobody knows what the server has", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) {
			delete(f.Journal.Hooks, "nginx")
		}, thursday, HookPending},
		{"noted by a version before: the proofs tell", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0}
		}, saturday, WindowShut},
		{"noted by a version before, and nobody proves", "Sat 02:00-05:00", 90 * day, 0, func(c *Cert, f *Facts) {
			f.Journal.Hooks["nginx"], f.Journal.Proofs, c.Endpoints = HookRecord{Acknowledged: 1, RanAt: t0}, nil, nil
		}, thursday, HookPending},
		{"nobody proves, and it is known what it loaded", "Sat 02:00-05:00", 90 * day, 0, func(c *Cert, f *Facts) {
			f.Journal.Proofs, c.Endpoints = nil, nil
		}, saturday, WindowShut},
		{"files that were touched wait too", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: thursday, Saw: "before", NotAfter: f.Held.NotAfter}
		}, saturday, WindowShut},
		{"at the CA's point", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) { f.Held.Reason = ARIWindow }, saturday, WindowShut},
		{"a name that was added", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) { f.Held.Reason = NamesDiffer }, thursday, HookPending},
		{"a certificate that was revoked", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) { f.Held.Reason = IsRevoked }, thursday, HookPending},
		{"the CA wants it replaced", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) { f.Held.Reason = Emergency }, thursday, HookPending},
		{"renew --force", "Sat 02:00-05:00", 90 * day, 0, func(_ *Cert, f *Facts) { f.Held.Reason = Requested }, thursday, HookPending},
		{"an operator asks", "Sat 02:00-05:00", 90 * day, time.Hour, func(_ *Cert, f *Facts) {
			f.Journal.Request = Request{At: thursday.Add(time.Hour)}
		}, thursday.Add(time.Hour), HookPending},
		{"an operator asked before it was renewed", "Sat 02:00-05:00", 90 * day, time.Hour, func(_ *Cert, f *Facts) {
			f.Journal.Request = Request{At: t0.Add(time.Hour)}
		}, saturday, WindowShut},
		{"an edit opens no window", "Sat 02:00-05:00", 90 * day, time.Hour, func(_ *Cert, f *Facts) {
			f.Journal.Request = Request{At: thursday.Add(time.Hour), Edited: true}
		}, saturday, WindowShut},
		{"another hook without a window does not wait", "Sat 02:00-05:00", 90 * day, 0, func(c *Cert, _ *Facts) {
			c.Hooks = append(c.Hooks, "mail")
		}, thursday, HookPending},
	} {
		t.Run(tc.name, func(t *testing.T) {
			renewed, f := renewedAt(tc.life)
			c := wantCert()
			if tc.window != "" {
				c = inWindow(t, tc.window)
			}
			if tc.change != nil {
				tc.change(&c, &f)
			}
			now := renewed.Add(tc.after)
			if s := deployStep(now, &c, &f); s.Do != Deploy || !s.At.Equal(tc.at) || s.Reason != tc.reason {
				t.Errorf("%+v, want it at %s for %s", s, tc.at, tc.reason)
			}
			due := DueHooks(now, &c, &f)
			if atOnce := !tc.at.After(now); atOnce != (len(due) > 0) {
				t.Errorf("due: %v", due)
			}
		})
	}
}

func TestWhatWaitsForAWindowIsNobodysNewsAndStillGuarded(t *testing.T) {
	renewed, f := renewedAt(90 * day)
	c := inWindow(t, "Sat 02:00-05:00")
	c.Hooks = append(c.Hooks, "mail")
	f.Journal.Preflight.Of = c.settings()
	now := renewed.Add(time.Minute)
	if got := DueHooks(now, &c, &f); !slices.Equal(got, []string{"mail"}) {
		t.Fatalf("due: %v, want the hook without a window alone", got)
	}
	f.Journal.Hooks["mail"] = HookRecord{Acknowledged: 2, RanAt: now, NotAfter: f.Held.NotAfter}
	f.ChangedAt = renewed

	// After the hook that ran, the endpoint is looked at; then every hour.
	if s := Decide(now.Add(time.Second), &c, &f); s.Do != Verify || s.Reason != ProofDue {
		t.Errorf("after the other hook: %+v", s)
	}
	f.Journal.Proofs[0].CheckedAt = now.Add(time.Second) // and it shows the version before, as it should
	if s := Decide(now.Add(2*time.Second), &c, &f); s.Do != Verify || !s.At.Equal(now.Add(time.Second+time.Hour)) {
		t.Errorf("then: %+v", s)
	}
	v := Health(now.Add(time.Hour), &c, &f)
	if v.Level != OK || !slices.ContainsFunc(v.Findings, func(x Finding) bool {
		return x.Reason == WindowShut && strings.Contains(x.Detail, `hook nginx waits for its window "Sat 02:00-05:00", which opens 2026-05-02T02:00:00Z`)
	}) {
		t.Errorf("health: %+v", v)
	}
	if got := StageOf(&c, &f); got != Installed {
		t.Errorf("stage %s", got)
	}

	// One that shows something else altogether is told of at once.
	f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Fingerprint: "cc", CheckedAt: now.Add(time.Hour), Error: "another"}
	if v := Health(now.Add(time.Hour), &c, &f); v.Level == OK {
		t.Errorf("health: %+v", v)
	}
}

// TestWhatAnEndpointHasToShowUntilTheWindowOpens: the version that the waiting
// hook acknowledged, also after the endpoint was down for a while.
func TestWhatAnEndpointHasToShowUntilTheWindowOpens(t *testing.T) {
	renewed, waiting := renewedAt(90 * day)
	shown := func(fingerprint string) Proof {
		return Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Fingerprint: fingerprint, Error: "another", NotAfter: t0.Add(90 * day)}
	}
	for _, tc := range []struct {
		name   string
		window string
		rec    HookRecord
		last   Proof
		shows  Proof
		want   bool
	}{
		{"what the hook acknowledged", "Sat 02:00-05:00", HookRecord{Acknowledged: 1, Fingerprint: "aa"}, Proof{Version: 2, Unverifiable: true}, shown("aa"), true},
		{"something else", "Sat 02:00-05:00", HookRecord{Acknowledged: 1, Fingerprint: "aa"}, Proof{Version: 1, Served: true, Fingerprint: "cc"}, shown("cc"), false},
		{"nothing", "Sat 02:00-05:00", HookRecord{Acknowledged: 1, Fingerprint: "aa"}, Proof{Version: 1, Served: true, Fingerprint: "aa"}, shown(""), false},
		{"no hook waits", "Thu 10:00-14:00", HookRecord{Acknowledged: 1, Fingerprint: "aa"}, Proof{Version: 1, Served: true, Fingerprint: "aa"}, shown("aa"), false},
		{"not noted: what was proved last", "Sat 02:00-05:00", HookRecord{Acknowledged: 1}, Proof{Version: 1, Served: true, Fingerprint: "aa"}, shown("aa"), true},
		{"not noted, nor proved", "Sat 02:00-05:00", HookRecord{Acknowledged: 1}, Proof{Version: 2, Unverifiable: true}, shown("aa"), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := inWindow(t, tc.window), waiting
			tc.rec.NotAfter = t0.Add(90 * day)
			tc.last.Address, tc.last.Name, tc.last.NotAfter = tc.shows.Address, tc.shows.Name, t0.Add(90*day)
			f.Journal.Hooks, f.Journal.Proofs = map[string]HookRecord{"nginx": tc.rec}, []Proof{tc.last}
			got := AsBefore(renewed, tc.shows, &c, &f)
			if got.Served != tc.want || (tc.want && (got.Version != 1 || got.Error != "")) || (!tc.want && got != tc.shows) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestAfterItsWindowAHookIsNotRunTwice: a proof from the time of waiting says
// nothing of the reload in the window.
func TestAfterItsWindowAHookIsNotRunTwice(t *testing.T) {
	renewed, f := renewedAt(90 * day)
	c := inWindow(t, "Sat 02:00-05:00")
	c.Hooks = append(c.Hooks, "mail")
	open := time.Date(2026, 5, 2, 2, 0, 0, 0, time.UTC)
	f.Journal.Hooks["mail"] = HookRecord{Acknowledged: 2, RanAt: renewed, NotAfter: f.Held.NotAfter}
	f.Journal.Proofs[0].CheckedAt = open.Add(-time.Minute)
	f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: open, Saw: f.Seen, NotAfter: f.Held.NotAfter}
	if s := Decide(open.Add(time.Second), &c, &f); s.Do != Verify || s.Reason != NotProved || s.At.After(open.Add(time.Second)) {
		t.Errorf("%+v, want a look at once", s)
	}
	if due := DueHooks(open.Add(time.Second), &c, &f); len(due) > 0 {
		t.Errorf("due again: %v", due)
	}
}

func TestAReloadInVainIsRepeatedInItsWindowOnly(t *testing.T) {
	_, f := renewedAt(90 * day)
	c := inWindow(t, "Sat 02:00-05:00")
	open := time.Date(2026, 5, 2, 2, 0, 0, 0, time.UTC)
	f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: open, Saw: f.Seen, NotAfter: f.Held.NotAfter}
	vain := func(checked time.Time) {
		f.Journal.Proofs[0] = Proof{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Fingerprint: "aa", NotAfter: t0.Add(90 * day), CheckedAt: checked}
		f.Journal.Verify = Trouble{Count: 1, Class: Local, Last: checked, RetryAt: checked.Add(time.Second)}
	}
	vain(open.Add(time.Minute))
	now := open.Add(2 * time.Minute)
	if s := deployStep(now, &c, &f); s.Reason != NotServed || s.At.After(now) || len(DueHooks(now, &c, &f)) != 1 {
		t.Errorf("in the window: %+v, due %v", s, DueHooks(now, &c, &f))
	}
	vain(open.Add(3 * time.Hour))
	now = open.Add(4 * time.Hour)
	if s := deployStep(now, &c, &f); s.Reason != WindowShut || !s.At.Equal(open.Add(7*day)) || len(DueHooks(now, &c, &f)) != 0 {
		t.Errorf("after it: %+v, due %v", s, DueHooks(now, &c, &f))
	}
}

// TestAHookThatWaitsIsPromisedForItsWindow, and overdue by the grace after that.
func TestAHookThatWaitsIsPromisedForItsWindow(t *testing.T) {
	renewed, f := renewedAt(90 * day)
	c := inWindow(t, "Sat 02:00-05:00")
	open := time.Date(2026, 5, 2, 2, 0, 0, 0, time.UTC)
	promised := func(now time.Time) Promise {
		for _, p := range Promises(now, &c, &f, testBusy) {
			if p.Hook == "nginx" {
				return p
			}
		}
		t.Fatal("nobody promises the hook")
		return Promise{}
	}
	for _, now := range []time.Time{renewed, open.Add(-time.Second), open, open.Add(time.Minute)} {
		if p := promised(now); !p.Due.Equal(open) || p.Overdue(now, t0) {
			t.Errorf("at %s: %+v", now, p)
		}
	}
	now := open.Add(2*time.Hour + 59*time.Minute)
	if p := promised(now); !p.Overdue(now, t0) {
		t.Errorf("three hours after it opened: %+v, want it overdue", p)
	}
	f.Journal.Proofs[0].CheckedAt = renewed.Add(30 * time.Minute)
	for _, p := range Promises(renewed.Add(40*time.Minute), &c, &f, testBusy) {
		if p.Overdue(renewed.Add(40*time.Minute), t0) {
			t.Errorf("while it waits: %+v", p)
		}
	}
}

func TestAHookThatAsksToBeRunAgainSoonIsNotFailingYet(t *testing.T) {
	_, f := renewedAt(90 * day)
	c, now := wantCert(), f.Held.IssuedAt.Add(time.Minute)
	for _, tc := range []struct {
		count int
		class Class
		want  Level
	}{{1, Transient, OK}, {2, Transient, OK}, {3, Transient, Attention}, {1, Local, Attention}} {
		f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 1, RanAt: t0, Trouble: Trouble{Count: tc.count, Class: tc.class, Message: "busy"}}
		if v := Health(now, &c, &f); v.Level != tc.want {
			t.Errorf("%d %s: %s", tc.count, tc.class, v.Level)
		}
	}
	if got := Soon(&c, &f); got != 5*time.Second {
		t.Errorf("soon is %s", got)
	}
	f.Held.NotAfter = f.Held.NotBefore.Add(time.Minute)
	if got := Soon(&c, &f); got >= 5*time.Second {
		t.Errorf("of a minute, soon is %s", got)
	}
}

// TestAnEndpointThatNamesItsHooksWaitsForNoOther: its server was reloaded in vain,
// and neither another's window nor another's failure may keep it from being
// reloaded again, or what it shows from being told.
func TestAnEndpointThatNamesItsHooksWaitsForNoOther(t *testing.T) {
	renewed, waiting := renewedAt(90 * day)
	now := renewed.Add(time.Minute)
	for name, plant := range map[string]func(*Cert, *Facts){
		"another waits for its window": func(*Cert, *Facts) {},
		"another fails": func(c *Cert, f *Facts) {
			c.HookWindows = nil
			rec := f.Journal.Hooks["nginx"]
			rec.Trouble = Trouble{Count: 9, Class: Local, Last: now, RetryAt: now.Add(time.Minute)}
			f.Journal.Hooks["nginx"] = rec
		},
	} {
		t.Run(name, func(t *testing.T) {
			c, f := inWindow(t, "Sat 02:00-05:00"), waiting
			c.Hooks = append(c.Hooks, "mail")
			c.Endpoints = append(c.Endpoints, Endpoint{Address: "127.0.0.1:25", Hooks: []string{"mail"}})
			f.Journal.Hooks = map[string]HookRecord{
				"nginx": {Acknowledged: 1, RanAt: t0, Saw: "as it is", Fingerprint: "aa", NotAfter: t0.Add(90 * day)},
				"mail":  {Acknowledged: 2, RanAt: renewed, Saw: f.Seen, NotAfter: f.Held.NotAfter},
			}
			plant(&c, &f)
			before := f.Journal.Proofs[0]
			before.CheckedAt = renewed
			old := before
			old.Address = "127.0.0.1:25"

			// Before its proof it is not taken for one that may wait.
			f.Journal.Proofs = []Proof{before, old}
			if s, ok := verifyRule(now, &c, &f); !ok || s.Reason != NotProved || s.At.After(now) {
				t.Errorf("the look after the hook: %+v", s)
			}
			shown := Proof{Address: old.Address, Name: "example.com", Version: 2, Fingerprint: "aa", NotAfter: old.NotAfter, Error: "another", CheckedAt: now}
			if got := AsBefore(now, shown, &c, &f); got.Served {
				t.Errorf("it is said to show what it should: %+v", got)
			}

			f.Journal.Proofs = []Proof{before, shown}
			f.Journal.Verify = Trouble{Count: 1, Class: Local, Last: now, RetryAt: now.Add(time.Second)}
			again := now.Add(time.Second)
			if s := deployStep(now, &c, &f); s.Do != Deploy || s.Reason != NotServed || !s.At.Equal(again) {
				t.Errorf("then: %+v, want the hook again at %s", s, again)
			}
			if due := DueHooks(again, &c, &f); !slices.Equal(due, []string{"mail"}) {
				t.Errorf("due: %v, want the endpoint's own hook alone", due)
			}

			// One that names none may be anybody's, and one that names both waits.
			for _, own := range [][]string{nil, {"mail", "nginx"}} {
				c.Endpoints[1].Hooks = own
				if due := DueHooks(again, &c, &f); len(due) > 0 {
					t.Errorf("of %v due: %v", own, due)
				}
			}
		})
	}
}
