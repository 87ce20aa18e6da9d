package keypair

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

func TestForeign(t *testing.T) {
	root := newRoot(t, "root")
	mid := root.under(t, "mid")
	key, other := newKey(t, renew.EC256), newKey(t, renew.RSA2048)
	keyPEM := func(k any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(block("PRIVATE KEY", der))
	}
	stranger := newRoot(t, "stranger")
	for _, tc := range []struct {
		name  string
		key   []byte
		chain string
		want  string // in the error; empty: it is good
	}{
		{"good", keyPEM(key), chainOf(mid.leaf(t, key.Public()), mid.cert), ""},
		{"with its root", keyPEM(key), chainOf(mid.leaf(t, key.Public()), mid.cert, root.cert), ""},
		{"an RSA key", keyPEM(other), chainOf(mid.leaf(t, other.Public()), mid.cert), ""},
		{"a name more", keyPEM(key), chainOf(mid.leaf(t, key.Public(), named("example.com", "www.example.com", "x.example")), mid.cert), ""},
		{"a wildcard", keyPEM(key), chainOf(mid.leaf(t, key.Public(), named("example.com", "*.example.com")), mid.cert), ""},
		{"a name less", keyPEM(key), chainOf(mid.leaf(t, key.Public(), named("example.com")), mid.cert), `it is not for "www.example.com"`},
		{"another key", keyPEM(other), chainOf(mid.leaf(t, key.Public()), mid.cert), "the key is not that of"},
		{"no key", nil, chainOf(mid.leaf(t, key.Public()), mid.cert), "there is none in it"},
		{"expired", keyPEM(key), chainOf(mid.leaf(t, key.Public(), valid(-90*day, -time.Second)), mid.cert), "it expired on"},
		{"not yet valid", keyPEM(key), chainOf(mid.leaf(t, key.Public(), valid(day, 90*day)), mid.cert), "valid only from"},
		{"no chain", keyPEM(key), chainOf(mid.leaf(t, key.Public())), "not a root that is trusted here"},
		{"an unknown root", keyPEM(key), chainOf(stranger.leaf(t, key.Public()), stranger.cert), "not a root that is trusted here"},
		{"signed by itself", keyPEM(key), chainOf(sign(t, mid.leaf(t, key.Public()), key.Public(), &ca{mid.leaf(t, key.Public()), key})), "not a root that is trusted here"},
		{"a client's", keyPEM(key), chainOf(mid.leaf(t, key.Public(), usages(x509.ExtKeyUsageClientAuth)), mid.cert), "extended key usage"},
		{"half of a file", keyPEM(key), chainOf(mid.leaf(t, key.Public()), mid.cert)[:700], "are whole"},
		{"nothing", keyPEM(key), "", "there is no certificate in it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, pair, err := Foreign(tc.key, []byte(tc.chain), Want{
				Names: []string{"example.com", "www.example.com"}, Now: noon, Roots: poolOf(root.cert), System: x509.NewCertPool(),
			})
			if tc.want != "" {
				if err == nil || !strings.Contains(err.Error(), tc.want) {
					t.Errorf("%v, want %q in it", err, tc.want)
				}
				return
			}
			if err != nil || pair.Fingerprint == "" || got.Pair.Fingerprint != pair.Fingerprint || got.Untrusted || len(got.Chain) == 0 {
				t.Errorf("%v, %+v", err, got.Pair)
			}
		})
	}
}
