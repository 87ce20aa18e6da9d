package prober

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// authority is a root and an intermediate that issue whatever a test asks for.
type authority struct {
	roots        *x509.CertPool
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
		}
	}
	rootKey, key := newKey(t), newKey(t)
	root := sign(t, ca("root"), ca("root"), rootKey, rootKey)
	between := sign(t, ca("intermediate"), root, key, rootKey)
	pool := x509.NewCertPool()
	pool.AddCert(root)
	return authority{roots: pool, intermediate: between, key: key}
}

// leaf issues a certificate for name, valid from and until the given distances
// from now.
func (a authority) leaf(t *testing.T, name string, from, until time.Duration) tls.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	cert := sign(t, &x509.Certificate{
		SerialNumber: serial, DNSNames: []string{name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until), KeyUsage: x509.KeyUsageDigitalSignature,
	}, a.intermediate, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw, a.intermediate.Raw}, PrivateKey: key}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, cert, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), by)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// server answers with whatever certificate it holds at the moment.
type server struct {
	address  string
	listener net.Listener
	holds    atomic.Pointer[tls.Certificate]
}

func serve(t *testing.T, address string, c tls.Certificate) *server {
	t.Helper()
	s := &server{}
	s.holds.Store(&c)
	l, err := tls.Listen("tcp", address, &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.holds.Load(), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.listener, s.address = l, l.Addr().String()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(io.Discard, conn) // reading makes the handshake happen
			}()
		}
	}()
	return s
}

// probing runs a prober of one target until the test ends.
func probing(t *testing.T, target Target, roots *x509.CertPool) *Prober {
	t.Helper()
	p, err := New(Options{Targets: []Target{target}, Roots: roots, Every: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return p
}

// await fails the test where ok does not come true.
func await(t *testing.T, p *Prober, what string, ok func(Record) bool) Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := p.Await(ctx, func(r Report) bool { return ok(r.Records[0]) })
	if err != nil {
		t.Fatalf("waiting for %s: %v; counted %+v", what, err, r.Records[0])
	}
	return r.Records[0]
}
