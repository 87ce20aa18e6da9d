package renew

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

const letsencrypt = "https://acme-v02.api.letsencrypt.org/directory"

func TestPublishedLimitsAreKeptToFourFifths(t *testing.T) {
	l := PublishedLimits(letsencrypt)
	if l.Orders.Most != 240 || l.Domain.Most != 40 || l.Set.Most != 4 || l.Failures.Most != 4 {
		t.Errorf("%+v", l)
	}
	if l.Orders.Within != 3*time.Hour || l.Domain.Within != 7*day || l.Set.Within != 7*day || l.Failures.Within != time.Hour {
		t.Errorf("%+v", l)
	}
	if l := PublishedLimits("https://ca.internal/dir"); l != (Limits{}) {
		t.Errorf("a CA that publishes none: %+v", l)
	}
}

func TestLedgerRoom(t *testing.T) {
	limit := Limit{Most: 3, Within: time.Hour, Said: "the limit of 3"}
	claim := Claim{What: SpentAuthz, Of: "a.example", Limits: []Limit{limit}}
	for _, tc := range []struct {
		name string
		ages []time.Duration // of what was spent
		want time.Duration   // from now; zero: there is room
	}{
		{"nothing spent", nil, 0},
		{"one is left", []time.Duration{30 * time.Minute, time.Minute}, 0},
		{"none is left: until the oldest is an hour old", []time.Duration{50 * time.Minute, 30 * time.Minute, time.Minute}, 10 * time.Minute},
		{"in whatever order", []time.Duration{time.Minute, 50 * time.Minute, 30 * time.Minute}, 10 * time.Minute},
		{"more than there was room for", []time.Duration{50 * time.Minute, 40 * time.Minute, 30 * time.Minute, 20 * time.Minute}, 20 * time.Minute},
		{"one is just an hour old", []time.Duration{time.Hour, 30 * time.Minute, time.Minute}, 0},
		{"what is dated ahead is not believed", []time.Duration{-2 * time.Minute, -time.Hour, -day, -5 * day}, 0},
		{"two clocks that differ by seconds are one", []time.Duration{-time.Second, 30 * time.Minute, time.Minute}, 30 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var l Ledger
			for _, age := range tc.ages {
				l.Entries = append(l.Entries, Entry{At: t0.Add(-age), What: SpentAuthz, Of: "a.example"})
			}
			l.Entries = append(l.Entries, Entry{At: t0, What: SpentAuthz, Of: "b.example"}, Entry{At: t0, What: SpentSet, Of: "a.example"})
			l.Sort() // as the store does when it reads them
			err := l.Room(t0, claim)
			if tc.want == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			o, ok := errors.AsType[*Overspent](err)
			if !ok || !o.Until.Equal(t0.Add(tc.want)) || !strings.HasPrefix(o.Error(), "the limit of 3, a.example: 3 are spent, and no more before ") {
				t.Errorf("%v, want until %s", err, tc.want)
			}
			if err := l.Room(o.Until, claim); err != nil {
				t.Errorf("when the time has come: %v", err)
			}
		})
	}
}

func TestTheTightestLimitIsTheOneThatIsSaid(t *testing.T) {
	var l Ledger
	hour, week := Limit{1, time.Hour, "an hour's"}, Limit{2, 7 * day, "a week's"}
	claim := Claim{SpentSet, "x", []Limit{hour, week}}
	l.Spend(t0, "", claim)
	if err := l.Room(t0, claim); err == nil || !strings.HasPrefix(err.Error(), "an hour's") {
		t.Error(err)
	}
	l.Spend(t0, "", claim)
	if err := l.Room(t0, claim, Claim{SpentOrder, "", []Limit{hour}}); err == nil || !strings.HasPrefix(err.Error(), "a week's") {
		t.Error(err)
	}
	if err := l.Room(t0, Claim{SpentSet, "x", []Limit{{}}}); err != nil {
		t.Errorf("no limit: %v", err)
	}
}

func TestOneRefIsSpentOnceAndCanBeTakenBack(t *testing.T) {
	var l Ledger
	a, b := Claim{What: SpentAuthz, Of: "a"}, Claim{What: SpentAuthz, Of: "b"}
	l.Spend(t0, "authz/1", a)
	l.Spend(t0.Add(time.Second), "authz/1", a)
	l.Spend(t0, "authz/2", b)
	l.Spend(t0, "", a)
	l.Spend(t0, "", a)
	if len(l.Entries) != 4 || !l.Spent("authz/1", a) || l.Spent("authz/1", b) || l.Spent("", a) {
		t.Errorf("%+v", l.Entries)
	}
	l.Return(t0, "authz/1", "authz/3", "")
	if len(l.Entries) != 3 || l.Spent("authz/1", a) {
		t.Errorf("%+v", l.Entries)
	}
}

func TestALedgerIsBounded(t *testing.T) {
	var l Ledger
	for i := range mostEntries + 49 {
		l.Entries = append(l.Entries, Entry{At: t0.Add(time.Duration(i) * time.Millisecond), What: SpentAuthz, Of: "a", Ref: fmt.Sprint("ref", i)})
	}
	l.Spend(t0.Add(time.Minute), "last", Claim{What: SpentAuthz, Of: "a"})
	if len(l.Entries) != mostEntries || l.Entries[0].Ref != "ref50" {
		t.Errorf("%d entries, the oldest %q", len(l.Entries), l.Entries[0].Ref)
	}
	l.Spend(t0.Add(8*day), "", Claim{What: SpentSet, Of: "x"})
	if len(l.Entries) != 1 {
		t.Errorf("%d entries after a week", len(l.Entries))
	}
	l.Entries = append(l.Entries, Entry{At: t0.Add(1000 * day)})
	l.Spend(t0.Add(8*day), "", Claim{What: SpentSet, Of: "x"})
	if len(l.Entries) != 2 {
		t.Errorf("an entry of the far future is kept: %+v", l.Entries)
	}
}

// TestNoSequenceOfSpendingPassesALimit: whatever the order and the clock's slips
// forward, no stretch of time holds more than the limit.
func TestNoSequenceOfSpendingPassesALimit(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	limit := Limit{Most: 4, Within: time.Hour}
	for range 200 {
		var l Ledger
		var spent []time.Time
		now := t0
		for range 100 {
			now = now.Add(time.Duration(rnd.Int64N(int64(20 * time.Minute))))
			claim := Claim{SpentSet, "x", []Limit{limit}}
			if err := l.Room(now, claim); err != nil {
				if o, _ := errors.AsType[*Overspent](err); rnd.IntN(2) == 0 {
					now = o.Until
				} else {
					continue
				}
			}
			l.Spend(now, "", claim)
			spent = append(spent, now)
		}
		for i := range spent[limit.Most:] {
			if gap := spent[i+limit.Most].Sub(spent[i]); gap < limit.Within {
				t.Fatalf("%d within %s", limit.Most+1, gap)
			}
		}
	}
}

func TestFailureLimit(t *testing.T) {
	c := wantCert()
	for _, tc := range []struct {
		name   string
		held   Version
		now    time.Time
		most   int
		within time.Duration
	}{
		{"nothing is held", Version{}, t0, 8, day},
		{"90 days, early", servedAt(90 * day).Held, t0.Add(61 * day), 8, day},
		{"90 days, the last tenth of the slack", servedAt(90 * day).Held, t0.Add(88 * day), 24, day},
		{"90 days, expired", servedAt(90 * day).Held, t0.Add(91 * day), 24, day},
		{"160 h", servedAt(160 * time.Hour).Held, t0.Add(81 * time.Hour), 8, 8 * time.Hour},
		{"a minute", servedAt(time.Minute).Held, t0.Add(31 * time.Second), 8, 3 * time.Second},
	} {
		if l := FailureLimit(tc.now, &c, tc.held); l.Most != tc.most || l.Within != tc.within {
			t.Errorf("%s: %d in %s, want %d in %s", tc.name, l.Most, l.Within, tc.most, tc.within)
		}
	}
}

func TestRegisteredDomains(t *testing.T) {
	names := []string{"www.example.co.uk", "example.co.uk", "*.example.com", "a.b.example.com", "x.github.io", "github.io", "host", "192.0.2.1", "2001:db8::1", "2001:db8::2"}
	want := []string{"192.0.2.1", "2001:db8::/64", "example.co.uk", "example.com", "github.io", "host", "x.github.io"}
	if got := RegisteredDomains(names); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
