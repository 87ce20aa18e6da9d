package probe

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// verdict is what one address said last for one name.
type verdict struct {
	shown shown
	err   error // no handshake could be made
}

// The ranks of a verdict, the worst highest: an address that serves the wrong
// certificate is known to do harm, one that can't be reached is not.
const (
	served = iota
	unverifiable
	wrong
)

func (v verdict) rank(want Want) int {
	switch {
	case v.err != nil:
		return unverifiable
	case keypair.Fingerprint(v.shown.leaf().Raw) != want.Fingerprint:
		return wrong
	case want.ChainDigest != "" && keypair.ChainDigest(v.shown.ders()) != want.ChainDigest:
		return wrong
	default:
		return served
	}
}

func (v verdict) good(want Want) bool { return v.rank(want) == served }

// conclude makes one proof of what the addresses said for one name.
func conclude(addrs []target, verdicts []verdict, want Want, trusted roots) renew.Proof {
	worst := 0
	for i, v := range verdicts {
		if v.rank(want) > verdicts[worst].rank(want) {
			worst = i
		}
	}
	v := verdicts[worst]
	proof := renew.Proof{Served: v.good(want), Unverifiable: v.err != nil}
	switch v.rank(want) {
	case unverifiable:
		proof.Error = printable(v.err.Error())
	case wrong:
		proof.Error = instead(v.shown, want, time.Now())
	}
	if proof.Error != "" && len(addrs) > 1 {
		proof.Error = addrs[worst].String() + ": " + proof.Error
	}
	if v.err == nil {
		proof.Fingerprint, proof.NotAfter = keypair.Fingerprint(v.shown.leaf().Raw), ends(v.shown.chain)
		proof.Untrusted = printable(trusted.judge(v.shown.chain, time.Now()))
	}
	return proof
}

// instead says what is served in place of what is wanted.
func instead(s shown, want Want, now time.Time) string {
	leaf := s.leaf()
	fingerprint := keypair.Fingerprint(leaf.Raw)
	switch {
	case fingerprint != want.Fingerprint:
		text := fmt.Sprintf("serves sha256 %s… of %s, %s", fingerprint[:12], subject(leaf), validity(leaf, now))
		if s.lacks != nil {
			text += fmt.Sprintf(", with an %s key, and nothing where the client takes %s alone: %v", kindOf(keyType(leaf)), kindOf(want.KeyType), s.lacks)
		}
		return text
	case len(s.chain) == 1:
		return "serves the certificate without its intermediates"
	}
	text := fmt.Sprintf("serves the certificate with another chain, of %d certificates in all", len(s.chain))
	if odd := oddities(s.chain, now); len(odd) > 0 {
		text += ": " + strings.Join(odd, "; ")
	}
	return text
}

// subject names a certificate by what a person knows it by.
func subject(cert *x509.Certificate) string {
	name := "no name"
	switch {
	case len(cert.DNSNames) > 0:
		name = cert.DNSNames[0]
	case len(cert.IPAddresses) > 0:
		name = cert.IPAddresses[0].String()
	case cert.Subject.CommonName != "":
		name = cert.Subject.CommonName
	}
	if more := len(cert.DNSNames) + len(cert.IPAddresses) - 1; more > 0 {
		return fmt.Sprintf("%s and %d more", printable(name), more)
	}
	return printable(name)
}

func validity(cert *x509.Certificate, now time.Time) string {
	switch {
	case now.After(cert.NotAfter):
		return "expired " + span(now.Sub(cert.NotAfter)) + " ago"
	case now.Before(cert.NotBefore):
		return "valid only in " + span(cert.NotBefore.Sub(now))
	default:
		return "valid for " + span(cert.NotAfter.Sub(now))
	}
}

// span is a duration in the one unit that a person would use.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	n, unit := int(d/time.Second), "second"
	switch {
	case d >= 2*day:
		n, unit = int(d/day), "day"
	case d >= 2*time.Hour:
		n, unit = int(d/time.Hour), "hour"
	case d >= 2*time.Minute:
		n, unit = int(d/time.Minute), "minute"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// maxText bounds what of a server's words goes into an error, in bytes.
const maxText = 300

// printable makes what a server or a certificate says fit for a terminal.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}
