package faultproxy

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// spent is a ledger and the time that its test plays at.
type spent struct {
	*ledger
	now time.Time
	n   int
}

func newSpent() *spent {
	return &spent{ledger: newLedger(&Limits{}), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// issueFor orders and issues for names; former are those of what it replaces.
func (s *spent) issueFor(replaces string, former []string, names ...string) {
	s.n++
	path := fmt.Sprint("/order/", s.n)
	s.order(s.now, "acct", path, names, replaces, former)
	s.issue(s.now, path)
}

func (s *spent) want(t *testing.T, what ...string) {
	t.Helper()
	if len(s.passed) != len(what) {
		t.Fatalf("passed: %q, not %q", s.passed, what)
	}
	for i, w := range what {
		if !strings.Contains(s.passed[i], w) {
			t.Errorf("passed: %q, not %q", s.passed[i], w)
		}
	}
}

func TestFiveCertificatesOfOneSetInAWeek(t *testing.T) {
	s := newSpent()
	for range 5 {
		s.issueFor("", nil, "a.example.com", "b.example.com")
	}
	s.want(t)
	s.issueFor("", nil, "b.example.com", "a.example.com") // the order of names is nothing
	s.want(t, "exact set")
	s.issueFor("", nil, "a.example.com")
	s.want(t, "exact set")
	s.now = s.now.Add(34 * time.Hour) // one of five is refilled in 33.6 hours
	s.issueFor("", nil, "a.example.com", "b.example.com")
	s.want(t, "exact set")
	s.issueFor("", nil, "a.example.com", "b.example.com")
	s.want(t, "exact set", "exact set")
}

func TestFiftyCertificatesOfOneDomainInAWeek(t *testing.T) {
	s := newSpent()
	for i := range 50 {
		s.issueFor("", nil, fmt.Sprintf("n%d.example.co.uk", i), fmt.Sprintf("m%d.example.co.uk", i))
	}
	s.issueFor("", nil, "a.other.co.uk")
	s.want(t)
	s.issueFor("", nil, "n50.example.co.uk")
	s.want(t, "registered domain in 168h0m0s: example.co.uk")
	s.issueFor("", nil, "n7.example.co.uk", "m7.example.co.uk") // a set that there was before
	s.want(t, "registered domain")
}

func TestThreeHundredOrdersOfOneAccountInThreeHours(t *testing.T) {
	s := newSpent()
	for i := range 301 {
		s.order(s.now, "acct", fmt.Sprint(i), []string{fmt.Sprintf("a%d.example", i)}, "", nil)
	}
	s.order(s.now, "another", "x", []string{"a.example"}, "", nil)
	s.want(t, "orders per account")
	s.now = s.now.Add(36 * time.Second)
	s.order(s.now, "acct", "y", []string{"b.example"}, "", nil)
	s.want(t, "orders per account")
}

func TestARenewalThatNamesItsPredecessorIsExempt(t *testing.T) {
	s := newSpent()
	for i := range 400 {
		s.issueFor(fmt.Sprint("cert-", i), []string{"a.example.com"}, "a.example.com")
	}
	s.want(t)
	s.issueFor("cert-1", []string{"a.example.com"}, "a.example.com") // replaced already: it counts
	s.issueFor("unknown", nil, "a.example.com")
	s.issueFor("cert-500", []string{"other.example.com"}, "a.example.com") // shares no name
	for range 3 {
		s.issueFor("", nil, "a.example.com")
	}
	s.want(t, "exact set")
}

func TestFiveFailedAuthorizationsOfANameInAnHour(t *testing.T) {
	s := newSpent()
	fail := func(account, name string) {
		s.n++
		s.decide(s.now, account, fmt.Sprint("/authz/", s.n), "", resource{Status: "invalid", Identifier: identifier{name}})
	}
	for range 5 {
		fail("acct", "a.example.com")
	}
	fail("acct", "b.example.com")
	fail("another", "a.example.com")
	s.want(t)
	// The same one, read once more.
	s.decide(s.now, "acct", "/authz/5", "", resource{Status: "invalid", Identifier: identifier{"a.example.com"}})
	s.want(t)
	fail("acct", "a.example.com")
	s.want(t, "failed authorizations")
	for range pausedAfter {
		s.now = s.now.Add(time.Hour)
		fail("acct", "c.example.com")
	}
	s.want(t, "failed authorizations", "paused")
}

func TestAValueIsPutWhereThePathLeads(t *testing.T) {
	doc := func() any {
		return map[string]any{"a": []any{map[string]any{"b": 1.0}, 2.0}}
	}
	for path, want := range map[string]string{
		"a.0.b": "map[a:[map[b:x] 2]]",
		"a.1":   "map[a:[map[b:1] x]]",
		"a.7":   "map[a:[map[b:1] 2]]",
		"a":     "map[a:x]",
		"c.d":   "map[a:[map[b:1] 2] c:map[d:x]]",
	} {
		if got := fmt.Sprint(put(doc(), strings.Split(path, "."), "x")); got != want {
			t.Errorf("%s: %s, not %s", path, got, want)
		}
	}
	for path, want := range map[string]string{"a.0": "map[a:[2]]", "a.0.b": "map[a:[map[] 2]]", "a": "map[]"} {
		if got := fmt.Sprint(put(doc(), strings.Split(path, "."), Gone)); got != want {
			t.Errorf("without %s: %s, not %s", path, got, want)
		}
	}
}
