package issue

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

func (b *bench) advise(cert renew.Cert, held renew.Version) renew.Advice {
	b.t.Helper()
	advice, err := b.client.Advise(context.Background(), cert, held)
	if err != nil {
		b.t.Fatal(err)
	}
	return advice
}

// in tells whether at is about d from now.
func in(at time.Time, d time.Duration) bool {
	off := time.Until(at) - d
	return off > -10*time.Second && off < 10*time.Second
}

func TestAWindowIsTakenOver(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	got := b.advise(cert, held)
	ideal := held.NotAfter.Add(-held.Lifetime() / 3)
	if got.CertID != held.CertID || !got.Start.Before(ideal) || !got.End.After(ideal) {
		t.Errorf("%+v does not lie around %s", got, ideal)
	}
	if !got.Chosen.IsZero() || !in(got.PollAt, 6*time.Hour) {
		t.Errorf("%+v", got)
	}
	start := time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	b.ca.SetARI(b.leaf("www", 1).SerialNumber, acmetest.Window{Start: start, End: start.Add(time.Minute), Explanation: "https://ca.example/incident"})
	if got := b.advise(cert, held); !got.Start.Equal(start) || got.Explanation != "https://ca.example/incident" {
		t.Errorf("%+v", got)
	}
	b.ca.SetARI(b.leaf("www", 1).SerialNumber, acmetest.Window{})
	b.ca.Revoke(b.leaf("www", 1))
	if got := b.advise(cert, held); !got.End.Before(time.Now()) || got.End.IsZero() {
		t.Errorf("of a revoked one: %+v", got)
	}
}

func TestAShortCertificateIsAskedAboutOften(t *testing.T) {
	b := start(t, acmetest.Options{Validity: time.Minute})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	got := b.advise(cert, held)
	if d := time.Until(got.PollAt); d > 3*time.Second || d < time.Second {
		t.Errorf("asked again in %s", d)
	}
	mid := got.Start.Add(got.End.Sub(got.Start) / 2)
	if want := held.NotAfter.Add(-held.Lifetime() / 2); mid.Sub(want).Abs() > time.Second || got.End.Sub(got.Start) > 2*time.Second {
		t.Errorf("%s to %s of a certificate until %s", got.Start, got.End, held.NotAfter)
	}
}

func TestWhoIsNotAsked(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	for name, change := range map[string]func(*renew.Version){
		"expired":           func(v *renew.Version) { v.NotAfter = time.Now().Add(-time.Second) },
		"another directory": func(v *renew.Version) { v.Directory = "https://elsewhere.example/dir" },
		"no CertID":         func(v *renew.Version) { v.CertID = "" },
		"odd CertID":        func(v *renew.Version) { v.CertID = "../../x?y" },
	} {
		t.Run(name, func(t *testing.T) {
			before := b.ca.Counts().ARI
			v := held
			change(&v)
			got := b.advise(cert, v)
			if !got.Start.IsZero() || !got.End.IsZero() || got.PollAt.Before(time.Now()) {
				t.Errorf("%+v", got)
			}
			if b.ca.Counts().ARI != before {
				t.Error("the CA was asked")
			}
		})
	}
}

func TestTheQuestionIsABareGet(t *testing.T) {
	var asked *http.Request
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	f.set(instead(atARI, func(w http.ResponseWriter, r *http.Request) { asked = r }))
	b.advise(cert, held)
	if asked.Method != http.MethodGet || asked.URL.RawQuery != "" || asked.Header.Get("Authorization") != "" || asked.URL.Path != atARI+held.CertID {
		t.Errorf("%s %s %v", asked.Method, asked.URL, asked.Header)
	}
}

func TestACAWithoutRenewalInfo(t *testing.T) {
	f := new(faults)
	f.set(rewriting(atDirectory, func(body map[string]any, _ http.Header) { delete(body, "renewalInfo") }))
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	if got := b.advise(cert, held); !got.Start.IsZero() || !in(got.PollAt, 24*time.Hour) {
		t.Errorf("%+v", got)
	}
}

// A CA moves its endpoint: the cached directory must not make the agent deaf
// for as long as it runs.
func TestAnEndpointThatMovedIsFound(t *testing.T) {
	f := new(faults)
	f.set(rewriting(atDirectory, func(body map[string]any, _ http.Header) {
		body["renewalInfo"] = strings.Replace(text(body["renewalInfo"]), "draft-ietf-acme-ari-03", "old", 1)
	}))
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	f.set(nil)
	if got := b.advise(cert, held); got.Start.IsZero() {
		t.Errorf("%+v", got)
	}
}

func TestAnswersAboutRenewal(t *testing.T) {
	now := time.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	window := func(start, end, more string) string {
		return fmt.Sprintf(`{"suggestedWindow":{"start":%q,"end":%q}%s}`, start, end, more)
	}
	good := window(at(time.Hour), at(2*time.Hour), "")
	link := func(u string) string { return window(at(time.Hour), at(2*time.Hour), `,"explanationURL":`+u) }
	const none = time.Duration(0)
	for name, c := range map[string]struct {
		status int
		body   string
		retry  string
		window bool
		poll   time.Duration // none: an error
		link   string
	}{
		"a window":                {200, good, "3600", true, time.Hour, ""},
		"no Retry-After":          {200, good, "", true, 6 * time.Hour, ""},
		"a second":                {200, good, "1", true, time.Minute, ""},
		"zero":                    {200, good, "0", true, time.Minute, ""},
		"ten years":               {200, good, "315360000", true, 24 * time.Hour, ""},
		"negative":                {200, good, "-1", true, 6 * time.Hour, ""},
		"a date":                  {200, good, now.Add(2 * time.Hour).Format(http.TimeFormat), true, 2 * time.Hour, ""},
		"end before start":        {200, window(at(2*time.Hour), at(time.Hour), ""), "60", false, 6 * time.Hour, ""},
		"end at start":            {200, window(at(time.Hour), at(time.Hour), ""), "60", false, 6 * time.Hour, ""},
		"in the past":             {200, window(at(-2*time.Hour), at(-time.Hour), ""), "60", true, time.Minute, ""},
		"year 9999":               {200, window(at(0), "9999-12-31T23:59:59Z", ""), "60", true, time.Minute, ""},
		"year 10000":              {200, window(at(0), "10000-01-01T00:00:00Z", ""), "60", false, 6 * time.Hour, ""},
		"null":                    {200, "null", "60", false, 6 * time.Hour, ""},
		"empty":                   {200, "", "60", false, 6 * time.Hour, ""},
		"an empty object":         {200, "{}", "60", false, 6 * time.Hour, ""},
		"an array":                {200, "[]", "60", false, 6 * time.Hour, ""},
		"HTML":                    {200, "<html>", "60", false, 6 * time.Hour, ""},
		"cut off":                 {200, good[:30], "60", false, 6 * time.Hour, ""},
		"a window of numbers":     {200, `{"suggestedWindow":{"start":1,"end":2}}`, "", false, 6 * time.Hour, ""},
		"a window of null":        {200, `{"suggestedWindow":null}`, "", false, 6 * time.Hour, ""},
		"only a start":            {200, `{"suggestedWindow":{"start":"` + at(0) + `"}}`, "", false, 6 * time.Hour, ""},
		"only an end":             {200, `{"suggestedWindow":{"end":"` + at(0) + `"}}`, "", false, 6 * time.Hour, ""},
		"a huge body":             {200, good + strings.Repeat(" ", maxAdviceBody), "", false, 6 * time.Hour, ""},
		"deep nesting":            {200, strings.Repeat(`{"a":`, 20000), "", false, 6 * time.Hour, ""},
		"201":                     {201, good, "", false, 6 * time.Hour, ""},
		"204":                     {204, "", "", false, 6 * time.Hour, ""},
		"302":                     {302, "", "", false, 6 * time.Hour, ""},
		"404":                     {404, good, "", false, 6 * time.Hour, ""},
		"409":                     {409, good, "", false, 6 * time.Hour, ""},
		"429":                     {429, good, "7200", false, 2 * time.Hour, ""},
		"500":                     {500, good, "", false, none, ""},
		"503":                     {503, "<html>", "120", false, none, ""},
		"an explanation":          {200, link(`"https://ca.example/a"`), "", true, 6 * time.Hour, "https://ca.example/a"},
		"a script":                {200, link(`"javascript:alert(1)"`), "", true, 6 * time.Hour, ""},
		"an escape sequence":      {200, link(`"https://x/\u001b[31m"`), "", true, 6 * time.Hour, ""},
		"an endless explanation":  {200, link(`"https://x/` + strings.Repeat("y", 500) + `"`), "", true, 6 * time.Hour, ""},
		"an explanation of types": {200, link(`{"a":1}`), "", true, 6 * time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			held := renew.Version{N: 1, CertID: "a.b", NotBefore: now, NotAfter: now.Add(90 * 24 * time.Hour)}
			answer := &http.Response{StatusCode: c.status, Header: http.Header{}}
			if c.retry != "" {
				answer.Header.Set("Retry-After", c.retry)
			}
			got, err := interpret(answer, []byte(c.body), held, now)
			if (err != nil) != (c.poll == none) {
				t.Fatalf("%+v, %v", got, err)
			}
			if err != nil {
				return
			}
			if (!got.Start.IsZero()) != c.window || got.Explanation != c.link || got.CertID != "a.b" {
				t.Errorf("%+v", got)
			}
			if d := got.PollAt.Sub(now); d < c.poll-2*time.Second || d > c.poll+2*time.Second {
				t.Errorf("asked again in %s, not %s", d, c.poll)
			}
		})
	}
}

func TestServerErrorsAboutRenewalAreWorthAnotherTry(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware}, func(o *Options) { o.RequestTimeout = 2 * time.Second })
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	for name, c := range map[string]struct {
		h     http.HandlerFunc
		class renew.Class
	}{
		"500":       {answering(500, "text/html", "oops"), renew.Transient},
		"503 later": {answering(503, "text/html", "", "Retry-After", "60"), renew.Limited},
		"hangs":     {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, renew.Transient},
		"cut":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, renew.Transient},
	} {
		f.set(instead(atARI, c.h))
		_, err := b.client.Advise(context.Background(), cert, held)
		if renew.ClassOf(err) != c.class || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.set(instead(atARI, answering(302, "text/html", "", "Location", "https://elsewhere.example/")))
	if got := b.advise(cert, held); !in(got.PollAt, 6*time.Hour) {
		t.Errorf("a redirect elsewhere: %+v", got)
	}
	f.set(instead(atARI, endless))
	if got := b.advise(cert, held); !in(got.PollAt, 6*time.Hour) {
		t.Errorf("an endless body: %+v", got)
	}
}

func FuzzAnswerAboutRenewal(f *testing.F) {
	f.Add(200, "3600", []byte(`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"},"explanationURL":"https://x"}`))
	f.Add(404, "-1", []byte(`null`))
	f.Add(503, "x", []byte(`{"type":null}`))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	held := renew.Version{N: 1, CertID: "a.b", NotBefore: now, NotAfter: now.Add(time.Hour)}
	f.Fuzz(func(t *testing.T, status int, retry string, body []byte) {
		rec := httptest.NewRecorder()
		rec.Header().Set("Retry-After", retry)
		got, err := interpret(&http.Response{StatusCode: status, Header: rec.Header()}, body, held, now)
		if err != nil {
			if len(err.Error()) > maxMessage {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if !got.Start.IsZero() && !got.End.After(got.Start) {
			t.Errorf("%+v", got)
		}
		if d := got.PollAt.Sub(now); d < time.Second || d > 24*time.Hour {
			t.Errorf("asked again in %s", d)
		}
		if explanation(got.Explanation) != got.Explanation {
			t.Errorf("%q", got.Explanation)
		}
	})
}
