package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// Seen is what one handshake showed.
type Seen struct {
	Address     string   `json:"address"`            // the one that answered, resolved
	Name        string   `json:"name"`               // that was asked for; empty where there is none
	TLS         string   `json:"tls"`                // negotiated version, such as "TLS 1.3"
	KeyType     string   `json:"key_type"`           // of the leaf, as in a configuration; empty for one that is none of those
	Chain       []Link   `json:"chain"`              // as sent, the leaf first; at least one
	ChainDigest string   `json:"chain_sha256"`       // as renew.Version has it
	Oddities    []string `json:"oddities,omitempty"` // of the chain: order, ends, what is missing or needless
	Verdict     string   `json:"verdict,omitempty"`  // why a client would refuse it; empty where it would not
	Untrusted   bool     `json:"untrusted,omitzero"` // all that is wrong is that the root is unknown here
	Also        *Seen    `json:"also,omitempty"`     // what is shown to a client that takes the other kind of key alone
}

// Link is one certificate of a chain.
type Link struct {
	Subject            string    `json:"subject"`
	Issuer             string    `json:"issuer"`
	IssuerOrganization []string  `json:"-"`
	Names              []string  `json:"names,omitempty"` // DNS names, then IP addresses
	Serial             string    `json:"serial"`          // lower-case hex
	Fingerprint        string    `json:"fingerprint_sha256"`
	NotBefore          time.Time `json:"not_before"`
	NotAfter           time.Time `json:"not_after"`
}

// Look makes a handshake with the first of the endpoint's addresses that answers,
// asking for name, or for the address's own host where name is empty; and where
// it is answered, one more as by a client that takes the other kind of key alone.
// The verdict is that of a client that trusts the endpoint's roots, or this
// host's and p.Roots where it names none.
func (p *Prober) Look(ctx context.Context, e renew.Endpoint, name string) (Seen, error) {
	if err := known(e.Protocol); err != nil {
		return Seen{}, err
	}
	trusted := rootsOf(e)
	if trusted.err != nil {
		return Seen{}, trusted.err
	}
	places, err := p.resolve(ctx, e)
	if err != nil {
		return Seen{}, err
	}
	if name == "" {
		name, _, _ = net.SplitHostPort(e.Address) // a socket has no name
	}
	var faults []error
	for _, at := range places {
		q := question{endpoint: e, at: at, name: name}
		s, err := p.handshake(ctx, q)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", at, err))
			continue
		}
		seen := p.describe(s, at, name, trusted)
		if q.only = kindOf(keyType(s.leaf())).other(); q.only != "" {
			if also, err := p.handshake(ctx, q); err == nil && kindOf(keyType(also.leaf())) == q.only {
				second := p.describe(also, at, name, trusted)
				seen.Also = &second
			}
		}
		return seen, nil
	}
	asked := " for " + name
	if e.NoSNI || name == "" {
		asked = ""
	}
	return Seen{}, fmt.Errorf("asking %s%s: %w", e.Address, asked, errors.Join(faults...))
}

func (p *Prober) describe(s shown, at target, name string, trusted roots) Seen {
	seen := Seen{
		Address: at.String(), Name: name, TLS: tls.VersionName(s.version), KeyType: string(keyType(s.leaf())),
		ChainDigest: keypair.ChainDigest(s.ders()), Oddities: oddities(s.chain, time.Now()),
	}
	for _, cert := range s.chain {
		link := Link{
			Subject: printable(cert.Subject.String()), Issuer: printable(cert.Issuer.String()), IssuerOrganization: cert.Issuer.Organization,
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
	if err := p.verify(s, name, trusted); err != nil {
		seen.Verdict = printable(err.Error())
		_, seen.Untrusted = errors.AsType[x509.UnknownAuthorityError](err)
	}
	return seen
}

// verify judges the chain as a client would: dates, name, and a path to a root
// that it trusts.
func (p *Prober) verify(s shown, name string, trusted roots) error {
	leaf, now := s.leaf(), time.Now()
	if now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		return fmt.Errorf("certificate of %s: %s", subject(leaf), validity(leaf, now))
	}
	opts := x509.VerifyOptions{DNSName: concrete(name), Intermediates: x509.NewCertPool(), CurrentTime: now, Roots: trusted.pool}
	for _, cert := range s.chain[1:] {
		opts.Intermediates.AddCert(cert)
	}
	_, err := leaf.Verify(opts)
	if err != nil && p.Roots != nil && !trusted.named {
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
