package faultproxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// Options says what a proxy is to do. The zero Options passes everything on.
type Options struct {
	Addr   string  // where it listens; default a free port of 127.0.0.1
	Rules  []Rule  // the first that matches a call acts on it
	Seed   uint64  // of everything that is drawn
	Limits *Limits // nil counts none
	HTTP1  bool    // no HTTP/2: a call that is dropped takes its connection along
}

// Proxy is a running proxy. Its methods may be called concurrently.
type Proxy struct {
	ca       *acmetest.CA
	atlas    *atlas
	limits   *ledger
	upstream *http.Transport
	server   *http.Server
	addr     string
	rootPEM  []byte
	ctx      context.Context // ended by Close: nothing hangs for longer
	stop     context.CancelFunc

	mu      sync.Mutex // guards what follows
	rules   []*counted
	rng     *mathrand.Rand
	history History
	said    map[Kind]*answer // the first good answer of each kind, for Replay
	held    map[string]int   // polls that were answered "processing", by the order's path
	moves   int              // times that the directory was rotated
	lives   int              // clients that were told to be dead
}

// Start puts a proxy before ca. Close ends it, and leaves ca alone.
func Start(ca *acmetest.CA, o Options) (*Proxy, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca.TLSRootPEM()) {
		return nil, errors.New("starting the proxy: the CA has no root")
	}
	own, rootPEM, err := identity()
	if err != nil {
		return nil, fmt.Errorf("creating the proxy's certificate: %w", err)
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for the proxy: %w", err)
	}
	p := &Proxy{
		ca: ca, addr: listener.Addr().String(), rootPEM: rootPEM,
		atlas: newAtlas(), limits: newLedger(o.Limits),
		rng:      mathrand.New(mathrand.NewPCG(o.Seed, o.Seed)),
		said:     make(map[Kind]*answer),
		held:     make(map[string]int),
		upstream: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableCompression: true},
	}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.Set(o.Rules...)
	p.server = &http.Server{
		Handler:           p,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
		ConnContext:       p.born,
		Protocols:         new(http.Protocols),
	}
	p.server.Protocols.SetHTTP1(true)
	p.server.Protocols.SetHTTP2(!o.HTTP1)
	go func() { _ = p.server.ServeTLS(listener, "", "") }()
	if err := p.survey(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// survey reads the CA's directory once, as a client of this proxy would see it,
// so that the kind of every later call is known.
func (p *Proxy) survey() error {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	dir, err := p.ask(ctx, http.MethodGet, pathOf(p.DirectoryURL()), p.addr, nil, nil)
	if err != nil {
		return fmt.Errorf("reading the CA's directory: %w", err)
	}
	p.atlas.directory(pathOf(p.DirectoryURL()), dir.body)
	return nil
}

// Close ends the proxy, and every call that it made hang.
func (p *Proxy) Close() error {
	p.stop()
	p.upstream.CloseIdleConnections()
	return p.server.Close()
}

// Addr returns the proxy's host:port.
func (p *Proxy) Addr() string { return p.addr }

// DirectoryURL is the CA's directory behind the proxy.
func (p *Proxy) DirectoryURL() string {
	return strings.Replace(p.ca.DirectoryURL(), p.ca.Addr(), p.addr, 1)
}

// TrustPEM returns the roots of the issued certificates and of the proxy's own, as
// the contents of an issuer's trust_roots file.
func (p *Proxy) TrustPEM() []byte { return append(p.ca.RootPEM(), p.rootPEM...) }

// Set replaces the rules; they count calls from now on.
func (p *Proxy) Set(rules ...Rule) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
	for _, r := range rules {
		p.rules = append(p.rules, &counted{Rule: r})
	}
}

// ClientDied says that the process is no more that made the connections so far. What
// it had sent, and the proxy had not read yet, does not reach the CA: it would be a
// call of the past among those of its successor.
func (p *Proxy) ClientDied() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lives++
}

// lifeKey is under which a connection's context has the life that made it.
type lifeKey struct{}

func (p *Proxy) born(ctx context.Context, _ net.Conn) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	return context.WithValue(ctx, lifeKey{}, p.lives)
}

// History returns what happened so far, in the order in which calls began.
func (p *Proxy) History() History {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.history)
}

// identity makes the proxy's certificate, which is its own root.
func identity() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "fault proxy"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, text, nil
}
