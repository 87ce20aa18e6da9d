package issue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// Limits of the traffic with one CA.
const (
	connectTimeout = 10 * time.Second
	idleTimeout    = 60 * time.Second
	pingAfter      = 15 * time.Second // of silence while a request waits: finds dead connections
	pingTimeout    = 10 * time.Second
	maxInFlight    = 32      // requests; the CAs' own limits are per second, and far above
	maxBody        = 1 << 20 // bytes of an answer
	maxHeader      = 64 << 10
)

// session is everything that the orders at one issuer share: connections, the
// directory, nonces.
type session struct {
	issuer    config.Issuer
	origin    *url.URL // scheme and host that every URL must have
	userAgent string
	roots     *x509.CertPool // the issuer's own trust_roots; nil without
	slots     chan struct{}  // one for each request in flight
	timeout   time.Duration  // of one request
	nonces    nonces
	directory directory
	standing  standing
	account   chan struct{} // held while the account is looked up or registered
	settle    settling
	busy      busyTime
	clock     clock
	limits    renew.Limits

	mu        sync.Mutex      // guards transport
	transport *http.Transport // made when first needed: its roots are read from disk
}

func newSession(issuer config.Issuer, o Options) (*session, error) {
	origin, err := url.Parse(issuer.Directory)
	if err != nil || origin.Scheme != "https" || origin.Host == "" {
		return nil, errors.New("its directory is no https URL")
	}
	s := &session{
		issuer:    issuer,
		origin:    origin,
		userAgent: o.UserAgent,
		slots:     make(chan struct{}, maxInFlight),
		timeout:   o.RequestTimeout,
		account:   make(chan struct{}, 1),
		limits:    o.Limits(issuer.Directory),
	}
	s.directory.init()
	s.standing.init()
	if len(issuer.TrustRoots) > 0 {
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(issuer.TrustRoots) {
			return nil, errors.New("its trust_roots hold no certificate")
		}
	}
	return s, nil
}

// wireTransport returns the one transport of the session.
func (s *session) wireTransport() *http.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport == nil {
		s.transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTimeout, KeepAlive: pingAfter}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: s.trust(), MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTimeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           maxInFlight,
			MaxIdleConnsPerHost:    maxInFlight,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // a bomb can't be unpacked that is never asked for
			HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		}
	}
	return s.transport
}

// trust returns the roots for the connection to the CA: the system's, and the
// issuer's trust_roots.
func (s *session) trust() *x509.CertPool {
	if len(s.issuer.TrustRoots) == 0 {
		return nil // the system's
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	pool.AppendCertsFromPEM(s.issuer.TrustRoots)
	return pool
}

func (s *session) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.transport != nil {
		s.transport.CloseIdleConnections()
	}
}

// lock takes a lock that the end of ctx gets out of.
func lock(ctx context.Context, l chan struct{}) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// settling finds out how long this CA takes to validate a challenge, so that the
// first poll comes neither far too early nor late: sooner after each that found
// the answer there, later after each that did not.
type settling struct {
	mu   sync.Mutex
	wait time.Duration
}

// Between these the first poll of anything is made.
const (
	firstPollMin = 10 * time.Millisecond
	firstPollMax = 100 * time.Millisecond
)

func (s *settling) first() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return min(max(s.wait, firstPollMin), firstPollMax)
}

func (s *settling) observe(atFirst bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait = min(max(s.wait, firstPollMin), firstPollMax)
	if atFirst {
		s.wait -= s.wait / 8
	} else {
		s.wait += s.wait / 4
	}
}
