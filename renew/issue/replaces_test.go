package issue

import (
	"net/http"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// replaced watches what the orders that the CA creates say they replace.
func replaced(seen *[]string) func(http.Handler) http.Handler {
	return rewriting(atNewOrder, func(body map[string]any, _ http.Header) {
		*seen = append(*seen, text(body["replaces"]))
	})
}

func TestTheOrderNamesItsPredecessor(t *testing.T) {
	var seen []string
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	f.set(replaced(&seen))
	b.issue(cert, held)
	if len(seen) != 1 || seen[0] != held.CertID || held.CertID == "" {
		t.Errorf("%q replaced %q", held.CertID, seen)
	}
}

func TestAPredecessorIsNamedOnlyToWhoIssuedIt(t *testing.T) {
	for name, change := range map[string]func(*renew.Version){
		"another directory": func(v *renew.Version) { v.Directory = "https://other.example/dir" },
		"another account":   func(v *renew.Version) { v.Account += "x" },
		"expired":           func(v *renew.Version) { v.NotAfter = v.NotBefore },
		"no CertID":         func(v *renew.Version) { v.CertID = "" },
		"an odd CertID":     func(v *renew.Version) { v.CertID = "../x" },
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			cert := b.cert("www", "a.example.com")
			held := b.issue(cert, renew.Version{})
			change(&held)
			f.set(replaced(&seen))
			b.issue(cert, held)
			if len(seen) != 1 || seen[0] != "" {
				t.Errorf("%q", seen)
			}
		})
	}
}

func TestWithoutRenewalInfoNoPredecessorIsNamed(t *testing.T) {
	var seen []string
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	b.rebuild()
	without := rewriting(atDirectory, func(body map[string]any, _ http.Header) { delete(body, "renewalInfo") })
	f.set(func(next http.Handler) http.Handler { return without(replaced(&seen)(next)) })
	b.issue(cert, held)
	if len(seen) != 1 || seen[0] != "" {
		t.Errorf("%q", seen)
	}
}

func TestARejectedPredecessorIsLeftOutInTheSameAttempt(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"alreadyReplaced": acmeProblem(409, "alreadyReplaced", "replaced"),
		"conflict":        acmeProblem(409, "conflict", "replaced"),
		"malformed":       acmeProblem(400, "malformed", "no common identifier"),
		"unauthorized":    acmeProblem(403, "unauthorized", "another account"),
		"not found":       acmeProblem(404, "malformed", "unknown serial"),
		"a 404 page":      answering(404, "text/html", "<h1>not found"),
	} {
		t.Run(name, func(t *testing.T) {
			var seen []string
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			cert := b.cert("www", "a.example.com")
			held := b.issue(cert, renew.Version{})
			reject := first(1, atNewOrder, func(http.Handler) http.Handler { return h })
			f.set(func(next http.Handler) http.Handler { return reject(replaced(&seen)(next)) })
			b.issue(cert, held)
			if len(seen) != 1 || seen[0] != "" {
				t.Errorf("the orders replaced %q", seen)
			}
		})
	}
}

func TestARejectionThatHasNothingToDoWithThePredecessorStands(t *testing.T) {
	for _, kind := range []string{caa, invalidProfile, rejectedIdentifier, unsupportedIdentifier, userActionRequired, rateLimited} {
		t.Run(kind, func(t *testing.T) {
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			cert := b.cert("www", "a.example.com")
			held := b.issue(cert, renew.Version{})
			f.set(instead(atNewOrder, acmeProblem(400, kind, "no")))
			before := b.ca.Counts().Requests
			b.refuse(cert, held)
			if n := b.ca.Counts().Requests - before; n != 1 {
				t.Errorf("%d requests were made of it", n)
			}
		})
	}
}

func TestAFailedRenewalMayBeTriedAgain(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	for range 3 {
		cert.Names = []string{"a.example.com", "dead.example.com"}
		b.ca.Unresolve("dead.example.com", true)
		b.refuse(cert, held)
		b.ca.Unresolve("dead.example.com", false)
		held = b.issue(cert, held)
	}
}
