package issue

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// bomb is a gigabyte of zeroes, packed twice as a front end would.
func bomb() string {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	chunk := make([]byte, 1<<20)
	for range 64 {
		_, _ = w.Write(chunk)
	}
	_ = w.Close()
	return packed.String()
}

func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	chunk := bytes.Repeat([]byte(`{"a":`), 1<<14)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

// Whatever a CA, or what stands in front of it, answers: it is classified, shown
// in bounds, and costs neither a panic nor what was there before.
func TestOddAnswers(t *testing.T) {
	html := "<html><body>" + strings.Repeat("Bad Gateway \x1b[31m", 500) + "</body></html>"
	for name, c := range map[string]struct {
		path  string
		h     http.HandlerFunc
		class renew.Class
		want  string
	}{
		"500 at the directory":     {atDirectory, acmeProblem(500, "serverInternal", "oops"), renew.Transient, "serverInternal"},
		"503 HTML at newOrder":     {atNewOrder, answering(503, "text/html", html), renew.Transient, "503"},
		"502 HTML at authz":        {atAuthz, answering(502, "text/html", html), renew.Transient, "502"},
		"null at newOrder":         {atNewOrder, answering(500, "application/json", "null"), renew.Transient, "500"},
		"null with 200":            {atNewOrder, answering(200, "application/json", "null"), renew.Transient, "no JSON object"},
		"null at authz":            {atAuthz, answering(403, "application/json", "null"), renew.Transient, "403"},
		"empty body":               {atNewOrder, answering(500, "text/plain", ""), renew.Transient, "500"},
		"HTML with 200":            {atNewOrder, answering(200, "text/html", html), renew.Transient, "no JSON object"},
		"an array":                 {atNewOrder, answering(201, "application/json", "[]"), renew.Transient, "no JSON object"},
		"problem of wrong types":   {atNewOrder, answering(400, "application/json", `{"type":5,"detail":[],"status":"x"}`), renew.Transient, "400"},
		"order of wrong types":     {atNewOrder, answering(201, "application/json", `{"status":5,"identifiers":{}}`, "Location", "https://x"), renew.Transient, ""},
		"endless body":             {atNewOrder, endless, renew.Transient, "longer than"},
		"gzip bomb":                {atNewOrder, answering(200, "application/json", bomb(), "Content-Encoding", "gzip"), renew.Transient, "packed"},
		"redirect":                 {atNewOrder, answering(302, "text/html", "", "Location", "https://elsewhere.example/"), renew.Transient, "redirect"},
		"directory elsewhere":      {atDirectory, answering(302, "text/html", "", "Location", "https://elsewhere.example/"), renew.Refused, "another host"},
		"directory over http":      {atDirectory, answering(302, "text/html", "", "Location", "http://127.0.0.1/dir"), renew.Refused, "not https"},
		"directory without fields": {atDirectory, answering(200, "application/json", "{}"), renew.Transient, "has no new"},
		"newOrder over http":       {atDirectory, answering(200, "application/json", `{"newNonce":"http://127.0.0.1/n","newAccount":"http://127.0.0.1/a","newOrder":"http://127.0.0.1/o"}`), renew.Refused, "not https"},
		"rejectedIdentifier":       {atNewOrder, acmeProblem(400, "rejectedIdentifier", "policy forbids it"), renew.Refused, "policy forbids it"},
		"unauthorized account":     {atNewOrder, acmeProblem(403, "unauthorized", "deactivated"), renew.Refused, "deactivated"},
		"userActionRequired":       {atNewOrder, answering(403, "application/problem+json", `{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"new terms","instance":"https://ca.example/terms"}`), renew.Refused, "https://ca.example/terms"},
		"invalidContact":           {atNewAccount, acmeProblem(400, "invalidContact", "no such domain"), renew.Config, "no such domain"},
		"externalAccountRequired":  {atNewAccount, acmeProblem(401, "externalAccountRequired", "bind"), renew.Config, "bind"},
		"WAF":                      {atNewOrder, answering(403, "text/html", html), renew.Transient, "403"},
		"badCSR":                   {atFinalize, acmeProblem(400, "badCSR", "weak key"), renew.Refused, "weak key"},
		"caa at finalize":          {atFinalize, acmeProblem(403, "caa", "forbidden by caa"), renew.Refused, "forbidden by caa"},
		"no certificate":           {atCert, answering(200, "application/pem-certificate-chain", ""), renew.Refused, "no-certificate"},
		"junk for a certificate":   {atCert, answering(200, "application/pem-certificate-chain", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), renew.Refused, "refusing what the CA issued"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			f.set(instead(c.path, c.h))
			cert := b.cert("www", "a.example.com")
			got := b.refuse(cert, renew.Version{})
			if got.Class != c.class || !strings.Contains(got.Error(), c.want) {
				t.Errorf("%s: %v", got.Class, got)
			}
			if len(got.Error()) > maxMessage+100 || strings.ContainsAny(got.Error(), "\x1b\n") {
				t.Errorf("shown as %q", got.Error())
			}
			if len(b.books.versions["www"]) > 0 {
				t.Error("a version was committed")
			}
			f.set(nil)
			b.issue(cert, renew.Version{}) // nothing is left behind that is in the way
		})
	}
}

// What a CA puts into an object that is well-formed otherwise.
func TestOddObjects(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		edit  func(body map[string]any, header http.Header)
		class renew.Class
		want  string
	}{
		"order at another host": {atNewOrder, func(_ map[string]any, h http.Header) { h.Set("Location", "https://elsewhere.example/o") }, renew.Refused, "another host"},
		"order nowhere":         {atNewOrder, func(_ map[string]any, h http.Header) { h.Del("Location") }, renew.Transient, "Location"},
		"authz at another host": {atNewOrder, func(b map[string]any, _ http.Header) { b["authorizations"] = []string{"https://169.254.169.254/"} }, renew.Refused, "another host"},
		"authz over http":       {atNewOrder, func(b map[string]any, _ http.Header) { b["authorizations"] = []string{"http://127.0.0.1/"} }, renew.Refused, "not https"},
		"finalize elsewhere":    {atNewOrder, func(b map[string]any, _ http.Header) { b["finalize"] = "https://elsewhere.example/" }, renew.Refused, "another host"},
		"cert elsewhere":        {atOrder, func(b map[string]any, _ http.Header) { b["certificate"] = "https://elsewhere.example/" }, renew.Refused, "another host"},
		"a million authz": {atNewOrder, func(b map[string]any, _ http.Header) {
			var many []string
			for i := range 10000 {
				many = append(many, fmt.Sprintf("https://x/%d", i))
			}
			b["authorizations"] = many
		}, renew.Refused, "10000 authorizations"},
		"other names": {atNewOrder, func(b map[string]any, _ http.Header) {
			b["identifiers"] = []map[string]string{{"type": "dns", "value": "evil.example"}}
		}, renew.Refused, "not the one that was asked for"},
		"unknown status": {atOrder, func(b map[string]any, _ http.Header) { b["status"] = "\x1b[2Jfine" }, renew.Transient, "status"},
		"invalid order":  {atOrder, func(b map[string]any, _ http.Header) { b["status"] = "invalid" }, renew.Refused, "gave the order up"},
		"a path for a token": {atAuthz, func(b map[string]any, _ http.Header) {
			for _, c := range b["challenges"].([]any) {
				c.(map[string]any)["token"] = "../../../../etc/cron.d/x"
			}
		}, renew.Refused, "token"},
		"no http-01": {atAuthz, func(b map[string]any, _ http.Header) {
			b["challenges"] = []map[string]string{{"type": "dns-01"}, {"type": "quantum-01"}}
		}, renew.Config, "dns-01, quantum-01"},
		"authz deactivated": {atAuthz, func(b map[string]any, _ http.Header) { b["status"] = "deactivated" }, renew.Refused, "deactivated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			f.set(rewriting(c.path, c.edit))
			cert := b.cert("www", "a.example.com")
			got := b.refuse(cert, renew.Version{})
			if got.Class != c.class || !strings.Contains(got.Error(), c.want) {
				t.Errorf("%s: %v", got.Class, got)
			}
			if strings.Contains(got.Error(), "\x1b") {
				t.Errorf("shown as %q", got.Error())
			}
			f.set(nil)
			b.issue(cert, renew.Version{})
		})
	}
}

// More authorizations than names, and challenges of types that nobody knows,
// are none of our business.
func TestMoreThanWasAskedForIsGotAlongWith(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	f.set(rewriting(atNewOrder, func(body map[string]any, _ http.Header) {
		list := body["authorizations"].([]any)
		body["authorizations"] = append(list, list[0], list[0])
	}))
	b.issue(b.cert("www", "a.example.com"), renew.Version{})
	f.set(rewriting(atAuthz, func(body map[string]any, _ http.Header) {
		list, _ := body["challenges"].([]any)
		body["challenges"] = append([]any{map[string]any{"type": "quantum-01", "token": "../x", "url": "http://x/"}}, list...)
	}))
	b.issue(b.cert("other", "b.example.com"), renew.Version{})
}

func TestACAThatCannotBeReached(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	if err := b.ca.Stop(); err != nil {
		t.Fatal(err)
	}
	if f := b.refuse(cert, held); f.Class != renew.Transient {
		t.Errorf("refused connections: %s: %v", f.Class, f)
	}
	if err := b.ca.Restart(); err != nil {
		t.Fatal(err)
	}
	b.issue(cert, held) // on connections that are dead by now
	if n := b.ca.Counts().Accounts; n != 1 {
		t.Errorf("%d accounts", n)
	}
}

func TestABlackHoleIsLeftAfterTheTimeout(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b := start(t, acmetest.Options{}, func(o *Options) { o.RequestTimeout = 150 * time.Millisecond })
	b.issuer.Directory = "https://" + silent.Addr().String() + "/dir"
	b.rebuild()
	began := time.Now()
	f := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if f.Class != renew.Transient || !errors.Is(f, context.DeadlineExceeded) {
		t.Errorf("%s: %v", f.Class, f)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("after %s", took)
	}
}

func TestACAOfAnotherRootIsNotTalkedTo(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.issuer.TrustRoots = b.ca.RootPEM() // not that of its API
	b.rebuild()
	f := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if f.Class != renew.Transient || !strings.Contains(f.Error(), "trust_roots") {
		t.Errorf("%s: %v", f.Class, f)
	}
	if n := b.ca.Counts().Requests; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
}

func TestCancelEndsEveryWaitSoon(t *testing.T) {
	never := func(status string) func(map[string]any, http.Header) {
		return func(b map[string]any, _ http.Header) { b["status"] = status }
	}
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"directory":      instead(atDirectory, hang),
		"nonce":          instead(atNonce, hang),
		"newAccount":     instead(atNewAccount, hang),
		"newOrder":       instead(atNewOrder, hang),
		"challenge":      instead(atChallenge, hang),
		"finalize":       instead(atFinalize, hang),
		"download":       instead(atCert, hang),
		"authz polls":    rewriting(atAuthz, never("pending")),
		"order polls":    rewriting(atOrder, never("processing")),
		"long waits":     rewriting(atAuthz, func(b map[string]any, h http.Header) { b["status"] = "pending"; h.Set("Retry-After", "86400") }),
		"server stumble": instead(atNewOrder, acmeProblem(500, "serverInternal", "x")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			f.set(wrap)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			time.AfterFunc(300*time.Millisecond, cancel)
			began := time.Now()
			_, err := b.client.Issue(ctx, b.cert("www", "a.example.com"), renew.Version{}, renew.Missing)
			took := time.Since(began)
			if err == nil || renew.ClassOf(err) != renew.Transient {
				t.Errorf("%v", err)
			}
			if took > time.Second { // 100 ms, and what a busy machine adds
				t.Errorf("it took %s", took)
			}
			if n := len(b.responder.tokens); n != 0 {
				t.Errorf("%d challenges are still answered", n)
			}
		})
	}
}

func TestAnOrderThatStaysProcessingIsAbandonedInTheEnd(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	// attempt runs out of time while the order is being polled.
	attempt := func() error {
		ctx, cancel := context.WithCancelCause(context.Background())
		defer cancel(nil)
		polls := 0
		f.set(rewriting(atOrder, func(body map[string]any, _ http.Header) {
			if body["status"] = "processing"; polls > 1 {
				cancel(context.DeadlineExceeded)
			}
			polls++
		}))
		_, err := b.client.Issue(ctx, cert, renew.Version{}, renew.Missing)
		return err
	}
	if err := attempt(); renew.ClassOf(err) != renew.Transient || !strings.Contains(err.Error(), "processing") {
		t.Errorf("%v", err)
	}
	o, inFlight, _ := b.books.Order("www")
	if !inFlight {
		t.Fatal("the order was given up at once")
	}
	o.CreatedAt = o.CreatedAt.Add(-2 * time.Hour)
	_ = b.books.BeginOrder("www", o)
	_ = attempt()
	if _, inFlight, _ := b.books.Order("www"); inFlight {
		t.Error("an order of two hours ago is still waited for")
	}
	f.set(nil)
	b.issue(cert, renew.Version{})
}
