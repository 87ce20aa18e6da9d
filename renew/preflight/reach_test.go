package preflight

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/probe"
)

// site is what answers at the http-01 port, until the test ends.
type site struct {
	http.Handler
	address netip.AddrPort
	tokens  map[string]string
}

// serve puts a site before the world's names, on a free port that the issuer is
// told to look at; handler nil is one that serves the tokens.
func (w *world) serve(handler http.Handler) *site {
	w.t.Helper()
	s := &site{Handler: handler, tokens: map[string]string{}}
	if handler == nil {
		s.Handler = http.HandlerFunc(s.token)
	}
	server := httptest.NewServer(s)
	w.t.Cleanup(server.Close)
	s.address = netip.MustParseAddrPort(server.Listener.Addr().String())
	w.cfg.Solvers = map[string]config.Solver{"http.main": {Type: "http", Name: "main"}}
	w.cert.Solver = "http.main"
	le := w.cfg.Issuers["le"]
	le.HTTPPort = int(s.address.Port())
	w.cfg.Issuers["le"] = le
	w.ca.publish = func(token, answer string) (func(), error) {
		s.tokens[token] = answer
		return func() { delete(s.tokens, token) }, nil
	}
	return s
}

func (s *site) token(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	answer, ok := s.tokens[token]
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintln(w, answer) // with a line end, as an editor's file has it
}

func TestATokenThatComesBackIsNoObstacle(t *testing.T) {
	w := newWorld(t, "www.example.com", "example.com", "127.0.0.1")
	s := w.serve(nil)
	w.finds()
	if len(s.tokens) != 0 {
		t.Errorf("left behind: %v", s.tokens)
	}
}

func TestEachFamilyIsLookedAtOnItsOwn(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.serve(nil) // on 127.0.0.1 alone
	w.zone.Set("www.example.com", "A 127.0.0.1", "AAAA ::1")
	tells(t, w.finds("address-dead www.example.com AAAA"), "[::1]:", "while others do")
	w.zone.Set("www.example.com", "A 127.0.0.1", "A 127.9.9.9", "AAAA ::1")
	w.finds("address-dead www.example.com AAAA", "address-dead www.example.com A")
	w.zone.Set("www.example.com", "A 127.9.9.9", "AAAA ::1")
	tells(t, w.finds("port-80-unreachable www.example.com"), "127.9.9.9:", "[::1]:", "connection refused")
}

func TestWhateverAnswersInPlaceOfTheTokenIsShown(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request)
		tells  []string
	}{
		"an application's page": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!doctype html><title>Shop") }, []string{"200 OK", "text/html", "<!doctype html>"}},
		"a password": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="staff"`)
			w.WriteHeader(http.StatusUnauthorized)
		}, []string{"401", "wants a password", "staff"}},
		"not found":                    {http.NotFound, []string{"404"}},
		"a redirect to another site":   {http.RedirectHandler("http://login.example.net/", http.StatusFound).ServeHTTP, []string{"302", "login.example.net", "no name of this certificate"}},
		"a redirect to another port":   {http.RedirectHandler("http://www.example.com:1/", http.StatusFound).ServeHTTP, []string{"ports 80 and 443"}},
		"a redirect to another world":  {http.RedirectHandler("ftp://www.example.com/", http.StatusFound).ServeHTTP, []string{"neither http nor https"}},
		"a redirect to the host's own": {http.RedirectHandler("http://127.0.0.1/", http.StatusFound).ServeHTTP, []string{"no name of this certificate"}},
		"a circle":                     {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, []string{"more than 10 times"}},
		"control characters": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "\x1b]0;pwned\x07\u202e"+strings.Repeat("x", 10000))
		}, []string{`\x1b]0;pwned\a\u202e`}},
		"silence": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, []string{"answers no HTTP", "EOF"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "www.example.com")
			w.serve(http.HandlerFunc(tc.answer))
			found := w.finds("challenge-unanswered www.example.com")
			tells(t, found, tc.tells...)
			if d := found[0].Detail; strings.ContainsAny(d, "\x1b\x07\u202e") || len(d) > 2000 {
				t.Errorf("not fit to be shown (%d bytes): %q", len(d), d)
			}
		})
	}
}

func TestARedirectToTheNamesOwnHTTPSIsFollowed(t *testing.T) {
	w := newWorld(t, "example.com", "www.example.com")
	var s *site
	secure := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { s.token(rw, r) }))
	defer secure.Close()
	s = w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "https://www.example.com"+r.URL.Path, http.StatusMovedPermanently)
	}))
	k := w.checker()
	k.httpsPort = netip.MustParseAddrPort(secure.Listener.Addr().String()).Port()
	if found := k.Check(t.Context(), w.cert, w.facts, 0); len(found) > 0 {
		t.Errorf("what CAs follow is told of: %v", found)
	}
	secure.Close()
	found := k.Check(t.Context(), w.cert, w.facts, 0)
	for _, o := range found {
		// The address that the name has does answer, so it is not a dead one.
		if o.Reason != renew.ChallengeUnanswered || !strings.Contains(o.Detail, "where nothing answers") {
			t.Errorf("%+v", o)
		}
	}
	if len(found) != 2 {
		t.Errorf("%d obstacles for two names: %v", len(found), found)
	}
}

func TestASolverThatCannotPublishIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.serve(nil)
	w.ca.publish = func(string, string) (func(), error) {
		return nil, &renew.Failure{Class: renew.Local, Err: errors.New("listening on :80: the port is taken by apache2 (pid 7)")}
	}
	tells(t, w.finds("solver-unusable solver http.main"), "apache2")
}

func TestANameThatLeadsNowhereIsNotFetched(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.serve(nil)
	w.zone.Set("www.example.com")
	w.finds("no-address www.example.com")
}

func TestEveryPortThatAnIssuerLooksAtIsTried(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.serve(nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	w.cfg.Issuers["other"] = config.Issuer{Name: "other", HTTPPort: closed}
	w.cert.Issuers = append(w.cert.Issuers, renew.Issuer{Name: "other"})
	tells(t, w.finds("port-80-unreachable www.example.com"), fmt.Sprint(closed))
}

func TestAnAddressWithoutARouteIsNotCalledDead(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	other := netip.MustParseAddr("2001:db8::2")
	noRoute, silent := &deadError{syscall.ENETUNREACH}, &deadError{probe.ErrNoAnswer}
	for _, tc := range []struct {
		name      string
		addresses []netip.Addr
		errs      []error
		want      []string
	}{
		{"all answer", []netip.Addr{four, six}, []error{nil, nil}, nil},
		{"no route to one", []netip.Addr{four, six}, []error{nil, noRoute}, []string{"address-unseen www.example.com AAAA"}},
		{"one is silent", []netip.Addr{four, six}, []error{nil, silent}, []string{"address-dead www.example.com AAAA"}},
		{"one is silent, to another there is no route", []netip.Addr{four, six, other}, []error{nil, silent, noRoute}, []string{"address-dead www.example.com AAAA"}},
		{"no route to any", []netip.Addr{six}, []error{noRoute}, []string{"port-80-unreachable www.example.com"}},
		{"one is silent, one answers nonsense", []netip.Addr{four, six}, []error{errors.New("answers 404"), silent},
			[]string{"address-dead www.example.com AAAA", "challenge-unanswered www.example.com"}},
	} {
		var got []string
		for _, o := range verdict("www.example.com", 80, tc.addresses, tc.errs) {
			got = append(got, string(o.Reason)+" "+o.Subject)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}
