package renew

import (
	"testing"
	"time"
)

func listed(life time.Duration) Facts {
	f := servedAt(life)
	f.Held.CRL = "http://ca.example/7.crl"
	f.Journal.Proofs[0].Fingerprint = f.Held.Fingerprint
	return f
}

func lookUp(now time.Time, c Cert, f Facts) (Step, bool) {
	for _, s := range Ahead(now, &c, &f) {
		if s.Do == LookUp {
			return s, true
		}
	}
	return Step{}, false
}

func TestWhenARevocationListIsLookedAt(t *testing.T) {
	now := t0.Add(10 * day)
	for _, tc := range []struct {
		name   string
		change func(*Facts)
		at     time.Time // zero: never
	}{
		{"never looked", func(*Facts) {}, now},
		{"not before its time", func(f *Facts) { f.Journal.Revocation = Revocation{Fingerprint: "aa", NextAt: now.Add(time.Hour)} }, now.Add(time.Hour)},
		{"its time has come", func(f *Facts) { f.Journal.Revocation = Revocation{Fingerprint: "aa", NextAt: now.Add(-time.Hour)} }, now},
		{"what was looked at is another leaf", func(f *Facts) { f.Journal.Revocation = Revocation{Fingerprint: "bb", NextAt: now.Add(time.Hour)} }, now},
		{"it failed", func(f *Facts) { f.Journal.LookUp = Trouble{Count: 1, RetryAt: now.Add(time.Minute), Last: now} }, now.Add(time.Minute)},
		{"there is no list", func(f *Facts) { f.Held.CRL = "" }, time.Time{}},
		{"nothing is held", func(f *Facts) { f.Held = Version{} }, time.Time{}},
		{"expired", func(f *Facts) { f.Held.NotAfter = now }, time.Time{}},
		{"revoked already", func(f *Facts) { f.Journal.Revoked = Revoked{Fingerprint: "aa"} }, time.Time{}},
		{"the one before was revoked", func(f *Facts) { f.Journal.Revoked = Revoked{Fingerprint: "bb"} }, now},
		{"noted by a clock that was years ahead", func(f *Facts) {
			f.Journal.Revocation = Revocation{Fingerprint: "aa", NextAt: now.Add(1000 * day)}
		}, now},
	} {
		f := listed(90 * day)
		tc.change(&f)
		Believe(now, &f)
		s, ok := lookUp(now, wantCert(), f)
		if ok == tc.at.IsZero() || ok && (!s.At.Equal(tc.at) || s.Reason != RevocationDue) {
			t.Errorf("%s: %v, %+v, want at %s", tc.name, ok, s, tc.at)
		}
	}
}

func TestNextLookUp(t *testing.T) {
	for _, tc := range []struct {
		life, next, want time.Duration
	}{
		{90 * day, 12 * time.Hour, 12 * time.Hour},
		{90 * day, 7 * day, day},
		{90 * day, time.Minute, time.Hour},
		{90 * day, -time.Hour, time.Hour},
		{90 * day, 0, day},
		{160 * time.Hour, 0, 8 * time.Hour},
		{time.Hour, 12 * time.Hour, 3 * time.Minute},
		{time.Second, 12 * time.Hour, time.Second},
	} {
		var next time.Time
		if tc.next != 0 {
			next = t0.Add(tc.next)
		}
		if got := NextLookUp(t0, Version{NotBefore: t0, NotAfter: t0.Add(tc.life)}, next); got != tc.want {
			t.Errorf("%s, next list in %s: %s, want %s", tc.life, tc.next, got, tc.want)
		}
	}
}

func TestARevokedCertificateIsRenewedAtOnce(t *testing.T) {
	now := t0.Add(10 * day)
	c, f := wantCert(), listed(90*day)
	c.Window = window(t, "02:00-02:01", time.UTC)
	f.Journal.Revoked = Revoked{Fingerprint: "aa", At: now.Add(-time.Hour), SeenAt: now}
	if s := renewal(t, now, c, f); !s.At.Equal(now) || s.Reason != IsRevoked {
		t.Errorf("%+v", s)
	}
	f.Held.Fingerprint = "bb" // the next one is there
	if s := renewal(t, now, c, f); s.Reason == IsRevoked {
		t.Errorf("%+v", s)
	}
	f.Held = Version{}
	f.Journal.Revoked.Fingerprint = ""
	if f.revoked() {
		t.Error("nothing is held, and revoked")
	}
}

func TestRevokedHealth(t *testing.T) {
	now := t0.Add(10 * day)
	for _, tc := range []struct {
		name   string
		change func(*Cert, *Facts)
		level  Level
		reason Reason
	}{
		{"served", func(c *Cert, f *Facts) {}, Critical, IsRevoked},
		{"not served", func(c *Cert, f *Facts) { f.Journal.Proofs[0].Fingerprint = "cc" }, Attention, IsRevoked},
		{"nobody looks", func(c *Cert, f *Facts) { c.Endpoints, f.Journal.Proofs = nil, nil }, Critical, IsRevoked},
		{"another is held, and the revoked one still served", func(c *Cert, f *Facts) { f.Held.Fingerprint = "bb" }, Critical, IsRevoked},
		{"another is held and served", func(c *Cert, f *Facts) {
			f.Held.Fingerprint, f.Journal.Proofs[0].Fingerprint = "bb", "bb"
		}, OK, ""},
		{"nothing was revoked", func(c *Cert, f *Facts) { f.Journal.Revoked = Revoked{} }, OK, ""},
		{"the list can't be had for two days", func(c *Cert, f *Facts) {
			f.Journal.Revoked, f.Journal.LookUp = Revoked{}, Trouble{Count: 9, Since: now.Add(-2 * day), Message: "503"}
		}, OK, ""},
		{"for four", func(c *Cert, f *Facts) {
			f.Journal.Revoked, f.Journal.LookUp = Revoked{}, Trouble{Count: 9, Since: now.Add(-4 * day), Message: "503"}
		}, Attention, RevocationUnknown},
	} {
		c, f := wantCert(), listed(90*day)
		f.Journal.Proofs[0].CheckedAt = now
		f.Journal.Revoked = Revoked{Fingerprint: "aa", At: now.Add(-time.Hour), Reason: 4, SeenAt: now}
		tc.change(&c, &f)
		if v := Health(now, &c, &f); v.Level != tc.level || v.Reason() != tc.reason {
			t.Errorf("%s: %s %s, %+v", tc.name, v.Level, v.Reason(), v.Findings)
		}
	}
}
