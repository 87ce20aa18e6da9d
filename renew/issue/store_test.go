package issue

import (
	"context"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/store"
)

var _ Books = (*store.Store)(nil)

// The fake of the other tests must not promise what the real books don't keep.
func TestIssuingIntoTheStateDirectory(t *testing.T) {
	s, err := store.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b := start(t, acmetest.Options{})
	b.opts.Books = s
	renewed := func(held renew.Version) renew.Version {
		client, err := New(b.opts)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		n, err := client.Issue(context.Background(), b.cert("www", "a.example.com"), held, renew.Lifetime)
		if err != nil {
			t.Fatal(err)
		}
		versions, err := s.Versions("www")
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range versions {
			if v.N == n && v.Usable() {
				return v
			}
		}
		t.Fatalf("version %d is not in %+v", n, versions)
		return renew.Version{}
	}
	one := renewed(renew.Version{})
	two := renewed(one)
	if one.N != 1 || two.N != 2 || two.Account != one.Account || two.Directory != b.issuer.Directory || two.CertID == "" {
		t.Errorf("%+v, then %+v", one, two)
	}
	if _, inFlight, _ := s.Order("www"); inFlight {
		t.Error("an order is still in flight")
	}
	if c := b.ca.Counts(); c.Accounts != 1 || c.NewOrders != 2 {
		t.Errorf("%+v", c)
	}
}
