package issue

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// disguise stands before a CA and changes what it answers; nil leaves it alone.
type disguise struct {
	change atomic.Pointer[func(w *httptest.ResponseRecorder)]
	asked  atomic.Int64 // for the directory
}

func (d *disguise) set(change func(w *httptest.ResponseRecorder)) { d.change.Store(&change) }

func (d *disguise) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/dir" {
			d.asked.Add(1)
		}
		change := d.change.Load()
		if change == nil || *change == nil {
			next.ServeHTTP(w, r)
			return
		}
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		(*change)(rec)
		for name, values := range rec.Header() {
			w.Header()[name] = values
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes())
	})
}

func (b *bench) standing() Standing {
	b.t.Helper()
	s, err := b.client.Standing(b.t.Context(), "test", 0)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestStandingOfACAThatIsWell(t *testing.T) {
	d := &disguise{}
	b := start(t, acmetest.Options{Middleware: d.wrap})
	s := b.standing()
	if s.Err != nil || s.AccountErr != nil || !s.Known || s.Account != "" || s.Agreed != "" {
		t.Errorf("before the first order: %+v", s)
	}
	if !slices.Equal(s.Identities, []string{"pebble.test"}) || !slices.Equal(s.Profiles, []string{"default"}) || s.Terms == "" {
		t.Errorf("of the directory: %+v", s)
	}
	if n := b.ca.Counts().Accounts; n != 0 {
		t.Errorf("%d accounts were registered", n)
	}
	b.issue(b.cert("www", "www.example.com"), renew.Version{})
	if s := b.standing(); s.Err != nil || s.AccountErr != nil || s.Account == "" || s.Agreed != s.Terms || s.Ahead.Abs() > time.Minute {
		t.Errorf("with an account: %+v", s)
	}
	before := d.asked.Load()
	for range 10 {
		if _, err := b.client.Standing(t.Context(), "test", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.asked.Load() - before; n != 0 {
		t.Errorf("the CA was asked %d times more", n)
	}
	if _, err := b.client.Standing(t.Context(), "nobody", 0); renew.ClassOf(err) != renew.Config {
		t.Errorf("an issuer that is not there: %v", err)
	}
}

func TestAQuestionTakesNoNonceThatAnOrderCountsOn(t *testing.T) {
	d := &disguise{}
	b := start(t, acmetest.Options{Middleware: d.wrap})
	b.issue(b.cert("www", "www.example.com"), renew.Version{})
	n := &b.client.sessions["test"].nonces
	before, ok := n.take()
	if !ok {
		t.Fatal("an order left no nonce")
	}
	n.put(before)
	d.set(func(w *httptest.ResponseRecorder) { w.Header().Del("Replay-Nonce") })
	if s := b.standing(); s.Err == nil {
		t.Error("a CA without nonces is in order")
	}
	if after, ok := n.take(); !ok || after != before {
		t.Errorf("the nonce is gone, there is %q", after)
	}
}

func TestStandingOfAnAccountThatIsGone(t *testing.T) {
	for name, lose := range map[string]func(b *bench, a store.Account){
		"deactivated": func(b *bench, a store.Account) {
			key, err := keypair.DecodeKey(a.Key)
			if err != nil {
				b.t.Fatal(err)
			}
			core, err := b.client.sessions["test"].job(b.t.Context()).core(a.URL, key)
			if err == nil {
				err = core.Accounts.Deactivate(a.URL)
			}
			if err != nil {
				b.t.Fatal(err)
			}
		},
		"unknown": func(b *bench, a store.Account) {
			a.URL += "0"
			if err := b.books.SaveAccount(a); err != nil {
				b.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, acmetest.Options{})
			b.issue(b.cert("www", "www.example.com"), renew.Version{})
			account, _, err := b.books.Account(b.issuer.Directory, "")
			if err != nil {
				t.Fatal(err)
			}
			lose(b, account)
			if s := b.standing(); !s.Refused() || s.Err != nil {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestStandingOfACAThatCannotBeHadKeepsWhatItSaid(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.standing()
	if err := b.ca.Stop(); err != nil {
		t.Fatal(err)
	}
	s := b.standing()
	if f, ok := errors.AsType[*renew.Failure](s.Err); !ok || f.Class != renew.Transient {
		t.Errorf("%v", s.Err)
	}
	if !s.Known || len(s.Identities) != 1 {
		t.Errorf("its last word is forgotten: %+v", s)
	}
	if err := b.ca.Restart(); err != nil {
		t.Fatal(err)
	}
	if s := b.standing(); s.Err != nil {
		t.Errorf("after it came back: %v", s.Err)
	}
}

func TestStandingTellsOfNewTermsUntilAnOrderIsPlacedUnderThem(t *testing.T) {
	d := &disguise{}
	b := start(t, acmetest.Options{Middleware: d.wrap})
	cert := b.cert("www", "www.example.com")
	held := b.issue(cert, renew.Version{})
	old := b.standing().Terms
	d.set(func(w *httptest.ResponseRecorder) {
		text := strings.Replace(w.Body.String(), old, "https://ca.test/terms-v2.pdf", 1)
		w.Body = bytes.NewBufferString(text)
	})
	if s := b.standing(); s.Agreed != old || s.Terms != "https://ca.test/terms-v2.pdf" {
		t.Errorf("%+v", s)
	}
	b.issue(cert, held)
	if s := b.standing(); s.Agreed != s.Terms || s.Agreed == old {
		t.Errorf("after another order: %+v", s)
	}
}

func TestTheCAsClockIsReadFromItsAnswers(t *testing.T) {
	d := &disguise{}
	b := start(t, acmetest.Options{Middleware: d.wrap})
	for date, want := range map[string]time.Duration{
		time.Now().Add(time.Hour).UTC().Format(http.TimeFormat):  time.Hour,
		time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat): -time.Hour,
		"yesterday": 0,
	} {
		d.set(func(w *httptest.ResponseRecorder) { w.Header().Set("Date", date) })
		if s := b.standing(); (s.Ahead - want).Abs() > time.Minute {
			t.Errorf("%s: %s ahead, want %s", date, s.Ahead, want)
		}
	}
	kept := http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}, "Age": {"3600"}}
	if ahead := clockAhead(kept, time.Now()); ahead.Abs() > time.Minute {
		t.Errorf("an answer that a cache kept for an hour: %s ahead", ahead)
	}
}

func TestATokenIsPublishedByTheSolverThatAnswersTheCA(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "www.example.com")
	withdraw, err := b.client.Publish(cert, "token_1", "hello")
	if err != nil {
		t.Fatal(err)
	}
	get := func() (int, string) {
		rec := httptest.NewRecorder()
		b.responder.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, challengePath+"token_1", nil))
		return rec.Code, rec.Body.String()
	}
	if code, text := get(); code != http.StatusOK || text != "hello" {
		t.Errorf("%d %q", code, text)
	}
	withdraw()
	if code, _ := get(); code != http.StatusNotFound {
		t.Errorf("withdrawn, and it answers %d", code)
	}
	for _, bad := range []string{"", "../x", strings.Repeat("a", 200)} {
		if _, err := b.client.Publish(cert, bad, "hello"); err == nil {
			t.Errorf("token %q was published", bad)
		}
	}
	cert.Solver = "http.other"
	if _, err := b.client.Publish(cert, "token_1", "hello"); renew.ClassOf(err) != renew.Config {
		t.Errorf("by a solver that is not there: %v", err)
	}
}
