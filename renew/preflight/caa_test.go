package preflight

import (
	"strconv"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/certvigil/certvigil/renew/issue"
)

func TestCAA(t *testing.T) {
	for _, tc := range []struct {
		name    string
		records map[string][]string // by owner; those of the name itself keep its address
		host    string              // default www.example.com
		account string              // default [accountURL]
		tells   string              // empty: nothing is found
	}{
		{name: "no records anywhere"},
		{name: "the CA is allowed", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test"`}}},
		{name: "in other letters", records: map[string][]string{"www.example.com": {`CAA 0 ISSUE "CA.Test"`}}},
		{name: "one of several", records: map[string][]string{"www.example.com": {`CAA 0 issue "other.test"`, `CAA 0 issue "ca.test"`}}},
		{name: "another CA", records: map[string][]string{"www.example.com": {`CAA 0 issue "other.test"`}}, tells: `"other.test" is another CA; this one is "ca.test"`},
		{name: "nobody", records: map[string][]string{"www.example.com": {`CAA 0 issue ";"`}}, tells: "allows nobody"},
		{name: "a garbled value allows nobody", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test; %%%%"`}}, tells: "allows nobody"},
		{name: "only iodef restricts nothing", records: map[string][]string{"www.example.com": {`CAA 0 iodef "mailto:x@example.com"`}}},
		{name: "a parent forbids", records: map[string][]string{"example.com": {`CAA 0 issue "other.test"`}}, tells: "CAA records of example.com"},
		{name: "the top level forbids", records: map[string][]string{"com": {`CAA 0 issue "other.test"`}}, tells: "CAA records of com"},
		{name: "the closest set counts", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test"`}, "example.com": {`CAA 0 issue ";"`}}},
		{name: "an iodef of the name hides the parent's", records: map[string][]string{"www.example.com": {`CAA 0 iodef "mailto:x@example.com"`}, "example.com": {`CAA 0 issue ";"`}}},
		{name: "an unknown property", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test"`, `CAA 0 fancy "x"`}}},
		{name: "an unknown critical property", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test"`, `CAA 128 fancy "x"`}}, tells: "critical"},
		{name: "a known critical property", records: map[string][]string{"www.example.com": {`CAA 128 issue "ca.test"`}}},
		{name: "issuewild does not bind other names", records: map[string][]string{"www.example.com": {`CAA 0 issuewild ";"`}}},
		{name: "issuewild binds a wildcard", host: "*.example.com", records: map[string][]string{"example.com": {`CAA 0 issue "ca.test"`, `CAA 0 issuewild "other.test"`}}, tells: "another CA"},
		{name: "issuewild outranks issue", host: "*.example.com", records: map[string][]string{"example.com": {`CAA 0 issue "other.test"`, `CAA 0 issuewild "ca.test"`}}},
		{name: "issue binds a wildcard where there is no issuewild", host: "*.example.com", records: map[string][]string{"example.com": {`CAA 0 issue "other.test"`}}, tells: "another CA"},
		{name: "our account", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test; accounturi=` + accountURL + `"`}}},
		{name: "another account", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test; accounturi=https://ca.test/account/2"`}}, tells: "accounturi is"},
		{name: "no account yet", account: "none", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test; accounturi=https://ca.test/account/2"`}}, tells: "no account is registered"},
		{name: "two accounts are nobody", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test; accounturi=` + accountURL + `; accounturi=` + accountURL + `"`}}, tells: "names 2 accounts"},
		{name: "our method", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test; validationmethods=dns-01,http-01"`}}},
		{name: "another method", records: map[string][]string{"www.example.com": {`CAA 0 issue "ca.test;validationmethods=dns-01"`}}, tells: "proved by http-01"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			host := tc.host
			if host == "" {
				host = "www.example.com"
			}
			w := newWorld(t, host)
			for owner, records := range tc.records {
				w.zone.Set(owner, append(records, "A 127.0.0.1")...)
			}
			if tc.account != "" {
				w.ca.standing.Account = ""
			}
			if tc.tells == "" {
				w.finds()
				return
			}
			found := w.finds("caa-forbids " + host)
			tells(t, found, tc.tells)
			if found[0].Issuer != "le" {
				t.Errorf("it does not say whose it is: %+v", found[0])
			}
		})
	}
}

func TestCAAThatCannotBeLookedUpIsTold(t *testing.T) {
	for _, at := range []string{"www.example.com", "example.com"} {
		w := newWorld(t, "www.example.com")
		w.zone.Set("example.com", "A 127.0.0.1")
		w.zone.Fail(at, "CAA", dns.RcodeServerFailure)
		tells(t, w.finds("dns-failing www.example.com"), "SERVFAIL", "CAA records of "+at)
		w.zone.Fail(at, "CAA", dns.RcodeRefused)
		tells(t, w.finds("dns-failing www.example.com"), "REFUSED")
	}
}

func TestACAWithoutANameIsBoundByNoCAA(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.zone.Set("www.example.com", "A 127.0.0.1", `CAA 0 issue "other.test"`)
	w.ca.standing.Identities = nil
	w.zone.Fail("www.example.com", "CAA", dns.RcodeServerFailure)
	w.finds()
	w.ca.standing.Known = false // it may yet have one
	w.finds("dns-failing www.example.com")
}

func TestAliasesAreFollowedByTheServer(t *testing.T) {
	w := newWorld(t, "www.example.com")
	// As a recursive server answers: the alias, then what it leads to.
	w.zone.Set("www.example.com", "CNAME host.example.net.", "A 127.0.0.1", `CAA 0 issue "other.test"`)
	tells(t, w.finds("caa-forbids www.example.com"), "another CA")
}

// Whatever stands in a zone gives an answer, and one that can be shown.
func FuzzCAAValues(f *testing.F) {
	for _, seed := range []string{"", ";", "ca.test", "ca.test; a=b", " ca.test ;a = b;;", "ca.test; accounturi=\x1b[0m", "\xff;=;"} {
		f.Add(seed, "issue", uint8(0))
		f.Add(seed, "other", uint8(128))
	}
	f.Fuzz(func(t *testing.T, value, tag string, flag uint8) {
		a := applicant{ca: issue.Standing{Identities: []string{"ca.test"}, Account: accountURL}, method: "http-01"}
		why := a.forbidden([]*dns.CAA{{Flag: flag, Tag: tag, Value: value}})
		for _, r := range why {
			if !strconv.IsPrint(r) {
				t.Errorf("%q is shown with %q in it", value, r)
			}
		}
		if why == "" && strings.EqualFold(tag, "issue") && !strings.Contains(strings.ToLower(value), "ca.test") {
			t.Errorf("%q allows ca.test", value)
		}
	})
}
