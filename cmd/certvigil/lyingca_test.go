package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// liar stands in for the CA where certificates are downloaded, and signs what no
// CA would, under a root of its own that the agent trusts.
type liar struct {
	t    *testing.T
	root *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex // guards what follows
	asked  *x509.CertificateRequest
	change func(leaf *x509.Certificate, key *any) // nil leaves it to the CA
}

func newLiar(h *host) *liar {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(h.t, err)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "liar"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	must(h.t, err)
	root, err = x509.ParseCertificate(der)
	must(h.t, err)
	trust := append(h.ca.TrustPEM(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	must(h.t, os.WriteFile(h.cfg.Trust, trust, 0o644))
	return &liar{t: h.t, root: root, key: key}
}

// behave reads the request of every order, and answers downloads with a lie.
func (l *liar) behave(kind string, w http.ResponseWriter, r *http.Request, next http.Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case kind == toFinalize:
		body, _ := io.ReadAll(r.Body) // of our own agent
		r.Body = io.NopCloser(bytes.NewReader(body))
		l.asked = requestIn(body)
		next.ServeHTTP(w, r)
	case kind == toDownload && l.change != nil && l.asked != nil:
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		_, _ = w.Write(l.lie())
	default:
		next.ServeHTTP(w, r)
	}
}

// requestIn takes the PKCS#10 request out of a signed finalize.
func requestIn(body []byte) *x509.CertificateRequest {
	var jws struct{ Payload string }
	var payload struct{ CSR string }
	_ = json.Unmarshal(body, &jws)
	text, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	_ = json.Unmarshal(text, &payload)
	der, _ := base64.RawURLEncoding.DecodeString(payload.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil
	}
	return csr
}

// lie makes the certificate that was asked for, but for the change.
func (l *liar) lie() []byte {
	now := time.Now()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	leaf := &x509.Certificate{
		SerialNumber: serial, DNSNames: l.asked.DNSNames, NotBefore: now.Add(-time.Second), NotAfter: now.Add(time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	key := any(l.asked.PublicKey)
	l.change(leaf, &key)
	der, err := x509.CreateCertificate(rand.Reader, leaf, l.root, key, l.key)
	if err != nil {
		l.t.Errorf("lying: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (l *liar) set(change func(leaf *x509.Certificate, key *any)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.change = change
}

func TestALyingCertificateIsRefusedBeforeAnythingPointsAtIt(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	l := newLiar(h)
	h.gate.set(l.behave)
	// Without a change it is taken: what follows is refused for its lie alone.
	l.set(func(*x509.Certificate, *any) {})
	h.start()
	h.served("www", 1)
	for _, c := range []struct {
		name, says string
		change     func(leaf *x509.Certificate, key *any)
	}{
		{"other key", "other-key", func(_ *x509.Certificate, key *any) {
			other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			must(t, err)
			*key = other.Public()
		}},
		{"expired", "leaf-expired", func(leaf *x509.Certificate, _ *any) {
			leaf.NotBefore, leaf.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(-time.Minute)
		}},
		{"other names", "wrong-names", func(leaf *x509.Certificate, _ *any) {
			leaf.DNSNames = []string{"evil.example.com"}
		}},
	} {
		was := h.cert("www")
		orders := h.ca.Orders()
		l.set(c.change)
		h.request("www")
		if f := h.troubled(); f.Class != "refused" || !strings.Contains(f.Message, c.says) {
			t.Errorf("%s: %s, %q", c.name, f.Class, f.Message)
		}
		now := h.cert("www")
		if now.Version != was.Version || now.Live != was.Live || h.fingerprint("www.example.com") != was.Fingerprint {
			t.Errorf("%s: version %d is held, %d live, where %d was", c.name, now.Version, now.Live, was.Version)
		}
		versions, err := os.ReadDir(filepath.Join(h.cfg.State, "certs", "www", "versions"))
		must(t, err)
		if len(versions) != was.Version {
			t.Errorf("%s: %d versions on disk, %d of them whole", c.name, len(versions), was.Version)
		}
		if n := h.ca.Orders() - orders; n > 2 {
			t.Errorf("%s: %d orders", c.name, n)
		}
		l.set(nil)
		h.served("www", was.Version+1)
	}
}
