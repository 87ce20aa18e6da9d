package renew

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// auto returns a certificate whose servers are searched for, in its second
// version, of which the hook ran at t0, and a search a minute later that found
// these places.
func auto(lifetime time.Duration, places ...Place) (c Cert, f Facts) {
	c, f = wantCert(), servedAt(lifetime)
	c.Auto, c.Endpoints = true, nil
	f.Held.N, f.Newest.N, f.Live = 2, 2, 2
	f.Journal.Hooks = map[string]HookRecord{"nginx": {Acknowledged: 2, RanAt: t0, Saw: f.Seen}}
	f.Journal.Proofs = nil
	f.Journal.Preflight.Of = c.settings()
	f.Journal.Found = Found{}.Next(t0.Add(time.Minute), &c, &f, Search{Places: places})
	return c, f
}

func live(address, name string) Place {
	return Place{Address: address, Name: name, Protocol: "tls", Process: "nginx, pid 7", Fingerprint: "aa", NotAfter: t0.Add(90 * day)}
}

func older(address, name string) Place {
	p := live(address, name)
	p.Fingerprint, p.Older, p.NotAfter = "00", true, t0.Add(60*day)
	return p
}

func proofs(c Cert, f Facts) []string {
	var all []string
	for p := range LiveProofs(&c, &f) {
		all = append(all, p.Where())
	}
	return all
}

func TestWhatIsFoundIsProvedLikeWhatIsConfigured(t *testing.T) {
	c, f := auto(90*day, live("127.0.0.1:443", "www.example.com"), live("127.0.0.1:443", "example.com"), live("127.0.0.1:8443", "example.com"))
	want := []string{"127.0.0.1:443 for example.com", "127.0.0.1:443 for www.example.com", "127.0.0.1:8443 for example.com"}
	if got := proofs(c, f); !slices.Equal(got, want) {
		t.Errorf("proofs of %q, want %q", got, want)
	}
	if s := Decide(t0.Add(2*time.Minute), &c, &f); s.Do != Verify || s.Reason != NotProved {
		t.Errorf("next is %s (%s), want a proof", s.Do, s.Reason)
	}
	if got := StageOf(&c, &f); got != Deployed {
		t.Errorf("stage %s before the proof", got)
	}

	// What is configured stays as it is, and is not proved twice.
	c.Endpoints = []Endpoint{{Address: "localhost:443", Names: []string{"example.com"}}, {Address: "127.0.0.1:8443", NoSNI: true}}
	want = []string{"localhost:443 for example.com", "127.0.0.1:8443 without SNI", "127.0.0.1:443 for www.example.com", "127.0.0.1:8443 for example.com"}
	if got := proofs(c, f); !slices.Equal(got, want) {
		t.Errorf("beside configured ones: %q, want %q", got, want)
	}
	c.Auto = false
	if got := proofs(c, f); len(got) != 2 {
		t.Errorf("without auto: %q", got)
	}
}

func TestWhenServersAreSearchedFor(t *testing.T) {
	at443 := live("127.0.0.1:443", "example.com")
	served := func(f *Facts) {
		f.Journal.Proofs = []Proof{{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Served: true, CheckedAt: t0.Add(time.Minute)}}
	}
	for _, tc := range []struct {
		name     string
		lifetime time.Duration
		places   []Place
		change   func(c *Cert, f *Facts)
		after    time.Duration // the search before; negative: at once
	}{
		{"all is well", 90 * day, []Place{at443}, nil, time.Hour},
		{"a certificate of an hour", time.Hour, []Place{at443}, nil, 3 * time.Minute},
		{"nothing was found", 90 * day, nil, nil, 5 * time.Minute},
		{"a stale copy", 90 * day, []Place{at443, older("127.0.0.1:8443", "example.com")}, nil, 5 * time.Minute},
		{"the one before was cut short", 90 * day, []Place{at443}, func(_ *Cert, f *Facts) { f.Journal.Found.Cut = true }, 5 * time.Minute},
		{"a proof fails", 90 * day, []Place{at443}, func(_ *Cert, f *Facts) { f.Journal.Proofs[0].Served = false }, 5 * time.Minute},
		{"never searched", 90 * day, nil, func(_ *Cert, f *Facts) { f.Journal.Found = Found{} }, -1},
		{"the agent started", 90 * day, []Place{at443}, func(_ *Cert, f *Facts) { f.Unsearched = true }, -1},
		{"other names", 90 * day, []Place{at443}, func(c *Cert, _ *Facts) { c.Names = c.Names[:1] }, -1},
		{"somebody asked", 90 * day, []Place{at443}, func(_ *Cert, f *Facts) { f.Journal.Request.At = t0.Add(2 * time.Minute) }, -1},
		{"a hook ran for another version", 90 * day, []Place{at443}, func(_ *Cert, f *Facts) {
			f.Live, f.Held.N = 3, 3
			f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 3, RanAt: t0.Add(3 * time.Minute), Saw: f.Seen}
		}, 2*time.Minute + loadTime},
		{"that hook is still to run", 90 * day, []Place{at443}, func(_ *Cert, f *Facts) { f.Live, f.Held.N = 3, 3 }, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := auto(tc.lifetime, tc.places...)
			served(&f)
			if tc.change != nil {
				tc.change(&c, &f)
			}
			s, ok := searchRule(t0, &c, &f)
			want := f.Journal.Found.At.Add(tc.after)
			if tc.after < 0 {
				want = time.Time{}
			}
			if !ok || s.Do != Discover || !s.At.Equal(want) {
				t.Errorf("%v %s at %s, want %s", ok, s.Do, s.At, want)
			}
			f.Searching = true
			if _, ok := searchRule(t0, &c, &f); ok {
				t.Error("one is under way, and another one is due")
			}
		})
	}
	c, f := auto(90 * day)
	c.Auto = false
	if _, ok := searchRule(t0, &c, &f); ok {
		t.Error("nobody asked for a search")
	}
}

func TestWhichOlderVersionIsACopy(t *testing.T) {
	const address, name = "127.0.0.1:443", "example.com"
	theirs, ours := older(address, name), older(address, name)
	theirs.File, ours.File, ours.Ours = "/srv/copy.pem", "/var/lib/certvigil/live/www/fullchain.pem", true
	pending := func(f *Facts) { f.Journal.Hooks = nil }
	loading := func(f *Facts) {
		f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 2, RanAt: t0.Add(time.Hour), Saw: f.Seen}
	}
	failing := func(f *Facts) { f.Journal.Verify = Trouble{Count: patientTries} }
	for _, tc := range []struct {
		name   string
		before []Place
		change func(*Facts)
		found  Place
		want   string
	}{
		{"it was never seen otherwise", nil, nil, older(address, name), "copy"},
		{"a hook is still to run", nil, pending, older(address, name), "neither"},
		{"the server may still be loading", nil, loading, older(address, name), "neither"},
		{"it showed the live version before", []Place{live(address, name)}, nil, older(address, name), "endpoint"},
		{"and the hook is still to run", []Place{live(address, name)}, pending, older(address, name), "endpoint"},
		{"and its proofs keep failing", []Place{live(address, name)}, failing, older(address, name), "copy"},
		{"it was a copy before, and a hook is to run", []Place{older(address, name)}, pending, older(address, name), "copy"},
		{"its configuration names another file", []Place{live(address, name)}, nil, theirs, "copy"},
		{"a hook that may write there is still to run", []Place{live(address, name)}, pending, theirs, "endpoint"},
		{"its configuration names ours", nil, failing, ours, "endpoint"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := auto(90*day, tc.before...)
			if tc.change != nil {
				tc.change(&f)
			}
			f.Journal.Found = f.Journal.Found.Next(t0.Add(time.Hour), &c, &f, Search{Places: []Place{tc.found}})
			if got := len(Copies(t0.Add(time.Hour), &c, &f)) == 1; got != (tc.want == "copy") {
				t.Errorf("a copy: %v", got)
			}
			if got := len(Endpoints(&c, &f)) == 1; got != (tc.want == "endpoint") {
				t.Errorf("an endpoint: %v", got)
			}
		})
	}
}

func TestAStaleCopyIsTold(t *testing.T) {
	copied := older("127.0.0.1:8443", "example.com")
	copied.Process, copied.File = "haproxy, pid 12", "/srv/copy.pem"
	c, f := auto(90*day, live("127.0.0.1:443", "example.com"), copied, older("127.0.0.1:8443", "www.example.com"))
	v := Health(t0.Add(2*time.Minute), &c, &f)
	if v.Level != Attention || v.Reason() != IsStaleCopy || len(v.Findings) != 1 {
		t.Fatalf("%+v", v)
	}
	for _, want := range []string{"127.0.0.1:8443", "haproxy, pid 12", "/srv/copy.pem", "example.com, www.example.com", "hooks"} {
		if !strings.Contains(v.Findings[0].Detail, want) {
			t.Errorf("%q does not name %q", v.Findings[0].Detail, want)
		}
	}
	// It is about to end: half of the slack of 30 days is left.
	if v := Health(t0.Add(46*day), &c, &f); v.Level != Critical || v.Reason() != IsStaleCopy {
		t.Errorf("two weeks before its end: %s %s", v.Level, v.Reason())
	}
	// The next search finds it updated.
	f.Journal.Found = f.Journal.Found.Next(t0.Add(time.Hour), &c, &f, Search{Places: []Place{live("127.0.0.1:443", "example.com"), live("127.0.0.1:8443", "example.com")}})
	if got := Copies(t0.Add(time.Hour), &c, &f); len(got) != 0 {
		t.Errorf("after it was updated: %+v", got)
	}
}

func TestAServerThatIsGoneIsForgottenAfterADay(t *testing.T) {
	c, f := auto(90*day, live("127.0.0.1:443", "example.com"), live("127.0.0.1:8443", "example.com"))
	look := func(after time.Duration, cut bool) int {
		f.Journal.Found = f.Journal.Found.Next(t0.Add(after), &c, &f, Search{Places: []Place{live("127.0.0.1:443", "example.com")}, Cut: cut})
		return len(Endpoints(&c, &f))
	}
	for _, step := range []struct {
		after time.Duration
		cut   bool
		want  int
	}{{time.Hour, true, 2}, {30 * time.Hour, false, 2}, {50 * time.Hour, false, 2}, {55 * time.Hour, false, 1}} {
		if got := look(step.after, step.cut); got != step.want {
			t.Errorf("after %s: %d endpoints, want %d", step.after, got, step.want)
		}
	}
}

func TestNoReloadForAnEndpointThatShowsNoVersionAnyMore(t *testing.T) {
	c, f := auto(90*day, live("127.0.0.1:443", "example.com"))
	now := t0.Add(time.Hour)
	f.Journal.Proofs = []Proof{{Address: "127.0.0.1:443", Name: "example.com", Version: 2, Error: "serves another", CheckedAt: t0.Add(30 * time.Minute)}}
	if due := DueHooks(now, &c, &f); len(due) != 1 {
		t.Errorf("hooks %v, want one: a reload may have been lost", due)
	}
	f.Journal.Found = f.Journal.Found.Next(t0.Add(40*time.Minute), &c, &f, Search{})
	if due := DueHooks(now, &c, &f); len(due) != 0 {
		t.Errorf("hooks %v for a server that has gone astray", due)
	}
	if v := Health(now, &c, &f); v.Reason() != NotServed {
		t.Errorf("and it is told as %q", v.Reason())
	}
}

func TestThatNobodyShowsItIsTold(t *testing.T) {
	c, f := auto(90 * day)
	if v := Health(t0.Add(time.Hour), &c, &f); v.Level != Attention || v.Reason() != NobodyProves {
		t.Errorf("%s %s", v.Level, v.Reason())
	}
	f.Journal.Found.For = 1 // that search was for the version before
	if v := Health(t0.Add(time.Hour), &c, &f); v.Level != OK {
		t.Errorf("before the search for this version: %s %s", v.Level, v.Reason())
	}
	f.Journal.Found.Blind = []string{"listing the listening sockets: permission denied"}
	v := Health(t0.Add(time.Hour), &c, &f)
	if v.Level != OK || len(v.Findings) != 1 || v.Findings[0].Reason != DiscoveryBlind {
		t.Errorf("%+v", v)
	}
}
