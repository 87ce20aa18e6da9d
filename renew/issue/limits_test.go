package issue

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

func TestRetryAfterInEveryShape(t *testing.T) {
	now := time.Now()
	date := func(d time.Duration) string { return now.Add(d).UTC().Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		value string
		want  time.Duration
	}{
		"seconds":        {"120", 2 * time.Minute},
		"a date":         {date(2 * time.Minute), 2 * time.Minute},
		"zero":           {"0", minHold},
		"negative":       {"-5", defaultHold},
		"past":           {date(-time.Hour), defaultHold},
		"ten years":      {"315360000", maxHold},
		"a far date":     {date(87600 * time.Hour), maxHold},
		"no 64 bits":     {strings.Repeat("9", 40), maxHold},
		"garbage":        {"soon", defaultHold},
		"a fraction":     {"1.5", defaultHold},
		"absent":         {"", defaultHold},
		"spaces":         {"  30 ", 30 * time.Second},
		"RFC 850":        {now.Add(time.Hour).UTC().Format("Monday, 02-Jan-06 15:04:05 GMT"), time.Hour},
		"control":        {"\x7f12", defaultHold},
		"another format": {now.Add(time.Hour).Format(time.RFC3339), defaultHold},
	} {
		t.Run(name, func(t *testing.T) {
			answer := &http.Response{StatusCode: 429, Header: http.Header{}}
			if c.value != "" {
				answer.Header.Set("Retry-After", c.value)
			}
			p := newProblem(answer, nil)
			if got := time.Until(p.RetryAt); got < c.want-3*time.Second || got > c.want+3*time.Second {
				t.Errorf("%s, not %s", got, c.want)
			}
			if !p.Limited || p.class() != renew.Limited {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestACAThatAsksForTimeGetsIt(t *testing.T) {
	for name, c := range map[string]struct {
		h     http.HandlerFunc
		class renew.Class
		wait  time.Duration
	}{
		"429 JSON":             {acmeProblem(429, rateLimited, "too many", "Retry-After", "300"), renew.Limited, 5 * time.Minute},
		"429 HTML":             {answering(429, "text/html", "<h1>slow down", "Retry-After", "300"), renew.Limited, 5 * time.Minute},
		"429 alone":            {answering(429, "text/html", ""), renew.Limited, defaultHold},
		"503 busy":             {acmeProblem(503, rateLimited, "Service busy", "Retry-After", "60"), renew.Limited, time.Minute},
		"503 with a wait":      {answering(503, "text/html", "", "Retry-After", "60"), renew.Limited, time.Minute},
		"503 with garbage":     {answering(503, "text/html", "", "Retry-After", "later"), renew.Limited, defaultHold},
		"403 rateLimited":      {acmeProblem(403, rateLimited, "paused"), renew.Limited, defaultHold},
		"429 null":             {answering(429, "application/json", "null", "Retry-After", "300"), renew.Limited, 5 * time.Minute},
		"503 without anything": {answering(503, "text/html", ""), renew.Transient, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			f.set(instead(atNewOrder, c.h))
			cert := b.cert("www", "a.example.com")
			got := b.refuse(cert, renew.Version{})
			if got.Class != c.class {
				t.Fatalf("%s: %v", got.Class, got)
			}
			if c.wait == 0 {
				return
			}
			if d := time.Until(got.RetryAt); d < c.wait-10*time.Second || d > c.wait {
				t.Errorf("in %s, not %s", d, c.wait)
			}
			// The whole account waits, and the CA is not asked meanwhile.
			f.set(nil)
			before := b.ca.Counts().Requests
			again := b.refuse(b.cert("other", "b.example.com"), renew.Version{})
			if again.Class != renew.Limited || again.RetryAt.IsZero() || b.ca.Counts().Requests != before {
				t.Errorf("%s at %s: %v", again.Class, again.RetryAt, again)
			}
		})
	}
}

// TestAWaitThatCannotBeNotedIsKept: the disk is full, and the other certificates
// of the account are not to ask for all that.
func TestAWaitThatCannotBeNotedIsKept(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	f.set(instead(atNewOrder, acmeProblem(429, rateLimited, "too many", "Retry-After", "3600")))
	b.books.cutAt = "HoldAccount"
	if got := b.refuse(b.cert("www", "a.example.com"), renew.Version{}); got.Class != renew.Limited {
		t.Fatalf("%s: %v", got.Class, got)
	}
	b.books.cutAt, b.books.dead = "", false
	f.set(nil)
	before := b.ca.Counts().Requests
	again := b.refuse(b.cert("other", "b.example.com"), renew.Version{})
	if d := time.Until(again.RetryAt); again.Class != renew.Limited || d < 59*time.Minute || b.ca.Counts().Requests != before {
		t.Errorf("%s in %s: %v", again.Class, d, again)
	}
}

func TestAWaitThatNobodyNamedScalesWithTheLifetime(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Validity: time.Minute, Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	f.set(instead(atNewOrder, answering(429, "text/html", "")))
	got := b.refuse(cert, held)
	if d := time.Until(got.RetryAt); got.Class != renew.Limited || d > 4*time.Second {
		t.Errorf("%s in %s", got.Class, d)
	}
}

func TestTextOfStrangersIsFitForATerminal(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                      "plain",
		"two\nlines\r\n":             "two lines  ",
		"\x1b[31mred\x07":            `\x1b[31mred\a`,
		"\u202eevil":                 `\u202eevil`,
		"caf\u00e9":                  "café",
		"bad \xff byte":              `bad \ufffd byte`,
		strings.Repeat("x", 600):     strings.Repeat("x", 497) + "…",
		strings.Repeat("é", 600):     strings.Repeat("é", 248) + "…",
		strings.Repeat("x", 1<<20):   strings.Repeat("x", 497) + "…",
		"got \"" + keyAuth + "\" ok": `got "(key authorization)" ok`,
	} {
		if got := clean(in); got != want {
			t.Errorf("%.60q became %.80q, not %.80q", in, got, want)
		}
		if got := clean(in); len(got) > maxText {
			t.Errorf("%d bytes", len(got))
		}
	}
}

const keyAuth = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"

// A CA repeats what it found under the token; that is not for logs.
func TestAKeyAuthorizationIsNotShown(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	f.set(rewriting(atAuthz, func(body map[string]any, _ http.Header) {
		body["status"] = "invalid"
		for _, c := range body["challenges"].([]any) {
			c.(map[string]any)["error"] = map[string]any{"type": errorPrefix + "unauthorized", "detail": "expected " + keyAuth + "\x1b[2J", "status": 403}
		}
	}))
	got := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if strings.Contains(got.Error(), keyAuth) || strings.Contains(got.Error(), "\x1b") {
		t.Errorf("%q", got.Error())
	}
}

func TestEveryProblemTypeHasAClass(t *testing.T) {
	for kind, want := range map[string]renew.Class{
		badNonce: renew.Transient, serverInternal: renew.Transient, orderNotReady: renew.Transient,
		connection: renew.Transient, dnsProblem: renew.Transient,
		rateLimited:    renew.Limited,
		invalidProfile: renew.Config, invalidContact: renew.Config, unsupportedContact: renew.Config, externalAccountRequired: renew.Config,
		malformed: renew.Refused, caa: renew.Refused, rejectedIdentifier: renew.Refused, unsupportedIdentifier: renew.Refused,
		userActionRequired: renew.Refused, accountDoesNotExist: renew.Refused,
		"unauthorized": renew.Refused, "incorrectResponse": renew.Refused, "tls": renew.Refused, "badCSR": renew.Refused,
		"badPublicKey": renew.Refused, "somethingNew": renew.Refused, "": renew.Transient,
	} {
		p := newProblem(&http.Response{StatusCode: 400, Header: http.Header{}}, []byte(`{"type":"`+errorPrefix+kind+`","detail":"x"}`))
		if got := p.class(); got != want {
			t.Errorf("%q is %s, not %s", kind, got, want)
		}
	}
}
