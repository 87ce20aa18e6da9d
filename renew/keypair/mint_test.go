package keypair

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// noon is the moment at which all of these tests play.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

var serials atomic.Int64

// ca is an authority of the tests, true or lying.
type ca struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// change alters a template before it is signed.
type change func(*x509.Certificate)

func newKey(t testing.TB, kind renew.KeyType) crypto.Signer {
	t.Helper()
	key, err := GenerateKey(kind)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign makes a certificate of whatever the template says; a nil issuer signs
// with the certificate's own key.
func sign(t testing.TB, template *x509.Certificate, pub crypto.PublicKey, issuer *ca) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.cert, pub, issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func authority(name string, changes ...change) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1000 + serials.Add(1)),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             noon.Add(-365 * day),
		NotAfter:              noon.Add(5 * 365 * day),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	for _, c := range changes {
		c(template)
	}
	return template
}

func newRoot(t testing.TB, name string, changes ...change) *ca {
	t.Helper()
	key := newKey(t, renew.EC256)
	template := authority(name, changes...)
	return &ca{sign(t, template, key.Public(), &ca{template, key}), key}
}

// under makes an intermediate of c.
func (c *ca) under(t testing.TB, name string, changes ...change) *ca {
	t.Helper()
	key := newKey(t, renew.EC256)
	return &ca{sign(t, authority(name, changes...), key.Public(), c), key}
}

// leaf makes the certificate of a server for example.com and www.example.com.
func (c *ca) leaf(t testing.TB, pub crypto.PublicKey, changes ...change) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(0x8000 + serials.Add(1)),
		DNSNames:              []string{"example.com", "www.example.com"},
		NotBefore:             noon.Add(-day),
		NotAfter:              noon.Add(89 * day),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, f := range changes {
		f(template)
	}
	return sign(t, template, pub, c)
}

func poolOf(certs ...*x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range certs {
		pool.AddCert(c)
	}
	return pool
}

func named(names ...string) change {
	return func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = nil, nil
		for _, n := range names {
			if ip := net.ParseIP(n); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
				continue
			}
			c.DNSNames = append(c.DNSNames, n)
		}
	}
}

func valid(from, to time.Duration) change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = noon.Add(from), noon.Add(to) }
}

func critical(oid ...int) change {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oid, Critical: true, Value: []byte{5, 0}})
	}
}

func usages(all ...x509.ExtKeyUsage) change {
	return func(c *x509.Certificate) { c.ExtKeyUsage = all }
}

func block(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// chainOf writes an answer as a CA would.
func chainOf(certs ...*x509.Certificate) string { return string(EncodeCertificates(certs...)) }
