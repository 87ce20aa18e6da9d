package agent

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/renew"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// servedFacts are those of a certificate of 90 days that was proved a minute
// after t0.
func servedFacts(c renew.Cert) renew.Facts {
	v := renew.Version{
		N: 3, Fingerprint: "aa", CertID: "id", Names: c.Names, KeyType: c.KeyType,
		NotBefore: t0, NotAfter: t0.Add(90 * day), Issuer: "ca", Directory: "https://ca/dir", IssuedAt: t0,
	}
	return renew.Facts{Newest: v, Held: v, Live: 3, Journal: renew.Journal{
		Advice: renew.Advice{CertID: "id", PollAt: t0.Add(6 * time.Hour)},
		Hooks:  map[string]renew.HookRecord{"nginx": {Acknowledged: 3, RanAt: t0.Add(time.Second)}},
		Proofs: []renew.Proof{{Address: "www", Name: "www.example.com", Version: 3, Served: true, CheckedAt: t0.Add(time.Minute)}},
	}}
}

func TestTheHeadlineIsTheNextChange(t *testing.T) {
	c := configOf("www").Certs[0]
	now := t0.Add(2 * time.Minute)
	for _, tc := range []struct {
		name   string
		change func(*renew.Facts)
		do     renew.Do
		reason renew.Reason
	}{
		{"a quiet day: the renewal, although a proof and advice come before", func(*renew.Facts) {}, renew.Issue, renew.Lifetime},
		{"a hook that waits for its next try", func(f *renew.Facts) {
			f.Journal.Hooks["nginx"] = renew.HookRecord{Trouble: renew.Trouble{Count: 1, RetryAt: now.Add(time.Minute)}}
		}, renew.Deploy, renew.HookPending},
		{"a proof that failed", func(f *renew.Facts) {
			f.Journal.Proofs[0].Served, f.Journal.Proofs[0].Unverifiable = false, true
			f.Journal.Verify = renew.Trouble{Count: 1, RetryAt: now.Add(time.Minute)}
		}, renew.Verify, renew.Unverifiable},
		{"an install that is due", func(f *renew.Facts) { f.Live = 2 }, renew.Install, renew.InstallPending},
	} {
		f := servedFacts(c)
		tc.change(&f)
		if got := Describe(now, c, f).Next; got.Do != tc.do || got.Reason != tc.reason {
			t.Errorf("%s: %+v, want %s for %s", tc.name, got, tc.do, tc.reason)
		}
	}
}

// TestTheReportsJSON pins the names that scripts rely on.
func TestTheReportsJSON(t *testing.T) {
	c := configOf("www").Certs[0]
	f := servedFacts(c)
	f.Journal.Issuers = map[string]renew.Trouble{"ca": {
		Count: 2, Class: renew.Transient, Message: "no", Since: t0, RetryAt: t0.Add(time.Hour), Directory: "https://ca/dir",
	}}
	b, err := json.Marshal(Report{Version: "1", Running: true, Certificates: []CertReport{Describe(t0.Add(time.Hour), c, f)}, Watched: []struct{}{}})
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	has := func(where string, m map[string]any, keys ...string) {
		for _, k := range keys {
			if _, ok := m[k]; !ok {
				t.Errorf("%s has no %q in %s", where, k, b)
			}
		}
	}
	has("the report", r, "version", "config", "certificates", "watched")
	has("config", r["config"].(map[string]any), "path", "loaded_at", "error")
	cert := r["certificates"].([]any)[0].(map[string]any)
	has("a certificate", cert, "name", "names", "stage", "health", "reason", "issuer", "serial", "fingerprint_sha256",
		"not_before", "not_after", "version", "next", "failure", "hooks", "endpoints")
	has("next", cert["next"].(map[string]any), "do", "at", "reason")
	has("failure", cert["failure"].(map[string]any), "stage", "class", "message", "count", "since", "next")
	has("a hook", cert["hooks"].([]any)[0].(map[string]any), "name", "acknowledged", "last_error")
	has("an endpoint", cert["endpoints"].([]any)[0].(map[string]any), "address", "name", "served", "fingerprint_sha256", "not_after", "checked_at", "error")
}

func TestPlanLooksAsFarAsItIsTold(t *testing.T) {
	cfg := configOf("www")
	now := t0.Add(2 * time.Minute)
	count := func(until time.Duration) (issues, projected int) {
		for _, p := range ahead(now, now.Add(until), cfg.Certs[0], servedFacts(cfg.Certs[0])) {
			if p.Do == renew.Issue {
				issues++
			}
			if p.Projected {
				projected++
			}
		}
		return issues, projected
	}
	for _, tc := range []struct {
		until             time.Duration
		issues, projected int
	}{{30 * day, 0, 0}, {90 * day, 1, 0}, {365 * day, 6, 5}} {
		if i, p := count(tc.until); i != tc.issues || p != tc.projected {
			t.Errorf("within %s: %d renewals, %d of them projected; want %d and %d", tc.until, i, p, tc.issues, tc.projected)
		}
	}
	// A certificate of a minute over a year has an end too.
	f := servedFacts(cfg.Certs[0])
	f.Held.NotAfter = t0.Add(time.Hour)
	if l := ahead(now, now.Add(365*day), cfg.Certs[0], f); len(l) > longestPlan+4 {
		t.Errorf("%d steps", len(l))
	}
}

func TestIssuancesAreNeverForgotten(t *testing.T) {
	c := configOf("www").Certs[0]
	v := renew.Version{N: 1, Names: c.Names, IssuedAt: t0, NotAfter: t0.Add(90 * day)}
	known := []renew.Issuance{{At: t0.Add(-day), Set: c.Set()}}
	got := issuances(known, []renew.Version{v})
	if len(got) != 2 || !got[1].At.Equal(t0) || got[1].Set != c.Set() {
		t.Errorf("a version that the journal missed is not counted: %+v", got)
	}
	if again := issuances(got, []renew.Version{v}); len(again) != 2 {
		t.Errorf("a version is counted twice: %+v", again)
	}
	older, newer := v, v
	older.IssuedAt, newer.IssuedAt = t0.Add(-2*day), t0.Add(day)
	got = issuances(got, []renew.Version{older, v, newer})
	var at []time.Time
	for _, i := range got {
		at = append(at, i.At)
	}
	if want := []time.Time{older.IssuedAt, known[0].At, t0, newer.IssuedAt}; !slices.Equal(at, want) {
		t.Errorf("counted at %s, want %s", at, want)
	}
}

func TestPlanKeepsToTheWindow(t *testing.T) {
	c := configOf("www").Certs[0]
	night, err := renew.ParseWindow("Mon-Fri 02:00-05:00", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	c.Window = night
	renewals := 0
	for _, p := range ahead(t0.Add(2*time.Minute), t0.Add(365*day), c, servedFacts(c)) {
		if p.Do != renew.Issue {
			continue
		}
		renewals++
		if !night.Next(p.At).Equal(p.At) {
			t.Errorf("planned for %s (%s)", p.At.Format(time.RFC1123), p.Reason)
		}
	}
	if renewals < 5 {
		t.Errorf("%d renewals within a year", renewals)
	}
}

// TestAWordThatComesWhileNothingCanBeReadCostsNoJournal: it waits until there is
// something that it can be added to.
func TestAWordThatComesWhileNothingCanBeReadCostsNoJournal(t *testing.T) {
	h := newHost(90 * day)
	during(t, h, []string{"www"}, func(a *Agent) {
		time.Sleep(time.Hour)
		h.set(func() { h.unread = errors.New("too many open files") })
		asked := time.Now()
		if err := a.Request("www", false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		h.set(func() { h.unread = nil })
		time.Sleep(time.Minute)
		synctest.Wait()
		j, err := h.Journal("www")
		if err != nil || j.Request.At.Before(asked) {
			t.Errorf("the operator's word was lost: %+v, %v", j.Request, err)
		}
		if _, reloads := h.count("www"); reloads != 1 || j.Placed.Version != 1 || len(j.Issued) != 1 {
			t.Errorf("the journal was lost: %d reloads, %+v", reloads, j)
		}
	})
}
