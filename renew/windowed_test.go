package renew

import (
	"testing"
	"time"
)

// TestARenewalWaitsForItsWindow: t0 is a Sunday at noon, UTC.
func TestARenewalWaitsForItsWindow(t *testing.T) {
	due := t0.Add(60 * day) // of a certificate of 90 days: Thursday at noon; 30 days of slack
	night := due.Add(14 * time.Hour)
	for _, tc := range []struct {
		name   string
		window string
		life   time.Duration
		now    time.Time
		change func(*Cert, *Facts)
		at     time.Time
		reason Reason
	}{
		{"no window", "", 90 * day, t0.Add(time.Hour), nil, due, Lifetime},
		{"due inside", "10:00-14:00", 90 * day, t0.Add(time.Hour), nil, due, Lifetime},
		{"due outside: the next opening", "02:00-05:00", 90 * day, t0.Add(time.Hour), nil, night, WindowShut},
		{"due outside, and the time has come", "02:00-05:00", 90 * day, due.Add(time.Minute), nil, night, WindowShut},
		{"the window is open", "02:00-05:00", 90 * day, night.Add(time.Minute), nil, night.Add(time.Minute), Lifetime},
		{"once a week is often enough", "Wed 02:00-05:00", 90 * day, due.Add(time.Minute), nil, due.Add(5*day + 14*time.Hour), WindowShut},
		{"a failure in the window is tried again in it", "02:00-05:00", 90 * day, night.Add(time.Hour), func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Transient, Last: night.Add(time.Hour), RetryAt: night.Add(time.Hour + time.Minute)})
		}, night.Add(time.Hour + time.Minute), BackingOff},
		{"a failure at the end of the window waits for the next", "02:00-05:00", 90 * day, night.Add(3 * time.Hour), func(c *Cert, f *Facts) {
			f.failed(Trouble{Count: 1, Class: Transient, Last: night.Add(179 * time.Minute), RetryAt: night.Add(181 * time.Minute)})
		}, night.Add(day), WindowShut},
		{"a quarter of the slack is gone: no window any more", "02:00-05:00", 90 * day, due.Add(8 * day), nil, due.Add(8 * day), Lifetime},
		{"a CA's Retry-After stands above the window", "02:00-05:00", 90 * day, night, func(c *Cert, f *Facts) {
			f.Standings = []Standing{{HoldUntil: night.Add(4 * time.Hour)}}
		}, night.Add(day), WindowShut},

		{"160 h, every night", "02:00-05:00", 160 * time.Hour, t0.Add(time.Hour), nil, t0.Add(86 * time.Hour), WindowShut}, // due Wed 20:00
		{"160 h, once a week, shortly before: early", "Wed 10:00-12:00", 160 * time.Hour, t0.Add(time.Hour), nil, t0.Add(70 * time.Hour), WindowShut},
		{"160 h, once a week, and it was missed: when due", "Wed 10:00-12:00", 160 * time.Hour, t0.Add(73 * time.Hour), nil, t0.Add(80 * time.Hour), Lifetime},
		{"160 h, once a week, far off: when due", "Sat 02:00-05:00", 160 * time.Hour, t0.Add(time.Hour), nil, t0.Add(80 * time.Hour), Lifetime},
		{"160 h, once a week, far off: at once when due", "Sat 02:00-05:00", 160 * time.Hour, t0.Add(81 * time.Hour), nil, t0.Add(81 * time.Hour), Lifetime},
		{"an hour, every night: when due", "02:00-05:00", time.Hour, t0.Add(time.Minute), nil, t0.Add(30 * time.Minute), Lifetime},
		{"a minute in the window it was issued in: when due", "Sun 10:00-14:00", time.Minute, t0.Add(time.Second), nil, t0.Add(30 * time.Second), Lifetime},
		{"almost all of the lifetime left: not again in the same window", "Sun 10:00-14:00", 10 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) {
			c.LifetimeLeft = 0.9
		}, t0.Add(day), Lifetime},

		{"an intermediate ends first: its slack is what counts", "Wed 02:00-05:00", 90 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Held.ChainNotAfter = t0.Add(30 * day) // due on a Saturday, after 20 days; 10 of slack
		}, t0.Add(20 * day), Lifetime},
		{"the CA's point waits as well", "02:00-05:00", 90 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: due.Add(-2 * day), End: due, Chosen: due.Add(-day), FetchedAt: t0}
		}, night.Add(-day), WindowShut},
		{"the CA's point is not moved beyond what the CA suggests, but before", "02:00-05:00", 90 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: due.Add(-day), End: due.Add(-day + time.Hour), Chosen: due.Add(-day), FetchedAt: t0}
		}, night.Add(-8 * day), WindowShut},
		{"the CA suggests a near time: no window", "02:00-05:00", 90 * day, t0.Add(10*day + time.Second), func(c *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: t0.Add(10 * day), End: t0.Add(10*day + time.Hour), Chosen: t0.Add(10*day + time.Minute), FetchedAt: t0}
		}, t0.Add(10*day + time.Minute), ARIWindow},
		{"an emergency does not wait", "02:00-05:00", 90 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Advice = Advice{CertID: "id1", Start: t0.Add(-2 * day), End: t0.Add(-day), Chosen: t0.Add(-day), FetchedAt: t0}
		}, t0.Add(time.Hour), Emergency},
		{"expired", "02:00-05:00", 90 * day, t0.Add(91 * day), nil, t0.Add(91 * day), Expired},
		{"missing", "02:00-05:00", 90 * day, t0, func(c *Cert, f *Facts) { *f = Facts{} }, t0, Missing},
		{"other names", "02:00-05:00", 90 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) { c.Names = c.Names[:1] }, t0.Add(time.Hour), NamesDiffer},
		{"forced", "02:00-05:00", 90 * day, t0.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Request = Request{At: t0.Add(time.Hour), Force: true}
		}, t0.Add(time.Hour), Requested},
		{"due, and an operator asks", "02:00-05:00", 90 * day, due.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Request = Request{At: due.Add(time.Hour)}
		}, due.Add(time.Hour), Lifetime},
		{"due, and an edit is no request", "02:00-05:00", 90 * day, due.Add(time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Request = Request{At: due.Add(time.Hour), Edited: true}
		}, night, WindowShut},
		{"not due, and an operator has asked", "02:00-05:00", 90 * day, t0.Add(2 * time.Hour), func(c *Cert, f *Facts) {
			f.Journal.Request = Request{At: t0.Add(time.Hour)}
		}, night, WindowShut},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, f := wantCert(), servedAt(tc.life)
			if tc.window != "" {
				c.Window = window(t, tc.window, time.UTC)
			}
			if tc.change != nil {
				tc.change(&c, &f)
			}
			got := renewal(t, tc.now, c, f)
			if got.At.Sub(tc.at).Abs() > time.Millisecond || got.Reason != tc.reason {
				t.Errorf("got %s (%s), want %s (%s)", got.At, got.Reason, tc.at, tc.reason)
			}
		})
	}
}

// TestNoWindowLapsesACertificate walks lives of every length hour by hour under
// windows of every kind: a renewal that is let through when Decide says so comes
// with half of the slack left, and nobody is alarmed.
func TestNoWindowLapsesACertificate(t *testing.T) {
	for _, life := range []time.Duration{time.Hour, 24 * time.Hour, 160 * time.Hour, 47 * day, 90 * day, 398 * day} {
		for _, text := range []string{"02:00-05:00", "Mon-Fri 22:00-04:00", "Sun 03:00-03:30", "Wed 00:00-24:00", "Tue 12:00-12:01, Sat 23:59-00:00"} {
			c, f := wantCert(), servedAt(life)
			c.Window = window(t, text, zone(t, "Europe/Berlin"))
			now, issued := t0.Add(time.Second), 0
			for ; issued < 5; issued++ {
				s, _ := Renewal(now, &c, &f)
				for s.At.After(now) { // as the heap does: again when the time has come
					now = s.At
					s, _ = Renewal(now, &c, &f)
				}
				v := Health(now, &c, &f)
				if gone := now.Sub(backstop(&c, &f.Held)); v.Level != OK || gone > Slack(&c, &f)/4 {
					t.Errorf("%s, %q: renewed %s after it was due with %s of slack: %+v", life, text, gone, Slack(&c, &f), v)
				}
				if age := now.Sub(f.Held.IssuedAt); age < (life-Slack(&c, &f))/2 {
					t.Errorf("%s, %q: renewed at an age of %s", life, text, age)
				}
				f.Held.NotBefore, f.Held.NotAfter, f.Held.IssuedAt = now, now.Add(life), now
				f.Journal.Proofs[0].CheckedAt = now
				now = now.Add(time.Second)
			}
		}
	}
}
