package probe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// roots is what the clients of one endpoint trust.
type roots struct {
	named bool // the endpoint names any; whom the system trusts is judged elsewhere
	pool  *x509.CertPool
	err   error // they can't be read
}

// rootsOf reads the roots that the endpoint names.
func rootsOf(e renew.Endpoint) roots {
	if e.TrustRoots == "" {
		return roots{}
	}
	text, err := os.ReadFile(e.TrustRoots)
	if err != nil {
		return roots{named: true, err: fmt.Errorf("reading trust_roots: %w", err)}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		err = fmt.Errorf("reading trust_roots: no certificate in %s", e.TrustRoots)
	}
	return roots{true, pool, err}
}

// judge says why a client that trusts these roots alone does not take the chain
// as it was sent; nothing where it does, or where it is only out of date.
func (r roots) judge(chain []*x509.Certificate, now time.Time) string {
	if !r.named {
		return ""
	}
	if r.err != nil {
		return r.err.Error()
	}
	opts := x509.VerifyOptions{Roots: r.pool, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, c := range chain[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(opts)
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		return fmt.Sprintf("none of the roots in trust_roots vouches for it: %v", err)
	}
	return ""
}
