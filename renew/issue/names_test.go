package issue

import (
	"slices"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

func TestAFailureSaysWhichNamesItIsAbout(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.ca.Unresolve("dead.example.com", true)
	f := b.refuse(b.cert("www", "www.example.com", "dead.example.com", "a.example.com"), renew.Version{})
	if !slices.Equal(f.Names, []string{"dead.example.com"}) {
		t.Errorf("got %q of %v", f.Names, f)
	}
}

func TestAnObjectionToOneIdentifierSaysWhich(t *testing.T) {
	var fault faults
	b := start(t, acmetest.Options{Middleware: fault.middleware})
	body := `{"type":"` + errorPrefix + `rejectedIdentifier","detail":"no","subproblems":[
		{"type":"` + errorPrefix + `rejectedIdentifier","detail":"blocked","identifier":{"type":"dns","value":"bad.example.com"}},
		{"type":"x","detail":"of another","identifier":{"type":"dns","value":"elsewhere.example"}}]}`
	fault.set(instead(atNewOrder, answering(400, "application/problem+json", body)))
	f := b.refuse(b.cert("www", "www.example.com", "bad.example.com"), renew.Version{})
	if !slices.Equal(f.Names, []string{"bad.example.com"}) {
		t.Errorf("got %q of %v", f.Names, f)
	}
}

func TestAFailureOfTheNetworkIsAboutNoName(t *testing.T) {
	var fault faults
	b := start(t, acmetest.Options{Middleware: fault.middleware}, func(o *Options) { o.OrderTimeout = 2 * time.Second })
	fault.set(instead(atAuthz, answering(503, "text/html", "busy")))
	if f := b.refuse(b.cert("www", "www.example.com", "a.example.com"), renew.Version{}); len(f.Names) > 0 {
		t.Errorf("got %q of %v", f.Names, f)
	}
}

func TestEnrollRegistersAndOrdersNothing(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "www.example.com")
	for range 2 {
		if err := b.client.Enroll(t.Context(), cert); err != nil {
			t.Fatal(err)
		}
	}
	a, found, err := b.books.Account(b.issuer.Directory, "")
	if err != nil || !found || a.URL == "" {
		t.Fatalf("account %+v, %v", a, err)
	}
	if c := b.ca.Counts(); c.NewOrders != 0 || c.Accounts != 1 {
		t.Errorf("%+v", c)
	}
	b.issuer.AgreeTerms = false
	b.books = newShelf()
	b.rebuild()
	err = b.client.Enroll(t.Context(), cert)
	if renew.ClassOf(err) != renew.Config {
		t.Errorf("without an agreement: %v", err)
	}
}
