package keypair

import (
	"crypto/x509"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

func TestRevocableOf(t *testing.T) {
	root := newRoot(t, "root")
	mid := root.under(t, "mid")
	key := newKey(t, renew.EC256)
	at := func(points ...string) change {
		return func(c *x509.Certificate) { c.CRLDistributionPoints = points }
	}
	const good = "http://ca.example/7.crl"
	for _, tc := range []struct {
		name  string
		chain string
		want  string // the URL; empty: it can't be found out
	}{
		{"by HTTP", chainOf(mid.leaf(t, key.Public(), at(good)), mid.cert), good},
		{"the first that is asked by HTTP", chainOf(mid.leaf(t, key.Public(), at("ldap://ca.example/cn=x", good, "https://ca.example/8.crl")), mid.cert), good},
		{"none", chainOf(mid.leaf(t, key.Public()), mid.cert), ""},
		{"a file", chainOf(mid.leaf(t, key.Public(), at("file:///etc/passwd")), mid.cert), ""},
		{"with a password", chainOf(mid.leaf(t, key.Public(), at("http://u:p@ca.example/")), mid.cert), ""},
		{"too long", chainOf(mid.leaf(t, key.Public(), at("http://ca.example/"+strings.Repeat("x", 500))), mid.cert), ""},
		{"nobody who could have signed the list", chainOf(mid.leaf(t, key.Public(), at(good))), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pem, err := EncodeKey(key)
			if err != nil {
				t.Fatal(err)
			}
			pair, err := Parse(pem, []byte(tc.chain))
			if err != nil || pair.CRL != tc.want || pair.Fill(renew.Version{}).CRL != tc.want {
				t.Errorf("%v, %q", err, pair.CRL)
			}
			r, err := RevocableOf([]byte(tc.chain))
			if (err == nil) != (tc.want != "") || r.URL != tc.want {
				t.Errorf("%v, %+v", err, r)
			}
			if err == nil && (!r.Issuer.Equal(mid.cert) || r.Serial.Sign() <= 0) {
				t.Errorf("%+v", r)
			}
		})
	}
}
