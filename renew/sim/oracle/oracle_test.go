package oracle

import (
	"testing"
	"time"
)

// served is an endpoint that answered with one certificate of 90 days until to.
func served(to time.Duration) Case {
	return Case{
		Served:    []Serving{{Span: Span{0, to}, Leaf: Leaf{NotAfter: 90 * day}}},
		Obstacles: Obstacles{CAs: [][]Span{nil}},
		Alarms:    []Span{{61 * day, never}},
	}
}

func TestJudge(t *testing.T) {
	for _, tc := range []struct {
		name        string
		change      func(*Case)
		lapses      int
		preventable bool
	}{
		{"replaced in time: no lapse", func(c *Case) { c.Served[0].To = 80 * day }, 0, false},
		{"nothing stood in the way: preventable", func(*Case) {}, 1, true},
		{"the only CA was dead since before it was due: not", func(c *Case) {
			c.Obstacles.CAs[0] = []Span{{50 * day, never}}
		}, 1, false},
		{"the CA was dead for all but a day and a half: preventable", func(c *Case) {
			c.Obstacles.CAs[0] = []Span{{50 * day, 80 * day}, {81*day + 12*time.Hour, never}}
		}, 1, true},
		{"the CA was there for half a day only: not", func(c *Case) {
			c.Obstacles.CAs[0] = []Span{{50 * day, 80 * day}, {80*day + 12*time.Hour, never}}
		}, 1, false},
		{"a second CA was there: preventable", func(c *Case) {
			c.Obstacles.CAs = [][]Span{{{50 * day, never}}, nil}
		}, 1, true},
		{"the second CA was there only while the first is waited for: not", func(c *Case) {
			c.Obstacles.CAs = [][]Span{{{50 * day, never}}, {{71 * day, never}}}
		}, 1, false},
		{"one CA after the other, neither for long enough: not", func(c *Case) {
			c.Obstacles.CAs = [][]Span{{{50 * day, 75 * day}, {76 * day, never}}, {{0, 76 * day}, {77 * day, never}}}
		}, 1, false},
		{"validation was broken: not", func(c *Case) { c.Obstacles.Issue = []Span{{50 * day, never}} }, 1, false},
		{"one dead name of several: preventable", func(c *Case) { c.Obstacles.Veto = []Span{{50 * day, never}} }, 1, true},
		{"the server could not be reloaded: not", func(c *Case) { c.Obstacles.Deploy = []Span{{50 * day, never}} }, 1, false},
		{"the server could be reloaded only before the CA was there: not", func(c *Case) {
			c.Obstacles.CAs[0], c.Obstacles.Deploy = []Span{{50 * day, 80 * day}}, []Span{{70 * day, never}}
		}, 1, false},
		{"nine minutes were left for the reload: not", func(c *Case) {
			c.Obstacles.Deploy = []Span{{50 * day, 85 * day}, {85*day + 9*time.Minute, never}}
		}, 1, false},
		{"the host was down until long after: no lapse while it is, and not preventable at once", func(c *Case) {
			c.Served[0].To, c.Obstacles.Down = 95*day+time.Minute, []Span{{50 * day, 95 * day}}
		}, 1, false},
		{"a hook that failed once and a lying CA want twice the time, which there is: preventable", func(c *Case) {
			c.Obstacles.IssueOnce, c.Obstacles.DeployOnce = []time.Duration{61 * day}, []time.Duration{61 * day}
		}, 1, true},
		{"a lie of the CA that was deployed: preventable", func(c *Case) {
			c.Served[0].Leaf.Flaw, c.Served[0].Leaf.Lie, c.Served[0].To = "wrong names", true, time.Hour
		}, 1, true},
		{"an outsider put a bad one there and it was gone in five minutes: not", func(c *Case) {
			c.Served[0] = Serving{Span: Span{day, day + 5*time.Minute}, Leaf: Leaf{NotAfter: 90 * day, Flaw: "wrong names"}, Outsider: true}
			c.Obstacles.Damage = []Damage{{At: day}}
		}, 1, false},
		{"an outsider put a bad one there and it stayed: preventable", func(c *Case) {
			c.Served[0] = Serving{Span: Span{day, 2 * day}, Leaf: Leaf{NotAfter: 90 * day, Flaw: "wrong names"}, Outsider: true}
			c.Obstacles.Damage = []Damage{{At: day}}
		}, 1, true},
		{"not valid yet", func(c *Case) { c.Served[0].Leaf.NotBefore, c.Served[0].To = day, 2*day }, 1, true},
		{"nothing answered", func(c *Case) { c.Served[0] = Serving{Span: Span{0, 2 * day}, None: true} }, 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := served(100 * day)
			tc.change(&c)
			got := Judge(c)
			if len(got) != tc.lapses {
				t.Fatalf("%d lapses: %+v", len(got), got)
			}
			if len(got) > 0 && (got[0].Preventable() != tc.preventable || got[0].Unheard) {
				t.Errorf("%+v", got[0])
			}
			if len(got) > 0 && (got[0].Harm() > 0) != tc.preventable {
				t.Errorf("harm of %s", got[0].Harm())
			}
		})
	}
}

func TestALapseThatNobodyHeardOf(t *testing.T) {
	for _, tc := range []struct {
		name    string
		alarms  []Span
		down    []Span
		unheard bool
	}{
		{"no alarm", nil, nil, true},
		{"an alarm that was over before half of the slack was gone", []Span{{61 * day, 62 * day}}, nil, true},
		{"an alarm in time", []Span{{74 * day, never}}, nil, false},
		{"no alarm, since the host was down", nil, []Span{{70 * day, 95 * day}}, false},
	} {
		c := served(100 * day)
		c.Alarms, c.Obstacles.Down = tc.alarms, tc.down
		if got := Judge(c); len(got) != 1 || got[0].Unheard != tc.unheard {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// TestOneThatHadExpiredBeforeItWasServed: nobody could tell in time before it
// was there.
func TestOneThatHadExpiredBeforeItWasServed(t *testing.T) {
	for _, tc := range []struct {
		alarms  []Span
		unheard bool
	}{
		{nil, true},
		{[]Span{{99 * day, never}}, false},
		{[]Span{{100*day + time.Hour, never}}, false},
		{[]Span{{101 * day, never}}, true},
	} {
		c := Case{
			Served:    []Serving{{Span: Span{100 * day, 102 * day}, Leaf: Leaf{NotAfter: 90 * day}}},
			Obstacles: Obstacles{CAs: [][]Span{nil}}, Alarms: tc.alarms,
		}
		if got := Judge(c); len(got) != 1 || got[0].Unheard != tc.unheard {
			t.Errorf("%v: %+v", tc.alarms, got)
		}
	}
}
