package issue

import (
	"slices"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

func TestCertificatesOfEveryShapeAreIssued(t *testing.T) {
	b := start(t, acmetest.Options{})
	for name, names := range map[string][]string{
		"one":  {"a.example.com"},
		"many": {"a.example.com", "b.example.com", "c.example.com", "d.example.com"},
		"ip":   {"127.0.0.1"},
		"both": {"e.example.com", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			v := b.issue(b.cert(name, names...), renew.Version{})
			if !slices.Equal(v.Names, sorted(names...)) {
				t.Errorf("it is for %v, not %v", v.Names, names)
			}
			if v.Directory != b.issuer.Directory || v.Account == "" || v.Untrusted {
				t.Errorf("it was noted as %+v", v)
			}
			if _, inFlight, _ := b.books.Order(name); inFlight {
				t.Error("the order is still in flight")
			}
		})
	}
}
