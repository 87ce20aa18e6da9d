package acmetest

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// CA is a running ACME server. Its methods may be called concurrently.
type CA struct {
	store      *db.MemoryStore
	authority  *ca.CAImpl
	handler    http.Handler
	management http.Handler
	dns        *DNS
	tls        tlsRoot
	counts     counts
	ari        windows
	opts       Options

	mu     sync.Mutex // guards what follows
	addr   string     // host:port; fixed by the first start
	server *http.Server
	admin  *http.Server
}

// environment serialises the starts: Pebble reads its settings from variables
// of the process while it is constructed.
var environment sync.Mutex

// Start starts a CA. Close ends it.
func Start(o Options) (*CA, error) {
	o = o.withDefaults()
	root, err := newTLSRoot()
	if err != nil {
		return nil, fmt.Errorf("creating the API's TLS root: %w", err)
	}
	resolver, err := StartDNS("A 127.0.0.1")
	if err != nil {
		return nil, fmt.Errorf("starting the CA's resolver: %w", err)
	}
	c := &CA{store: db.NewMemoryStore(), dns: resolver, tls: root, opts: o, addr: o.Addr}
	if err := c.construct(); err != nil {
		return nil, errors.Join(err, resolver.Close())
	}
	if err := c.Restart(); err != nil {
		return nil, errors.Join(err, resolver.Close())
	}
	return c, nil
}

// construct builds Pebble in dependency order.
func (c *CA) construct() error {
	environment.Lock()
	defer environment.Unlock()
	defer setenv(map[string]string{
		"PEBBLE_VA_NOSLEEP":       noSleep(c.opts.Sleep),
		"PEBBLE_VA_ALWAYS_VALID":  "",
		"PEBBLE_WFE_NONCEREJECT":  strconv.Itoa(c.opts.NonceReject),
		"PEBBLE_AUTHZREUSE":       strconv.Itoa(c.opts.AuthzReuse),
		"PEBBLE_WFE_ORDERS_LIMIT": "",
	})()

	logger := log.New(c.opts.Log, "pebble ", log.Ltime)
	c.authority = ca.New(logger, c.store, "", c.opts.keys(), 0, c.opts.ChainLength, c.opts.profiles())
	validator := va.New(logger, c.opts.HTTPPort, 0, false, c.dns.addr, c.store)
	for id, key := range c.opts.EAB {
		if err := c.store.AddExternalAccountKeyByID(id, key); err != nil {
			return fmt.Errorf("adding external account key %q: %w", id, err)
		}
	}
	front := wfe.New(logger, c.store, validator, c.authority, []string{"pebble.test"}, false,
		len(c.opts.EAB) > 0, c.opts.RetryAfter, c.opts.RetryAfter)
	c.management = front.ManagementHandler()
	c.handler = c.counts.requests(c.opts.wrap(c.renewalInfo(c.counts.successes(c.guard(front.Handler())))))
	return nil
}

// Restart serves again at the same address, with the same accounts, orders and
// roots. It does nothing where the CA is being served.
func (c *CA) Restart() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server != nil {
		return nil
	}
	listener, err := net.Listen("tcp", c.addr)
	if err != nil {
		return fmt.Errorf("listening for the CA's API: %w", err)
	}
	c.addr = listener.Addr().String()
	c.server = c.serve(listener, c.handler)
	if c.opts.ManagementAddr == "" {
		return nil
	}
	admin, err := net.Listen("tcp", c.opts.ManagementAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("listening for the CA's management: %w", err), c.server.Close())
	}
	c.opts.ManagementAddr = admin.Addr().String()
	c.admin = c.serve(admin, c.management)
	return nil
}

func (c *CA) serve(listener net.Listener, handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:           handler,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{c.tls.leaf}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go func() { _ = server.ServeTLS(listener, "", "") }()
	return server
}

// Stop closes the listeners and cuts every connection. Accounts and orders stay
// for Restart.
func (c *CA) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, server := range []*http.Server{c.server, c.admin} {
		if server != nil {
			errs = append(errs, server.Close())
		}
	}
	c.server, c.admin = nil, nil
	return errors.Join(errs...)
}

// Close ends the CA. One goroutine of Pebble's validation stays: it has no end.
func (c *CA) Close() error { return errors.Join(c.Stop(), c.dns.Close()) }

// DirectoryURL returns the URL of the ACME directory.
func (c *CA) DirectoryURL() string { return "https://" + c.Addr() + wfe.DirectoryPath }

// ManagementURL returns where Pebble's management interface is served; empty
// where it is not.
func (c *CA) ManagementURL() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.ManagementAddr == "" {
		return ""
	}
	return "https://" + c.opts.ManagementAddr
}

// Addr returns the API's host:port.
func (c *CA) Addr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addr
}

// Unresolve makes the CA's resolver answer NXDOMAIN for name, or, with false,
// resolve it again.
func (c *CA) Unresolve(name string, dead bool) { c.dns.Unresolve(name, dead) }

// DNS is the CA's view of the DNS: every name is 127.0.0.1, and has no IPv6
// address and no CAA record, until it is set to something else.
func (c *CA) DNS() *DNS { return c.dns }

// RootPEM returns the root that issued certificates chain to.
func (c *CA) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.authority.GetRootCert(0).DER})
}

// Intermediate returns the certificate that signs leaves, and its key, with which
// a test can sign what this CA never would. The key is nil unless the CA was
// started with Options.RSA: Pebble gives no other away.
func (c *CA) Intermediate() (cert *x509.Certificate, key crypto.Signer) {
	if k := c.authority.GetIntermediateKey(0); k != nil {
		key = k
	}
	return c.authority.GetIntermediateCert(0).Cert, key
}

// TLSRootPEM returns the root of the API's own certificate.
func (c *CA) TLSRootPEM() []byte { return c.tls.rootPEM }

// TrustPEM returns both roots, as the contents of an issuer's trust_roots file.
func (c *CA) TrustPEM() []byte { return append(c.RootPEM(), c.tls.rootPEM...) }
