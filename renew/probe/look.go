package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/certvigil/certvigil/renew/keypair"
)

// Seen is what one handshake showed.
type Seen struct {
	Address     string `json:"address"`            // the one that answered, resolved
	Name        string `json:"name"`               // that was asked for
	TLS         string `json:"tls"`                // negotiated version, such as "TLS 1.3"
	Chain       []Link `json:"chain"`              // as sent, the leaf first; at least one
	ChainDigest string `json:"chain_sha256"`       // as renew.Version has it
	Verdict     string `json:"verdict,omitempty"`  // why a client would refuse it; empty where it would not
	Untrusted   bool   `json:"untrusted,omitzero"` // all that is wrong is that the root is unknown here
}

// Link is one certificate of a chain.
type Link struct {
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	Names       []string  `json:"names,omitempty"` // DNS names, then IP addresses
	Serial      string    `json:"serial"`          // lower-case hex
	Fingerprint string    `json:"fingerprint_sha256"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
}

// Look makes one handshake with the first of the address's hosts that answers,
// asking for name, or for the address's own host where name is empty. The
// verdict is that of a client that trusts this host's roots and p.Roots.
func (p *Prober) Look(ctx context.Context, address, name string) (Seen, error) {
	addrs, err := p.resolve(ctx, address)
	if err != nil {
		return Seen{}, err
	}
	if name == "" {
		if name, _, err = net.SplitHostPort(address); err != nil {
			return Seen{}, fmt.Errorf("reading the address %q: %w", address, err)
		}
	}
	var faults []error
	for _, addr := range addrs {
		s, err := p.handshake(ctx, addr, name)
		if err == nil {
			return p.describe(s, addr, name), nil
		}
		faults = append(faults, fmt.Errorf("%s: %w", addr, err))
	}
	return Seen{}, fmt.Errorf("asking %s for %s: %w", address, name, errors.Join(faults...))
}

func (p *Prober) describe(s shown, addr netip.AddrPort, name string) Seen {
	seen := Seen{
		Address: addr.String(), Name: name, TLS: tls.VersionName(s.version),
		ChainDigest: keypair.ChainDigest(s.ders()),
	}
	for _, cert := range s.chain {
		link := Link{
			Subject: printable(cert.Subject.String()), Issuer: printable(cert.Issuer.String()),
			Serial: fmt.Sprintf("%x", cert.SerialNumber), Fingerprint: keypair.Fingerprint(cert.Raw),
			NotBefore: cert.NotBefore, NotAfter: cert.NotAfter,
		}
		for _, dns := range cert.DNSNames {
			link.Names = append(link.Names, printable(dns))
		}
		for _, ip := range cert.IPAddresses {
			link.Names = append(link.Names, ip.String())
		}
		seen.Chain = append(seen.Chain, link)
	}
	if err := p.verify(s, name); err != nil {
		seen.Verdict = printable(err.Error())
		_, seen.Untrusted = errors.AsType[x509.UnknownAuthorityError](err)
	}
	return seen
}

// verify judges the chain as a client would: dates, name, and a path to a root
// of the system or of p.Roots.
func (p *Prober) verify(s shown, name string) error {
	leaf, now := s.leaf(), time.Now()
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return fmt.Errorf("certificate of %s: %s", subject(leaf), validity(leaf, now))
	}
	opts := x509.VerifyOptions{DNSName: concrete(name), Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, cert := range s.chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := leaf.Verify(opts)
	if err != nil && p.Roots != nil {
		opts.Roots = p.Roots
		if _, again := leaf.Verify(opts); again == nil || !isUntrusted(again) {
			err = again // these roots know the chain: what they say counts
		}
	}
	return err
}

func isUntrusted(err error) bool {
	_, ok := errors.AsType[x509.UnknownAuthorityError](err)
	return ok
}
