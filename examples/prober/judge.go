package prober

import (
	"crypto/x509"
	"fmt"
	"time"
)

// Kind says what is wrong with a served certificate. Empty means nothing.
type Kind string

// The kinds of lapse.
const (
	Expired     Kind = "expired"
	NotYetValid Kind = "not-yet-valid"
	WrongName   Kind = "wrong-name"
	Untrusted   Kind = "untrusted" // no valid path to a trusted root
)

// Judge looks at the chain that a server answered with, the leaf first, as a
// client that asked for name does at now (RFC 5280, section 6; RFC 6125). It
// returns what is wrong and, for a person, in which way.
func Judge(now time.Time, chain []*x509.Certificate, name string, roots *x509.CertPool) (Kind, string) {
	if len(chain) == 0 {
		return Untrusted, "no certificate at all"
	}
	leaf := chain[0]
	switch {
	case now.After(leaf.NotAfter):
		return Expired, fmt.Sprintf("expired %s, %s ago", stamp(leaf.NotAfter), now.Sub(leaf.NotAfter).Round(time.Millisecond))
	case now.Before(leaf.NotBefore):
		return NotYetValid, fmt.Sprintf("valid from %s, in %s", stamp(leaf.NotBefore), leaf.NotBefore.Sub(now).Round(time.Millisecond))
	}
	if err := leaf.VerifyHostname(name); err != nil {
		return WrongName, err.Error()
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now})
	if err != nil {
		return Untrusted, err.Error()
	}
	return "", ""
}

func stamp(t time.Time) string { return t.UTC().Format("15:04:05") }
