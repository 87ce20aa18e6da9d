package stage

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// CA is a real ACME server in this process, with faults to switch on in front
// of it.
type CA struct {
	*acmetest.CA
	Faults *Faults
}

// StartCA starts a CA whose certificates last for lifetime and which validates
// http-01 at httpPort of every name: each name is this host to it.
func StartCA(lifetime time.Duration, apiPort, httpPort int, seed uint64) (*CA, error) {
	faults := NewFaults(seed)
	ca, err := acmetest.Start(acmetest.Options{
		Addr:       loopback(apiPort),
		HTTPPort:   httpPort,
		Validity:   lifetime,
		Middleware: faults.Wrap,
	})
	if err != nil {
		return nil, fmt.Errorf("starting the CA: %w", err)
	}
	return &CA{CA: ca, Faults: faults}, nil
}

// Roots returns the root of the certificates that it issues: what a client of
// the sites trusts.
func (c *CA) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.RootPEM())
	return pool
}
