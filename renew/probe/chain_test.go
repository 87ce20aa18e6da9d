package probe

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAChainIsToldAsItWasSent(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	leaf := a.issue(t, soon(), "www.example.com").Leaf
	long := a.issue(t, time.Now().Add(48*time.Hour+time.Minute), "www.example.com").Leaf
	gone := renewed(t, a, time.Now().Add(-3*time.Hour))
	for _, tt := range []struct {
		name  string
		chain []*x509.Certificate
		want  []string
		ends  time.Time
	}{
		{"as it should be", []*x509.Certificate{leaf, a.inter}, nil, leaf.NotAfter},
		{"no intermediate", []*x509.Certificate{leaf}, []string{"no intermediate: the certificate of CN=test intermediate was not sent"}, leaf.NotAfter},
		{"with its root", []*x509.Certificate{leaf, a.inter, a.root}, []string{"the root was sent too"}, leaf.NotAfter},
		{"out of order", []*x509.Certificate{leaf, a.root, a.inter}, []string{"not in order", "the root was sent too"}, leaf.NotAfter},
		{"another CA's", []*x509.Certificate{leaf, foreign.inter}, []string{"no intermediate", "certificate 1, test intermediate, is not in the leaf's chain"}, leaf.NotAfter},
		{"an intermediate that ends first", []*x509.Certificate{long, a.inter}, []string{"the intermediate test intermediate ends before the leaf, in 23 hours"}, a.inter.NotAfter},
		{"an expired intermediate", []*x509.Certificate{leaf, gone}, []string{"the intermediate test intermediate expired 3 hours ago"}, gone.NotAfter},
		{"signed by itself", []*x509.Certificate{a.root}, nil, a.root.NotAfter},
		{"twice the leaf", []*x509.Certificate{leaf, again(t, leaf), a.inter}, nil, leaf.NotAfter},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := oddities(tt.chain, time.Now())
			if !slices.EqualFunc(got, tt.want, strings.Contains) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if end := ends(tt.chain); !end.Equal(tt.ends) {
				t.Errorf("it ends %v, want %v", end, tt.ends)
			}
		})
	}
}

// renewed is the authority's intermediate with another end.
func renewed(t *testing.T, a authority, end time.Time) *x509.Certificate {
	t.Helper()
	return sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: "test intermediate"},
		NotBefore: end.Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, a.root, &a.key.PublicKey, a.rootKey)
}

func again(t *testing.T, c *x509.Certificate) *x509.Certificate {
	t.Helper()
	same, err := x509.ParseCertificate(c.Raw)
	if err != nil {
		t.Fatal(err)
	}
	return same
}
