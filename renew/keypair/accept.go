package keypair

import (
	"crypto"
	"crypto/x509"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Want is what the certificate was ordered to be.
type Want struct {
	Names    []string       // DNS names and IP addresses
	KeyType  renew.KeyType  // empty accepts that of the key
	Now      time.Time      //
	Roots    *x509.CertPool // trusted beside the system's; may be nil
	System   *x509.CertPool // nil means those of this host
	PublicCA bool           // refuse a root that nobody here trusts
}

// Accepted is an answer that passed: PEM written anew from what was parsed, so
// that nothing else that was in the answer is kept.
type Accepted struct {
	Cert      []byte // the leaf
	Chain     []byte // the intermediates in order, without the root; may be empty
	Untrusted bool   // whole, but its root is in neither pool
	Pair      Pair   // of Cert and Chain
}

// Accept checks the whole answer of a CA to an order: PEM, the leaf first
// (RFC 8555, section 9.1), for key and exactly the names wanted, fit for a TLS
// server, valid now, each certificate issued by the one after it, and the last
// by a root that is trusted, where that is asked for. A root at the end is
// dropped, since clients have their own. The error is a [*Refusal].
func Accept(answer []byte, key crypto.Signer, want Want) (Accepted, error) {
	certs, err := DecodeCertificates(answer)
	if err != nil {
		return Accepted{}, err
	}
	for _, check := range []func() *Refusal{
		func() *Refusal { return checkKey(certs, key, want.KeyType) },
		func() *Refusal { return checkNames(certs[0], want.Names) },
		func() *Refusal { return checkPurpose(certs[0]) },
		func() *Refusal { return checkDates(certs[0], want.Now) },
		func() *Refusal { return checkChain(certs, want.Now) },
	} {
		if refused := check(); refused != nil {
			return Accepted{}, refused
		}
	}
	untrusted, refused := checkTrust(certs, want)
	if refused != nil {
		return Accepted{}, refused
	}
	kept := withoutRoot(certs)
	pair, err := describe(kept)
	if err != nil {
		return Accepted{}, refuse(OtherKeyType, "%v", err)
	}
	return Accepted{
		Cert:      EncodeCertificates(kept[0]),
		Chain:     EncodeCertificates(kept[1:]...),
		Untrusted: untrusted,
		Pair:      pair,
	}, nil
}

func checkKey(certs []*x509.Certificate, key crypto.Signer, kind renew.KeyType) *Refusal {
	if !Owns(key, certs[0].PublicKey) {
		for i, c := range certs[1:] {
			if Owns(key, c.PublicKey) {
				return refuse(LeafNotFirst, "the certificate of our key is number %d of %d", i+2, len(certs))
			}
		}
		return refuse(OtherKey, "the certificate %s is not for the key that it was ordered for", called(certs[0]))
	}
	got, err := TypeOf(key.Public())
	if err != nil {
		return refuse(OtherKeyType, "%v", err)
	}
	if kind != "" && got != kind {
		return refuse(OtherKeyType, "the key is %s, not %s", got, kind)
	}
	return nil
}

// checkNames wants the names to the letter: one missing would not be served,
// one too many was not validated for this order.
func checkNames(leaf *x509.Certificate, want []string) *Refusal {
	got, wanted := namesOf(leaf), normal(want)
	for _, name := range wanted {
		if _, found := slices.BinarySearch(got, name); !found {
			return refuse(WrongNames, "%q was ordered and is missing", name)
		}
	}
	for _, name := range got {
		if _, found := slices.BinarySearch(wanted, name); !found {
			return refuse(WrongNames, "%.300q was not ordered", name)
		}
	}
	if n := len(leaf.EmailAddresses) + len(leaf.URIs); n > 0 {
		return refuse(WrongNames, "%d mail addresses or URIs in it were not ordered", n)
	}
	return nil
}

func normal(names []string) []string {
	out := make([]string, 0, len(names))
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			name = ip.Unmap().String()
		}
		out = append(out, strings.ToLower(name))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// checkPurpose asks for what TLS clients ask of a server's certificate
// (RFC 5280, sections 4.2.1.3, 4.2.1.9 and 4.2.1.12).
func checkPurpose(leaf *x509.Certificate) *Refusal {
	if leaf.IsCA {
		return refuse(LeafIsCA, "the certificate %s is a CA's own", called(leaf))
	}
	if !forServers(leaf) || len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0 {
		return refuse(LeafUsage, "its extended key usage is not that of a TLS server")
	}
	if leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return refuse(LeafUsage, "its key usage does not let the key sign, and so not be used in TLS 1.3")
	}
	return nil
}

// forServers tells whether the extended key usages allow a TLS server; without
// any, all is allowed.
func forServers(c *x509.Certificate) bool {
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return true
	}
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// checkDates allows no tolerance: clients that have the right time have none.
func checkDates(leaf *x509.Certificate, now time.Time) *Refusal {
	if now.Before(leaf.NotBefore) {
		return refuse(LeafNotYetValid, "it is valid only from %s, and the clock of this host says %s",
			stamp(leaf.NotBefore), stamp(now))
	}
	if !now.Before(leaf.NotAfter) {
		return refuse(LeafExpired, "it expired on %s, and the clock of this host says %s", stamp(leaf.NotAfter), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
