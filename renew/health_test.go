package renew

import (
	"testing"
	"time"
)

func TestHealth(t *testing.T) {
	soon := t0.Add(2 * time.Second)
	failing := func(n int, class Class) Trouble {
		return Trouble{Count: n, Class: class, Message: "no", RetryAt: t0.Add(1000 * day)}
	}
	for _, tc := range []struct {
		name   string
		now    time.Time
		change func(*Cert, *Facts)
		level  Level
		reason Reason
	}{
		{"all is well", soon, nil, OK, ""},
		{"nothing held yet", soon, func(c *Cert, f *Facts) { *f = Facts{} }, Attention, Missing},
		{"nothing held, and it fails", soon, func(c *Cert, f *Facts) {
			*f = Facts{Journal: Journal{Issuers: map[string]Trouble{"le": failedAt(failing(1, Transient))}}}
		}, Critical, Missing},
		{"the only pair is broken", soon, func(c *Cert, f *Facts) {
			f.Held, f.Newest.Fault = Version{}, PairMismatch
		}, Critical, PairMismatch},
		{"an older pair stands in", soon, func(c *Cert, f *Facts) { f.Newest = Version{N: 2, Fault: Unreadable} }, Attention, Unreadable},
		{"expired", t0.Add(90 * day), nil, Critical, Expired},
		{"not yet valid", t0.Add(-time.Hour), func(c *Cert, f *Facts) { f.Journal.Proofs[0].CheckedAt = t0.Add(-time.Hour) }, Attention, NotYetValid},
		{"due just now", t0.Add(60 * day), nil, OK, ""},
		{"a tenth of the slack gone", t0.Add(63 * day), nil, OK, ""},
		{"a quarter of the slack gone", t0.Add(68 * day), nil, Attention, Overdue},
		{"half of what an intermediate leaves is gone", t0.Add(26 * day), func(c *Cert, f *Facts) { f.Held.ChainNotAfter = t0.Add(30 * day) }, Critical, Overdue},
		{"half of the slack gone", t0.Add(76 * day), nil, Critical, Overdue},
		{"two failures early on pass", t0.Add(61 * day), func(c *Cert, f *Facts) { f.failed(failing(2, Transient)) }, OK, ""},
		{"three do not", t0.Add(61 * day), func(c *Cert, f *Facts) { f.failed(failing(3, Transient)) }, Attention, IssueFailing},
		{"the CA says no", t0.Add(61 * day), func(c *Cert, f *Facts) { f.failed(failing(1, Refused)) }, Attention, IssueFailing},
		{"braked while due", t0.Add(61 * day), func(c *Cert, f *Facts) {
			i := Issuance{At: t0.Add(61 * day), Set: c.Set(), NotAfter: t0.Add(151 * day)}
			f.Journal.Issued = []Issuance{i, i, i}
		}, Attention, Braked},
		{"an output can't be written", soon, func(c *Cert, f *Facts) { f.Journal.Install = failing(1, Local) }, Attention, InstallFailing},
		{"a hook fails", soon, func(c *Cert, f *Facts) {
			f.Journal.Hooks["nginx"] = HookRecord{Trouble: failing(1, Local)}
		}, Attention, HookFailing},
		{"an endpoint serves another certificate", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].NotAfter = false, t0.Add(80*day)
		}, Attention, NotServed},
		{"an endpoint serves one that expires within half of the slack", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].NotAfter = false, t0.Add(10*day)
		}, Critical, ServedExpiring},
		{"an endpoint can't be reached", soon, func(c *Cert, f *Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].Unverifiable = false, true
		}, Attention, Unverifiable},
		{"an unknown root", soon, func(c *Cert, f *Facts) { f.Held.Untrusted = true }, Attention, UntrustedRoot},
		{"a root that the endpoint's clients don't know", soon, func(c *Cert, f *Facts) { f.Journal.Proofs[0].Untrusted = "unknown" }, Attention, UntrustedRoot},
		{"no endpoint is nobody's alarm", soon, func(c *Cert, f *Facts) { c.Endpoints = nil }, OK, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(90*day)
			if tc.change != nil {
				tc.change(&c, &f)
			}
			v := Health(tc.now, &c, &f)
			if v.Level != tc.level || v.Reason() != tc.reason {
				t.Errorf("got %s for %q (%+v), want %s for %q", v.Level, v.Reason(), v.Findings, tc.level, tc.reason)
			}
		})
	}
}

func TestHealthSaysThatNobodyProves(t *testing.T) {
	c, f := wantCert(), servedAt(90*day)
	c.Endpoints = nil
	v := Health(t0, &c, &f)
	if len(v.Findings) != 1 || v.Findings[0].Reason != NobodyProves {
		t.Errorf("findings %+v, want %s", v.Findings, NobodyProves)
	}
}

// TestACertificateThatIsNotRenewedAlarmsInTime walks the whole slack of every
// lifetime: attention before half of it is gone, critical from then on.
func TestACertificateThatIsNotRenewedAlarmsInTime(t *testing.T) {
	for _, life := range []time.Duration{time.Minute, time.Hour, 160 * time.Hour, 47 * day, 90 * day, 398 * day} {
		c, f := wantCert(), servedAt(life)
		f.Journal.Proofs[0].NotAfter = f.Held.NotAfter
		slack := Slack(&c, &f)
		due := f.Held.NotAfter.Add(-slack)
		for _, at := range []struct {
			gone  float64
			level Level
		}{{0.1, OK}, {0.3, Attention}, {0.49, Attention}, {0.51, Critical}, {0.99, Critical}} {
			now := due.Add(time.Duration(at.gone * float64(slack)))
			if v := Health(now, &c, &f); v.Level != at.level {
				t.Errorf("%s certificate, %.0f %% of the slack gone: %s, want %s", life, 100*at.gone, v.Level, at.level)
			}
		}
	}
}

func TestStages(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*Cert, *Facts)
		want   Stage
	}{
		{"proved", func(*Cert, *Facts) {}, Served},
		{"nothing held", func(c *Cert, f *Facts) { *f = Facts{} }, Wanted},
		{"not live", func(c *Cert, f *Facts) { f.Live = 0 }, Issued},
		{"an output differs", func(c *Cert, f *Facts) { f.Outputs = []OutputState{{}} }, Issued},
		{"the hook acknowledged another version", func(c *Cert, f *Facts) { f.Journal.Hooks["nginx"] = HookRecord{Acknowledged: 7} }, Installed},
		{"proved for another version", func(c *Cert, f *Facts) { f.Journal.Proofs[0].Version = 7 }, Deployed},
		{"not served", func(c *Cert, f *Facts) { f.Journal.Proofs[0].Served = false }, Deployed},
		{"nobody looks", func(c *Cert, f *Facts) { c.Endpoints = nil }, Deployed},
	} {
		c, f := wantCert(), servedAt(90*day)
		tc.change(&c, &f)
		if got := StageOf(&c, &f); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestTheLastDayIsNotWaitedAway: a CA that was down for all of the slack and
// comes back on the last day is asked in time.
func TestTheLastDayIsNotWaitedAway(t *testing.T) {
	for _, tc := range []struct{ life, left, want time.Duration }{
		{90 * day, 29 * day, 24 * time.Hour},
		{90 * day, 4 * day, 12 * time.Hour},
		{90 * day, day, 3 * time.Hour},
		{90 * day, time.Hour, 450 * time.Second},
		{90 * day, time.Minute, time.Minute},
		{time.Minute, 10 * time.Second, 1250 * time.Millisecond},
		{time.Minute, 2 * time.Second, time.Second},
	} {
		c, f := wantCert(), servedAt(tc.life)
		now := f.Held.NotAfter.Add(-tc.left)
		if got := Hurried(now, Backoff(now, Issue, 9, &c, &f), &c, &f); got != tc.want {
			t.Errorf("%s of %s left: %s, want %s", tc.left, tc.life, got, tc.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	now := t0.Add(time.Second)
	for _, tc := range []struct {
		name  string
		do    Do
		life  time.Duration
		count int
		want  time.Duration
	}{
		{"the first failure of a long certificate", Issue, 90 * day, 1, time.Minute},
		{"the second", Issue, 90 * day, 2, 10 * time.Minute},
		{"the third", Issue, 90 * day, 3, 100 * time.Minute},
		{"the fourth", Issue, 90 * day, 4, 1000 * time.Minute},
		{"the fifth", Issue, 90 * day, 5, 24 * time.Hour},
		{"an eighth of a short slack at most", Issue, 160 * time.Hour, 9, 10 * time.Hour},
		{"a minute's certificate", Issue, time.Minute, 1, 3750 * time.Millisecond},
		{"nothing held: eight a day", Issue, 0, 9, 3 * time.Hour},
		{"a hook, the first time", Deploy, 90 * day, 1, time.Second},
		{"a hook, for ever", Deploy, 90 * day, 30, 30 * time.Second},
		{"advice, the second time", Advise, 90 * day, 2, 2 * time.Minute},
		{"advice for a minute's certificate, given up for now", Advise, time.Minute, 6, 3750 * time.Millisecond},
		{"advice, given up for now", Advise, 90 * day, 6, 6 * time.Hour},
	} {
		c, f := wantCert(), servedAt(tc.life)
		if tc.life == 0 {
			f = Facts{}
		}
		if got := Backoff(now, tc.do, tc.count, &c, &f); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestBestPrefersWhatIsValid(t *testing.T) {
	v := func(n int, from, to time.Duration, fault Reason) Version {
		return Version{N: n, NotBefore: t0.Add(from), NotAfter: t0.Add(to), Fault: fault}
	}
	for _, tc := range []struct {
		name string
		list []Version
		want int
	}{
		{"the newest", []Version{v(1, -day, day, ""), v(2, -day, day, "")}, 2},
		{"not a broken one", []Version{v(1, -day, day, ""), v(2, -day, day, PairMismatch)}, 1},
		{"one of the future: it is the clock that went back", []Version{v(1, -day, day, ""), v(2, day, 2*day, "")}, 2},
		{"an expired one where nothing else is whole", []Version{v(1, -2*day, -day, ""), v(2, -day, day, Unreadable)}, 1},
		{"none", []Version{v(1, -day, day, Altered)}, 0},
	} {
		if got := Best(t0, tc.list); got.N != tc.want {
			t.Errorf("%s: version %d, want %d", tc.name, got.N, tc.want)
		}
	}
}
