package renew

import (
	"testing"
	"time"
)

// TestWhatSomebodyElsePutInPlace: ours is served and was put in place an hour
// ago; another pair stands at the only output, since now.
func TestWhatSomebodyElsePutInPlace(t *testing.T) {
	now := t0.Add(10 * day)
	ours := servedAt(90 * day).Held.NotAfter
	for _, tc := range []struct {
		name   string
		change func(c *Cert, f *Facts, x *Foreign)
		do     Do
		at     time.Time
		reason Reason
	}{
		{"better, and just written: it is waited for", func(c *Cert, f *Facts, x *Foreign) {}, Adopt, now.Add(2 * time.Second), ForeignChange},
		{"better, and it has stood still", func(c *Cert, f *Facts, x *Foreign) {
			x.ChangedAt, x.Since = now.Add(-3*time.Second), now.Add(-2*time.Second)
		}, Adopt, now, ForeignChange},
		{"better, and written to all the time", func(c *Cert, f *Facts, x *Foreign) { x.Since = now.Add(-11 * time.Second) }, Adopt, now, ForeignChange},
		{"found after a restart, and old: still two seconds", func(c *Cert, f *Facts, x *Foreign) { x.ChangedAt = now.Add(-time.Minute) }, Adopt, now.Add(2 * time.Second), ForeignChange},
		{"dated ahead of the clock", func(c *Cert, f *Facts, x *Foreign) { x.ChangedAt = now.Add(day) }, Adopt, now.Add(10 * time.Second), ForeignChange},
		{"a short certificate has less time", func(c *Cert, f *Facts, x *Foreign) {
			f.Held.NotBefore, f.Held.NotAfter = now.Add(-time.Second), now.Add(59*time.Second)
		}, Adopt, now.Add(time.Second), ForeignChange},
		{"better, the third within minutes: later", func(c *Cert, f *Facts, x *Foreign) {
			f.Journal.Adopted = Placed{Version: 1, At: now, Again: 3}
		}, Adopt, now.Add(16 * time.Second), ForeignChange},
		{"as long as ours: replaced", func(c *Cert, f *Facts, x *Foreign) { x.NotAfter = ours }, Install, now.Add(2 * time.Second), ForeignChange},
		{"shorter: replaced", func(c *Cert, f *Facts, x *Foreign) { x.NotAfter, x.Since = now.Add(day), now.Add(-time.Minute) }, Install, now, ForeignChange},
		{"broken: replaced", func(c *Cert, f *Facts, x *Foreign) { x.Fault, x.Since = "no", now.Add(-time.Minute) }, Install, now, ForeignChange},
		{"broken again and again: slowly", func(c *Cert, f *Facts, x *Foreign) {
			x.Fault, x.Since = "no", now.Add(-time.Minute)
			f.Journal.Placed = Placed{Version: 1, At: now, Again: 9}
		}, Install, now.Add(20 * time.Minute), ForeignChange},
		{"it can't be adopted: replaced in the end", func(c *Cert, f *Facts, x *Foreign) {
			x.Since = now.Add(-time.Minute)
			f.Journal.Adopt = Trouble{Count: 3, RetryAt: now.Add(time.Minute), Last: now}
		}, Install, now, ForeignChange},
		{"shorter, and ours was revoked: adopted", func(c *Cert, f *Facts, x *Foreign) {
			x.NotAfter, x.Since = now.Add(day), now.Add(-time.Minute)
			f.Journal.Revoked = Revoked{Fingerprint: f.Held.Fingerprint}
		}, Adopt, now, ForeignChange},
		{"better, but revoked: replaced", func(c *Cert, f *Facts, x *Foreign) {
			x.Fingerprint, x.Since = "cc", now.Add(-time.Minute)
			f.Journal.Revoked = Revoked{Fingerprint: "cc"}
		}, Install, now, ForeignChange},
		{"alarm: revoked is replaced all the same", func(c *Cert, f *Facts, x *Foreign) {
			c.OnChange, x.Fingerprint, x.Since = Alarming, "cc", now.Add(-time.Minute)
			f.Journal.Revoked = Revoked{Fingerprint: "cc"}
		}, Install, now, ForeignChange},
		{"a clock that is behind tells of nobody's pair what it is", func(c *Cert, f *Facts, x *Foreign) {
			x.Fault, x.Fingerprint, x.Since = "it is valid from tomorrow", "cc", now.Add(-time.Minute)
			f.Earliest = now.Add(30 * time.Minute)
		}, Install, now.Add(30 * time.Minute), ClockBehind},
		{"but rubbish is rubbish by any clock", func(c *Cert, f *Facts, x *Foreign) {
			x.Fault, x.Since = "no", now.Add(-time.Minute)
			f.Earliest = now.Add(30 * time.Minute)
		}, Install, now, ForeignChange},
		{"it can't be adopted, and ours has expired: left", func(c *Cert, f *Facts, x *Foreign) {
			x.Since = now.Add(-time.Minute)
			f.Held.NotAfter = now.Add(-time.Minute)
			f.Journal.Adopt = Trouble{Count: 3, RetryAt: now.Add(time.Minute), Last: now}
			f.failed(Trouble{Count: 3, Class: Local, RetryAt: now.Add(time.Hour), Last: now})
		}, Adopt, now.Add(time.Minute), ForeignChange},
		{"neither where ours was revoked", func(c *Cert, f *Facts, x *Foreign) {
			x.Since = now.Add(-time.Minute)
			f.Journal.Revoked.Fingerprint = f.Held.Fingerprint
			f.Journal.Adopt = Trouble{Count: 3, RetryAt: now.Add(time.Minute), Last: now}
			f.failed(Trouble{Count: 3, Class: Local, RetryAt: now.Add(time.Hour), Last: now})
		}, Adopt, now.Add(time.Minute), ForeignChange},
		{"alarm: left alone", func(c *Cert, f *Facts, x *Foreign) { c.OnChange, x.Since = Alarming, now.Add(-time.Minute) }, Verify, now.Add(time.Hour), ProofDue},
		{"alarm: broken is replaced all the same", func(c *Cert, f *Facts, x *Foreign) {
			c.OnChange, x.Since, x.Fault = Alarming, now.Add(-time.Minute), "no"
		}, Install, now, ForeignChange},
		{"restore: not even if it is better", func(c *Cert, f *Facts, x *Foreign) { c.OnChange = Restoring; f.Foreign = nil }, Install, now, InstallPending},
		{"the only pair is altered, and what altered it is better than nothing", func(c *Cert, f *Facts, x *Foreign) {
			f.Held, f.Newest.Fault, x.Place = Version{}, Altered, AtLive
		}, Adopt, now.Add(2 * time.Second), ForeignChange},
		{"what is due does not wait for who writes", func(c *Cert, f *Facts, x *Foreign) {
			c.LifetimeLeft, x.Fault = 0.95, "no"
		}, Issue, now, Lifetime},
		{"what is missing does not either", func(c *Cert, f *Facts, x *Foreign) {
			f.Held, f.Newest, x.Fault = Version{}, Version{}, "no"
		}, Issue, now, Missing},
		{"the only pair is altered by rubbish: issue once that is clear", func(c *Cert, f *Facts, x *Foreign) {
			f.Held, f.Newest.Fault, x.Place, x.Fault = Version{}, Altered, AtLive, "no"
		}, Issue, now.Add(2 * time.Second), ForeignChange},
		{"and at once when it is", func(c *Cert, f *Facts, x *Foreign) {
			f.Held, f.Newest.Fault, x.Place, x.Fault, x.Since = Version{}, Altered, AtLive, "no", now.Add(-time.Minute)
		}, Issue, now, Altered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			c.ARI = false
			f.Journal.Proofs[0].CheckedAt = now
			f.Outputs = []OutputState{{Reason: InstallPending}}
			f.Seen = "something else" // a hook is not run for what someone else wrote
			f.Foreign = make([]Foreign, 1, 2)
			x := &f.Foreign[0]
			*x = Foreign{Place: 0, NotAfter: ours.Add(day), ChangedAt: now, Since: now}
			tc.change(&c, &f, x)
			if got := Decide(now, &c, &f); got.Do != tc.do || !got.At.Equal(tc.at) || got.Reason != tc.reason {
				t.Errorf("got %s at %s for %s, want %s at %s for %s", got.Do, got.At, got.Reason, tc.do, tc.at, tc.reason)
			}
		})
	}
}

func TestTheOneThatLastsLongestIsAdopted(t *testing.T) {
	c, f := wantCert(), servedAt(90*day)
	end := f.Held.NotAfter
	f.Foreign = []Foreign{{Place: 0, NotAfter: end.Add(day)}, {Place: 1, NotAfter: end.Add(3 * day), Fault: "no"}, {Place: 2, NotAfter: end.Add(2 * day)}, {Place: 3, NotAfter: end}}
	if x, ok := Adoptable(&c, &f); !ok || x.Place != 2 {
		t.Errorf("%+v", x)
	}
}

func TestAnAdoptedCertificateIsNotIssuedAnewForWhatItIs(t *testing.T) {
	now := t0.Add(day)
	for name, change := range map[string]func(*Cert, *Facts){
		"another CA's":      func(c *Cert, f *Facts) { f.Held.Directory = "" },
		"another key type":  func(c *Cert, f *Facts) { f.Held.KeyType = RSA2048 },
		"a wildcard":        func(c *Cert, f *Facts) { f.Held.Names = []string{"*.example.com", "example.com"} },
		"more names":        func(c *Cert, f *Facts) { f.Held.Names = append(f.Held.Names, "other.example") },
		"another profile's": func(c *Cert, f *Facts) { c.Issuers[0].Profile = "short" },
	} {
		c, f := wantCert(), servedAt(90*day)
		f.Held.Foreign = true
		change(&c, &f)
		if s := renewal(t, now, c, f); s.Reason != Lifetime {
			t.Errorf("%s: %+v", name, s)
		}
	}
	c, f := wantCert(), servedAt(90*day)
	f.Held.Foreign = true
	c.Names = append(c.Names, "new.example.com")
	if s := renewal(t, now, c, f); s.Reason != NamesDiffer || !s.At.Equal(now) {
		t.Errorf("a name that it does not cover: %+v", s)
	}
}

func TestCovers(t *testing.T) {
	for _, tc := range []struct {
		have []string
		want string
		ok   bool
	}{
		{[]string{"a.example"}, "a.example", true},
		{[]string{"*.example"}, "a.example", true},
		{[]string{"*.example"}, "*.example", true},
		{[]string{"*.example"}, "a.b.example", false},
		{[]string{"*.example"}, "example", false},
		{[]string{"a.example"}, "*.example", false},
		{[]string{"192.0.2.1"}, "192.0.2.1", true},
		{[]string{"*.0.2.1"}, "2001:db8::1", false},
		{nil, "host", false},
		{[]string{"*."}, "host", false},
	} {
		if got := Covers(tc.have, []string{tc.want}); got != tc.ok {
			t.Errorf("%q for %q: %v", tc.have, tc.want, got)
		}
	}
}

func TestForeignHealth(t *testing.T) {
	now := t0.Add(10 * day)
	for _, tc := range []struct {
		name   string
		change func(*Cert, *Facts)
		level  Level
		reason Reason
	}{
		{"left alone is told", func(c *Cert, f *Facts) { c.OnChange = Alarming }, Attention, ForeignChange},
		{"about to be adopted is not", func(c *Cert, f *Facts) {}, OK, ""},
		{"adopted again and again is", func(c *Cert, f *Facts) { f.Journal.Adopted = Placed{Version: 1, At: now, Again: 3} }, Attention, ForeignChange},
		{"but not for ever", func(c *Cert, f *Facts) { f.Journal.Adopted = Placed{Version: 1, At: now.Add(-2 * time.Hour), Again: 3} }, OK, ""},
		{"held from someone else", func(c *Cert, f *Facts) { f.Held.Foreign = true }, OK, ""},
	} {
		c, f := wantCert(), servedAt(90*day)
		f.Journal.Proofs[0].CheckedAt = now
		f.Foreign = []Foreign{{Path: "/etc/tls/www.crt", NotAfter: t0.Add(100 * day), ChangedAt: now.Add(-time.Minute), Since: now.Add(-time.Minute)}}
		tc.change(&c, &f)
		if v := Health(now, &c, &f); v.Level != tc.level || v.Reason() != tc.reason {
			t.Errorf("%s: %s %s, %+v", tc.name, v.Level, v.Reason(), v.Findings)
		}
	}
}
