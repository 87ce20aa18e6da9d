package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
)

// Without a rule the client notices nothing, and the proxy knows of every call
// what it was to and whose.
func TestEveryCallIsKnown(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{})
	h := w.host(p)
	cert := h.cert("www", "a.example.com", "b.example.com")
	held, err := h.issued(cert, renew.Version{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.client.Advise(t.Context(), cert, held); err != nil {
		t.Fatal(err)
	}
	past := p.History()
	var met []faultproxy.Kind
	for i, e := range past {
		met = append(met, e.Kind)
		if e.N != i+1 || e.Verdict != faultproxy.Passed || e.Asked != 1 || e.CA != e.Status || e.Status == 0 {
			t.Errorf("%+v", e)
		}
		switch e.Kind {
		case faultproxy.Directory, faultproxy.NewNonce:
			continue
		case faultproxy.NewAccount:
		case faultproxy.Authz, faultproxy.Challenge:
			if len(e.Names) == 0 || !slices.Contains(cert.Names, e.Names[0]) {
				t.Errorf("%s is of %v", e.Kind, e.Names)
			}
		default:
			if !slices.Equal(e.Names, cert.Names) {
				t.Errorf("%s is of %v", e.Kind, e.Names)
			}
		}
		if e.Kind != faultproxy.RenewalInfo && e.Account != held.Account {
			t.Errorf("%s is of the account %q, not %q", e.Kind, e.Account, held.Account)
		}
	}
	for _, kind := range append(faultproxy.Issuing(), faultproxy.RenewalInfo) {
		if !slices.Contains(met, kind) {
			t.Errorf("no call was to %s: %v", kind, met)
		}
	}
	if breaches := past.Check(); len(breaches) > 0 {
		t.Error(breaches)
	}
	if past.Orders("b.example.com") != 1 || past.Orders("c.example.com") != 0 {
		t.Error("the orders are miscounted")
	}
}

func TestARuleActsOnWhatItNames(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{})
	h := w.host(p)
	one, two := h.cert("one", "a.example.com"), h.cert("two", "b.example.com")
	held, err := h.issued(one, renew.Version{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	no := faultproxy.Problem(403, "caa", "no")
	for name, c := range map[string]struct {
		rule     faultproxy.Rule
		one, two bool // refused
	}{
		"the name":           {faultproxy.Rule{Kind: faultproxy.NewOrder, Name: "a.example.com", Do: no}, true, false},
		"another name":       {faultproxy.Rule{Kind: faultproxy.NewOrder, Name: "c.example.com", Do: no}, false, false},
		"the account":        {faultproxy.Rule{Kind: faultproxy.Finalize, Account: held.Account, Do: no}, true, true},
		"another account":    {faultproxy.Rule{Kind: faultproxy.Finalize, Account: held.Account + "x", Do: no}, false, false},
		"the first":          {faultproxy.Rule{Kind: faultproxy.NewOrder, Times: 1, Do: no}, true, false},
		"from the second":    {faultproxy.Rule{Kind: faultproxy.NewOrder, From: 2, Do: no}, false, true},
		"two from the first": {faultproxy.Rule{Kind: faultproxy.NewOrder, From: 1, Times: 2, Do: no}, true, true},
	} {
		p.Set(c.rule)
		for _, attempt := range []struct {
			cert    renew.Cert
			refused bool
		}{{one, c.one}, {two, c.two}} {
			if err := h.issue(t.Context(), attempt.cert, renew.Version{}); (err != nil) != attempt.refused {
				t.Errorf("%s: %s: %v", name, attempt.cert.Name, err)
			}
		}
	}
}

// A CA moves its endpoints while the client has the old directory.
func TestADirectoryThatWasRotatedIsReadAgain(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{})
	h := w.host(p)
	cert := h.cert("www", "a.example.com")
	held, err := h.issued(cert, renew.Version{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		before := len(p.History())
		p.RotateDirectory()
		if err := h.issue(t.Context(), cert, renew.Version{}); err != nil {
			t.Fatal(err)
		}
		p.RotateDirectory()
		if advice, err := h.client.Advise(t.Context(), cert, held); err != nil || advice.Start.IsZero() {
			t.Errorf("%+v, %v", advice, err)
		}
		moved := 0
		for _, e := range p.History()[before:] {
			if e.Verdict == "moved away" && e.Status == http.StatusNotFound {
				moved++
			}
		}
		if moved == 0 {
			t.Error("nothing was asked where it was before: the test looks at nothing")
		}
	}
}

func TestAnOrderHeldInProcessingIsWaitedFor(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{Rules: []faultproxy.Rule{{Do: faultproxy.Hold(4)}}})
	h := w.host(p)
	if _, err := h.issued(h.cert("www", "a.example.com"), renew.Version{}, 1); err != nil {
		t.Fatal(err)
	}
	if n := p.History().Count(faultproxy.Order, http.StatusOK); n != 5 {
		t.Errorf("the order was read %d times", n)
	}
	if n := p.History().Orders(""); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// What a CA forgets is ordered anew, in the same attempt where there is one in
// flight.
func TestAForgottenOrderIsPlacedAgain(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{})
	h := w.host(p)
	h.start()
	cert := h.cert("www", "a.example.com")
	ctx, crash := context.WithCancel(t.Context())
	p.Set(faultproxy.Rule{Kind: faultproxy.Authz, Do: faultproxy.Tell(crash, faultproxy.Drop())})
	if err := h.issue(ctx, cert, renew.Version{}); err == nil {
		t.Fatal("it issued")
	}
	p.Set(faultproxy.Rule{Kind: faultproxy.Order, Times: 1, Do: faultproxy.Forget()})
	if _, err := h.issued(cert, renew.Version{}, 1); err != nil {
		t.Fatal(err)
	}
	if n := p.History().Orders("a.example.com"); n != 2 {
		t.Errorf("%d orders", n)
	}
}

// A network that repeats what it carries: the CA sees each request twice.
func TestARepeatedRequestDoesNoHarm(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{Rules: []faultproxy.Rule{{Do: faultproxy.Duplicate()}}})
	h := w.host(p)
	if _, err := h.issued(h.cert("www", "a.example.com"), renew.Version{}, 1); err != nil {
		t.Fatal(err)
	}
	for _, e := range p.History() {
		if e.Asked != 2 {
			t.Errorf("%s was sent on %d times", e.Kind, e.Asked)
		}
	}
}

// What an issuer never calls is known too.
func TestRevocationIsKnown(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{Rules: []faultproxy.Rule{{Kind: faultproxy.Revoke, Do: faultproxy.Status(500, "", "no")}}})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.TrustPEM())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Timeout: 10 * time.Second}
	answer, err := client.Get(p.DirectoryURL())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var dir struct{ RevokeCert, KeyChange string }
	if err := json.NewDecoder(answer.Body).Decode(&dir); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{dir.RevokeCert, dir.KeyChange} {
		answer, err := client.Post(link, "application/jose+json", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	past := p.History()
	if n := len(past); n != 3 || past[1].Kind != faultproxy.Revoke || past[1].Status != 500 || past[1].Asked != 0 || past[2].Kind != faultproxy.KeyChange {
		t.Errorf("%+v", past)
	}
}

func TestTheSameSeedAltersInTheSameWay(t *testing.T) {
	body := []byte(`{"suggestedWindow":{"start":"2026-01-02T04:00:00Z","end":"2026-01-03T04:00:00Z"}}`)
	one, two, other := faultproxy.NewMutator(1), faultproxy.NewMutator(1), faultproxy.NewMutator(2)
	differ := 0
	for range 200 {
		a, b, c := one.Mutate(body), two.Mutate(body), other.Mutate(body)
		if !bytes.Equal(a, b) {
			t.Fatalf("%q and %q", a, b)
		}
		if !bytes.Equal(a, c) {
			differ++
		}
	}
	if differ < 150 {
		t.Errorf("another seed altered %d of 200 in another way", differ)
	}
}
