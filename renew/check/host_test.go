package check

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

const (
	day       = 24 * time.Hour
	directory = "https://ca.example/dir"
	name      = "www.example.com"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var serials atomic.Int64

// pair is a certificate with its key and the CA's, as a version and as a server
// has it.
type pair struct {
	bundle store.Bundle
	served *tls.Certificate
	leaf   *x509.Certificate
}

// newPair makes a certificate that was issued so long ago, for that lifetime.
func newPair(t *testing.T, now time.Time, age, lifetime time.Duration) pair {
	t.Helper()
	return makePair(t, now.Add(-age).Truncate(time.Second), lifetime, 1000*day)
}

// makePair makes one that is valid from then on, under a CA that lives for so
// long.
func makePair(t *testing.T, from time.Time, lifetime, caLifetime time.Duration) pair {
	t.Helper()
	caKey, key := newKey(t), newKey(t)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: "CA"},
		NotBefore: from.Add(-time.Hour), NotAfter: from.Add(caLifetime), IsCA: true, BasicConstraintsValid: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), DNSNames: []string{name}, NotBefore: from, NotAfter: from.Add(lifetime),
	}
	caCert := sign(t, ca, ca, caKey.Public(), caKey)
	leafCert := sign(t, leaf, ca, key.Public(), caKey)
	text, err := keypair.EncodeKey(key)
	must(t, err)
	return pair{
		store.Bundle{
			Key: text, Cert: keypair.EncodeCertificates(leafCert), Chain: keypair.EncodeCertificates(caCert),
			Meta: store.Meta{Issuer: "test", Directory: directory, Account: "https://ca.example/acct/1",
				Reason: renew.Missing, IssuedAt: from, Fingerprint: keypair.Fingerprint(leafCert.Raw)},
		},
		&tls.Certificate{Certificate: [][]byte{leafCert.Raw, caCert.Raw}, PrivateKey: key}, leafCert,
	}
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := keypair.GenerateKey(renew.EC256)
	must(t, err)
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, pub crypto.PublicKey, key crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return cert
}

// server shows whatever certificate it was last given.
type server struct {
	address string
	shows   atomic.Pointer[tls.Certificate]
	asked   atomic.Int64
}

func serve(t *testing.T, shows *tls.Certificate) *server {
	t.Helper()
	s := &server{}
	s.shows.Store(shows)
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		s.asked.Add(1)
		return s.shows.Load(), nil
	}})
	must(t, err)
	s.address = l.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = conn.Read(make([]byte, 1)) // the handshake, then until the client closes
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); serving.Wait() })
	return s
}

// host is a state directory whose one certificate is served, and the lock held
// by an agent that started a day ago.
type host struct {
	t      *testing.T
	now    time.Time
	dir    string
	st     *store.Store
	pair   pair
	server *server
	cfg    *config.Config
}

func newHost(t *testing.T, age, lifetime time.Duration) *host {
	t.Helper()
	h := &host{t: t, now: time.Now(), dir: filepath.Join(t.TempDir(), "state")}
	h.pair = newPair(t, h.now, age, lifetime)
	h.server = serve(t, h.pair.served)
	h.cfg = &config.Config{
		Agent:   config.Agent{StateDir: h.dir},
		Issuers: map[string]config.Issuer{"test": {Name: "test", Directory: directory}},
		Hooks:   map[string]hooks.Hook{},
		Certs: []renew.Cert{{
			Name: "www", Names: []string{name}, KeyType: renew.EC256,
			Issuers:   []renew.Issuer{{Name: "test", Directory: directory}},
			Endpoints: []renew.Endpoint{{Address: h.server.address, Protocol: "tls"}},
		}},
	}
	var err error
	h.st, err = store.Open(h.dir)
	must(t, err)
	t.Cleanup(func() { _ = h.st.Close() }) // some tests have closed it already
	n, err := h.st.Commit("www", h.pair.bundle)
	must(t, err)
	must(t, h.st.Link("www", n))
	h.prove(h.now.Add(-time.Second))
	h.started(day)
	return h
}

// prove notes down that the endpoint served the newest version then.
func (h *host) prove(at time.Time) {
	h.t.Helper()
	versions, err := h.st.Versions("www")
	must(h.t, err)
	j := renew.Journal{}
	if len(versions) > 0 {
		last := versions[len(versions)-1]
		j.Proofs = []renew.Proof{{Address: h.server.address, Name: name, Version: last.N, Served: true,
			Fingerprint: last.Fingerprint, NotAfter: last.NotAfter, CheckedAt: at}}
	}
	h.record(j)
}

// record notes down j, and that nothing would stop a renewal just now.
func (h *host) record(j renew.Journal) {
	h.t.Helper()
	j.Preflight = j.Preflight.Next(h.now, &h.cfg.Certs[0], nil)
	must(h.t, h.st.Record("www", j))
}

// started notes down starts so long ago, the newest first, and a sign of life
// now.
func (h *host) started(ago ...time.Duration) {
	h.t.Helper()
	text := ""
	for _, d := range ago {
		text += h.now.Add(-d).UTC().Format(time.RFC3339) + "\n"
	}
	must(h.t, os.WriteFile(h.file("starts"), []byte(text), 0o644))
	h.sign(0)
}

// sign leaves a sign of life of then.
func (h *host) sign(ago time.Duration) {
	h.t.Helper()
	at := h.now.Add(-ago)
	must(h.t, os.Chtimes(h.lock(), at, at))
}

func (h *host) lock() string { return filepath.Join(h.dir, "lock") }

func (h *host) file(path ...string) string {
	return filepath.Join(append([]string{h.dir}, path...)...)
}

// run checks, and expects that state and a line with all of these in it.
func (h *host) run(o Options, want State, texts ...string) Result {
	h.t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second // on a busy machine
	}
	r, err := Run(h.t.Context(), h.now, h.cfg, o)
	must(h.t, err)
	line := r.Line()
	if r.State() != want {
		h.t.Errorf("%s, want %s", line, want)
	}
	for _, text := range texts {
		if !strings.Contains(line, text) {
			h.t.Errorf("%s\nlacks %q", line, text)
		}
	}
	return r
}

// unused is an address at which nobody listens.
func unused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}
