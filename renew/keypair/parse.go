package keypair

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Pair is what can be read from a key and its certificates. The fields are
// those of the same names of [renew.Version].
type Pair struct {
	Fingerprint   string
	ChainDigest   string
	Serial        string
	CertID        string
	CRL           string
	Names         []string
	KeyType       renew.KeyType
	NotBefore     time.Time
	NotAfter      time.Time
	ChainNotAfter time.Time
}

// Fault is why a pair can't be used.
type Fault struct {
	Reason renew.Reason // renew.Unreadable, renew.PairMismatch or renew.Altered
	Err    error
}

func (f *Fault) Error() string { return f.Err.Error() }
func (f *Fault) Unwrap() error { return f.Err }

// Parse reads a private key and the certificates that go with it, the leaf
// first, both PEM. It looks at neither dates nor trust nor at the order of what
// follows the leaf. The error is a [*Fault].
func Parse(key, fullchain []byte) (Pair, error) {
	certs, err := DecodeCertificates(fullchain)
	if err != nil {
		if r, ok := errors.AsType[*Refusal](err); ok {
			err = errors.New(r.Detail)
		}
		return Pair{}, &Fault{renew.Unreadable, fmt.Errorf("reading the certificates: %w", err)}
	}
	signer, err := DecodeKey(key)
	if err != nil {
		return Pair{}, &Fault{renew.Unreadable, err}
	}
	if !Owns(signer, certs[0].PublicKey) {
		return Pair{}, &Fault{renew.PairMismatch, errors.New("the key is not that of the first certificate")}
	}
	pair, err := describe(certs)
	if err != nil {
		return Pair{}, &Fault{renew.Unreadable, err}
	}
	return pair, nil
}

func describe(certs []*x509.Certificate) (Pair, error) {
	leaf := certs[0]
	kind, err := TypeOf(leaf.PublicKey)
	if err != nil {
		return Pair{}, err
	}
	pair := Pair{
		Fingerprint: Fingerprint(leaf.Raw),
		Serial:      hex.EncodeToString(serialBytes(leaf.SerialNumber)),
		CertID:      certID(leaf.AuthorityKeyId, leaf.SerialNumber),
		Names:       namesOf(leaf),
		KeyType:     kind,
		NotBefore:   leaf.NotBefore,
		NotAfter:    leaf.NotAfter,
	}
	if _, ok := revocable(certs); ok {
		pair.CRL = pointOf(leaf)
	}
	ders := make([][]byte, len(certs))
	for i, c := range certs {
		ders[i] = c.Raw
		if i > 0 && (pair.ChainNotAfter.IsZero() || c.NotAfter.Before(pair.ChainNotAfter)) {
			pair.ChainNotAfter = c.NotAfter
		}
	}
	pair.ChainDigest = ChainDigest(ders)
	return pair, nil
}

// Fill returns v with what can be read from the pair set to it.
func (p Pair) Fill(v renew.Version) renew.Version {
	v.Fingerprint, v.ChainDigest, v.Serial, v.CertID = p.Fingerprint, p.ChainDigest, p.Serial, p.CertID
	v.Names, v.KeyType, v.CRL = p.Names, p.KeyType, p.CRL
	v.NotBefore, v.NotAfter, v.ChainNotAfter = p.NotBefore, p.NotAfter, p.ChainNotAfter
	return v
}

// Fingerprint is the SHA-256 of a certificate's DER, in lower-case hex.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// ChainDigest is the SHA-256 over the DER of the leaf and of all that follows
// it, one after the other, in lower-case hex: what a server sends in its
// Certificate message, compared as a whole. DER says its own length, so no two
// chains run together to the same bytes.
func ChainDigest(ders [][]byte) string {
	h := sha256.New()
	for _, der := range ders {
		h.Write(der)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// certID is the name of a certificate at the CA's renewalInfo resource
// (RFC 9773, section 4.1): the key identifier of the authority and the content
// octets of the serial number's DER, both base64url without padding.
func certID(authorityKeyID []byte, serial *big.Int) string {
	if len(authorityKeyID) == 0 {
		return ""
	}
	octets := serialBytes(serial)
	if octets[0]&0x80 != 0 { // a DER INTEGER is signed
		octets = append([]byte{0}, octets...)
	}
	b64 := base64.RawURLEncoding
	return b64.EncodeToString(authorityKeyID) + "." + b64.EncodeToString(octets)
}

func serialBytes(serial *big.Int) []byte {
	if octets := serial.Bytes(); len(octets) > 0 {
		return octets
	}
	return []byte{0}
}

// namesOf lists what the leaf is for: its DNS names in lower case and its IP
// addresses, sorted, each once. An address that is written as a DNS name is none
// of them: clients look for it among the addresses only (RFC 9525, section 6.5).
func namesOf(leaf *x509.Certificate) []string {
	names := make([]string, 0, len(leaf.DNSNames)+len(leaf.IPAddresses))
	for _, name := range leaf.DNSNames {
		if _, err := netip.ParseAddr(name); err != nil {
			names = append(names, strings.ToLower(name))
		}
	}
	for _, ip := range leaf.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			names = append(names, addr.Unmap().String())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
