package keypair

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/certvigil/certvigil/renew"
)

// world is one order and the authorities that may answer it.
type world struct {
	testing.TB
	root, ca *ca
	want     Want
}

func newWorld(t testing.TB) *world {
	root := newRoot(t, "True Root")
	return &world{
		TB:   t,
		root: root,
		ca:   root.under(t, "True CA"),
		want: Want{
			Names:    []string{"www.example.com", "example.com"},
			KeyType:  renew.EC256,
			Now:      noon,
			System:   poolOf(root.cert),
			PublicCA: true,
		},
	}
}

func TestAcceptTakes(t *testing.T) {
	for name, c := range map[string]struct {
		answer    func(w *world, pub any) string
		certs     int
		untrusted bool
	}{
		"a leaf and its intermediate": {func(w *world, pub any) string {
			return chainOf(w.ca.leaf(w, pub), w.ca.cert)
		}, 2, false},
		"a root at the end, which is dropped": {func(w *world, pub any) string {
			return chainOf(w.ca.leaf(w, pub), w.ca.cert, w.root.cert)
		}, 2, false},
		"a leaf that the root itself issued": {func(w *world, pub any) string {
			return chainOf(w.root.leaf(w, pub))
		}, 1, false},
		"names in upper case": {func(w *world, pub any) string {
			return chainOf(w.ca.leaf(w, pub, named("WWW.Example.com", "example.COM")), w.ca.cert)
		}, 2, false},
		"line ends of Windows, and words around the blocks": {func(w *world, pub any) string {
			text := "subject=/CN=True\n" + chainOf(w.ca.leaf(w, pub)) + "\nissuer\n" + chainOf(w.ca.cert) + "\n"
			return strings.ReplaceAll(text, "\n", "\r\n")
		}, 2, false},
		"a leaf without key usage, as some private CAs issue it": {func(w *world, pub any) string {
			return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) { c.KeyUsage = 0 }), w.ca.cert)
		}, 2, false},
		"four intermediates in order": {func(w *world, pub any) string {
			b := w.ca.under(w, "B")
			c := b.under(w, "C")
			d := c.under(w, "D")
			return chainOf(d.leaf(w, pub), d.cert, c.cert, b.cert, w.ca.cert)
		}, 5, false},
		"IP addresses": {func(w *world, pub any) string {
			w.want.Names = []string{"192.0.2.7", "2001:db8::1", "example.com"}
			return chainOf(w.ca.leaf(w, pub, named("example.com", "2001:db8:0::1", "192.0.2.7")), w.ca.cert)
		}, 2, false},
		"a root of the issuer's own, trusted beside the system's": {func(w *world, pub any) string {
			w.want.Roots, w.want.System, w.want.PublicCA = poolOf(w.root.cert), x509.NewCertPool(), false
			return chainOf(w.ca.leaf(w, pub), w.ca.cert)
		}, 2, false},
		"an unknown root of a private CA, noted down as such": {func(w *world, pub any) string {
			w.want.System, w.want.PublicCA = x509.NewCertPool(), false
			return chainOf(w.ca.leaf(w, pub), w.ca.cert, w.root.cert)
		}, 2, true},
		"a lone leaf of a private CA": {func(w *world, pub any) string {
			w.want.System, w.want.PublicCA = x509.NewCertPool(), false
			return chainOf(w.ca.leaf(w, pub))
		}, 1, true},
		"a root whose own signature is SHA-1, dropped in any case": {func(w *world, pub any) string {
			key := newKey(w, renew.RSA2048)
			template := authority("RSA Root", sha1)
			root := &ca{sign(w, template, key.Public(), &ca{template, key}), key}
			w.want.System = poolOf(root.cert)
			below := root.under(w, "Below")
			return chainOf(below.leaf(w, pub), below.cert, root.cert)
		}, 2, false},
		"the second before it expires": {func(w *world, pub any) string {
			return chainOf(w.ca.leaf(w, pub, valid(-89*day, time.Second)), w.ca.cert)
		}, 2, false},
		"the very second that it begins": {func(w *world, pub any) string {
			return chainOf(w.ca.leaf(w, pub, valid(0, time.Minute)), w.ca.cert)
		}, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			w, key := newWorld(t), newKey(t, renew.EC256)
			got, err := Accept([]byte(c.answer(w, key.Public())), key, w.want)
			if err != nil {
				t.Fatal(err)
			}
			if n := bytes.Count(append(got.Cert, got.Chain...), []byte("BEGIN CERTIFICATE")); n != c.certs {
				t.Errorf("%d certificates kept, want %d", n, c.certs)
			}
			if got.Untrusted != c.untrusted {
				t.Errorf("untrusted = %v", got.Untrusted)
			}
			text, _ := EncodeKey(key)
			pair, err := Parse(text, append(got.Cert, got.Chain...))
			if err != nil || pair.ChainDigest != got.Pair.ChainDigest {
				t.Errorf("read back: %v, digest %s, want %s", err, pair.ChainDigest, got.Pair.ChainDigest)
			}
			if !slices.Equal(pair.Names, normal(w.want.Names)) {
				t.Errorf("names %v", pair.Names)
			}
		})
	}
}

// lies is what a CA may answer that must not be kept, and why.
var lies = map[string]struct {
	reason string
	answer func(w *world, pub any) string
}{
	"an empty answer":      {NoCertificate, func(*world, any) string { return "" }},
	"a page for a browser": {NoCertificate, func(*world, any) string { return "<html>503 try later</html>" }},
	"an answer of more than 1 MiB": {TooLarge, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub), w.ca.cert) + strings.Repeat("x", maxAnswer)
	}},
	"eleven certificates": {TooMany, func(w *world, pub any) string {
		return strings.Repeat(chainOf(w.ca.leaf(w, pub)), 11)
	}},
	"a thousand blocks": {NotPEM, func(w *world, pub any) string {
		return strings.Repeat(chainOf(w.ca.leaf(w, pub)), 1000)
	}},
	"a chain that lost its end": {NotPEM, func(w *world, pub any) string {
		text := chainOf(w.ca.leaf(w, pub), w.ca.cert)
		return text[:len(text)-60]
	}},
	"a block that is garbled, between two whole ones": {NotPEM, func(w *world, pub any) string {
		leaf, rest := chainOf(w.ca.leaf(w, pub)), chainOf(w.ca.cert)
		return leaf + strings.Replace(rest, "MII", "!!!", 1) + rest
	}},
	"a private key in the chain": {NotPEM, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub)) + block("PRIVATE KEY", []byte{48, 0})
	}},
	"bytes that are no certificate": {Unparsable, func(*world, any) string {
		return block("CERTIFICATE", []byte("certainly \x1b[31mnot"))
	}},
	"bytes after the certificate": {Unparsable, func(w *world, pub any) string {
		return block("CERTIFICATE", append(slices.Clone(w.ca.leaf(w, pub).Raw), 0))
	}},
	"the leaf after its intermediate": {LeafNotFirst, func(w *world, pub any) string {
		return chainOf(w.ca.cert, w.ca.leaf(w, pub))
	}},
	"a certificate for another key": {OtherKey, func(w *world, _ any) string {
		return chainOf(w.ca.leaf(w, newKey(w, renew.EC256).Public()), w.ca.cert)
	}},
	"another type of key than was wanted": {OtherKeyType, func(w *world, pub any) string {
		w.want.KeyType = renew.RSA2048
		return chainOf(w.ca.leaf(w, pub), w.ca.cert)
	}},
	"a name missing": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, named("example.com")), w.ca.cert)
	}},
	"a name too many": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, named("example.com", "www.example.com", "evil.example")), w.ca.cert)
	}},
	"no names at all": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, named(), func(c *x509.Certificate) { c.Subject.CommonName = "example.com" }), w.ca.cert)
	}},
	"a wildcard in place of a name": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, named("example.com", "*.example.com")), w.ca.cert)
	}},
	"a name that looks the same to a person": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, named("example.com", "www.xn--exmple-cua.com")), w.ca.cert)
	}},
	"an IP address missing": {WrongNames, func(w *world, pub any) string {
		w.want.Names = append(w.want.Names, "192.0.2.1")
		return chainOf(w.ca.leaf(w, pub), w.ca.cert)
	}},
	"an IP address too many": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }), w.ca.cert)
	}},
	"an IP address written as a DNS name": {WrongNames, func(w *world, pub any) string {
		w.want.Names = []string{"192.0.2.1"}
		return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) { c.DNSNames = []string{"192.0.2.1"} }), w.ca.cert)
	}},
	"a mail address": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }), w.ca.cert)
	}},
	"a URI": {WrongNames, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) {
			c.URIs = []*url.URL{{Scheme: "spiffe", Host: "example.com"}}
		}), w.ca.cert)
	}},
	"a CA certificate for our key": {LeafIsCA, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) { c.IsCA = true }), w.ca.cert)
	}},
	"a leaf without extended key usage": {LeafUsage, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, usages()), w.ca.cert)
	}},
	"a leaf for TLS clients": {LeafUsage, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, usages(x509.ExtKeyUsageClientAuth)), w.ca.cert)
	}},
	"a leaf whose key may not sign": {LeafUsage, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }), w.ca.cert)
	}},
	"a leaf that expired": {LeafExpired, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, valid(-90*day, -time.Hour)), w.ca.cert)
	}},
	"a leaf that expires this second": {LeafExpired, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, valid(-90*day, 0)), w.ca.cert)
	}},
	"a leaf of the day after tomorrow": {LeafNotYetValid, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, valid(2*day, 90*day)), w.ca.cert)
	}},
	"a leaf signed with SHA-1": {WeakSignature, func(w *world, pub any) string {
		ca := w.rsaCA()
		return chainOf(ca.leaf(w, pub, sha1), ca.cert)
	}},
	"a leaf signed with MD5": {WeakSignature, func(w *world, pub any) string {
		ca := w.rsaCA()
		return chainOf(md5(w, ca.leaf(w, pub)), ca.cert)
	}},
	"a lone leaf signed with SHA-1": {WeakSignature, func(w *world, pub any) string {
		return chainOf(w.rsaCA().leaf(w, pub, sha1))
	}},
	"an intermediate signed with SHA-1": {WeakSignature, func(w *world, pub any) string {
		ca := w.rsaCA()
		below := ca.under(w, "Below", sha1)
		return chainOf(below.leaf(w, pub), below.cert, ca.cert)
	}},
	"the leaf twice": {Duplicate, func(w *world, pub any) string {
		leaf := w.ca.leaf(w, pub)
		return chainOf(leaf, leaf, w.ca.cert)
	}},
	"an intermediate twice": {Duplicate, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub), w.ca.cert, w.ca.cert)
	}},
	"the intermediates in the wrong order": {BrokenChain, func(w *world, pub any) string {
		below := w.ca.under(w, "Below")
		return chainOf(below.leaf(w, pub), w.ca.cert, below.cert)
	}},
	"a certificate that has nothing to do with it, at the end": {BrokenChain, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub), w.ca.cert, newRoot(w, "Another \x1b[2J Root").cert)
	}},
	"an intermediate of the same name and another key": {BrokenChain, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub), w.root.under(w, "True CA").cert)
	}},
	"a signature with a bit turned": {BrokenChain, func(w *world, pub any) string {
		raw := slices.Clone(w.ca.leaf(w, pub).Raw)
		raw[len(raw)-1] ^= 1
		return block("CERTIFICATE", raw) + chainOf(w.ca.cert)
	}},
	"a leaf issued by another leaf": {IssuerNotCA, func(w *world, pub any) string {
		key := newKey(w, renew.EC256)
		other := &ca{w.ca.leaf(w, key.Public(), func(c *x509.Certificate) { c.Subject.CommonName = "leaf" }), key}
		return chainOf(other.leaf(w, pub), other.cert, w.ca.cert)
	}},
	"an intermediate that may not sign certificates": {IssuerUsage, func(w *world, pub any) string {
		below := w.ca.under(w, "Below", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
		return chainOf(below.leaf(w, pub), below.cert, w.ca.cert)
	}},
	"an intermediate for mail": {IssuerUsage, func(w *world, pub any) string {
		below := w.ca.under(w, "Below", usages(x509.ExtKeyUsageEmailProtection))
		return chainOf(below.leaf(w, pub), below.cert, w.ca.cert)
	}},
	"an intermediate that expired": {IssuerExpired, func(w *world, pub any) string {
		below := w.ca.under(w, "Below", valid(-900*day, -day))
		return chainOf(below.leaf(w, pub), below.cert, w.ca.cert)
	}},
	"a cross-signed intermediate at the end that expired": {IssuerExpired, func(w *world, pub any) string {
		old := newRoot(w, "Old Root")
		crossed := sign(w, authority("True Root", valid(-900*day, -day)), w.root.key.Public(), old)
		return chainOf(w.ca.leaf(w, pub), w.ca.cert, crossed)
	}},
	"an intermediate of next year": {IssuerNotYetValid, func(w *world, pub any) string {
		below := w.ca.under(w, "Below", valid(300*day, 900*day))
		return chainOf(below.leaf(w, pub), below.cert, w.ca.cert)
	}},
	"a precertificate": {CriticalExtension, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub, critical(1, 3, 6, 1, 4, 1, 11129, 2, 4, 3)), w.ca.cert)
	}},
	"an intermediate with a critical extension of its own": {CriticalExtension, func(w *world, pub any) string {
		below := w.ca.under(w, "Below", critical(1, 3, 6, 1, 4, 1, 99999, 1))
		return chainOf(below.leaf(w, pub), below.cert, w.ca.cert)
	}},
	"an intermediate with an RSA key of 1024 bits": {BadKeySize, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub), w.withRSA(1024))
	}},
	"an intermediate whose RSA key would take hours to verify with": {BadKeySize, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub), w.withRSA(1<<18))
	}},
	"an intermediate that may not issue for these names": {InvalidChain, func(w *world, pub any) string {
		below := w.ca.under(w, "Below", func(c *x509.Certificate) {
			c.PermittedDNSDomains, c.PermittedDNSDomainsCritical = []string{"example.net"}, true
		})
		return chainOf(below.leaf(w, pub), below.cert, w.ca.cert)
	}},
	"a path that is longer than its issuer allows": {InvalidChain, func(w *world, pub any) string {
		short := w.ca.under(w, "Short", func(c *x509.Certificate) { c.MaxPathLenZero = true })
		below := short.under(w, "Below")
		return chainOf(below.leaf(w, pub), below.cert, short.cert, w.ca.cert)
	}},
	"a private root that came along and has expired": {InvalidChain, func(w *world, pub any) string {
		root := newRoot(w, "Gone", valid(-900*day, -day))
		below := root.under(w, "Below")
		w.want.PublicCA = false
		return chainOf(below.leaf(w, pub), below.cert, root.cert)
	}},
	"a public CA's leaf without its intermediate": {UntrustedRoot, func(w *world, pub any) string {
		return chainOf(w.ca.leaf(w, pub))
	}},
	"a public CA's chain of a root that nobody knows": {UntrustedRoot, func(w *world, pub any) string {
		below := newRoot(w, "Own\x1b[1m Root").under(w, "Below")
		return chainOf(below.leaf(w, pub), below.cert)
	}},
}

func TestAcceptRefuses(t *testing.T) {
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			w, key := newWorld(t), newKey(t, renew.EC256)
			answer := lie.answer(w, key.Public())
			got, err := Accept([]byte(answer), key, w.want)
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok {
				t.Fatalf("accepted %s: %v", got.Cert, err)
			}
			if refusal.Reason != lie.reason {
				t.Errorf("refused as %s, want %s: %v", refusal.Reason, lie.reason, err)
			}
			if strings.IndexFunc(err.Error(), unicode.IsControl) >= 0 || len(err.Error()) > 1000 {
				t.Errorf("not fit for a terminal: %q", err)
			}
			if got.Cert != nil || got.Chain != nil {
				t.Error("something is handed out all the same")
			}
		})
	}
}

// The host's clock is the first thing to look at, so both messages have it.
func TestRefusedDatesTellTheClock(t *testing.T) {
	for _, name := range []string{"a leaf that expired", "a leaf of the day after tomorrow"} {
		w, key := newWorld(t), newKey(t, renew.EC256)
		_, err := Accept([]byte(lies[name].answer(w, key.Public())), key, w.want)
		if !strings.Contains(err.Error(), "the clock of this host says 2026-11-23T12:00:00Z") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func (w *world) rsaCA() *ca {
	key := newKey(w, renew.RSA2048)
	return &ca{sign(w, authority("RSA CA"), key.Public(), w.root), key}
}

// withRSA makes an intermediate like w.ca with a key of so many bits, for
// which there is no private half.
func (w *world) withRSA(bits int) *x509.Certificate {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits)-1)
	n.Add(n, big.NewInt(1))
	return sign(w, authority("True CA"), &rsa.PublicKey{N: n, E: 65537}, w.root)
}

func sha1(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA }

// md5 makes an RSA signature say that it is of MD5, in both places: the
// identifiers are 1.2.840.113549.1.1.11 and .4 (RFC 8017, appendix A.2.4), and
// the standard library no longer signs with it.
func md5(t testing.TB, cert *x509.Certificate) *x509.Certificate {
	t.Helper()
	oid := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1}
	raw := bytes.ReplaceAll(cert.Raw, append(slices.Clone(oid), 11), append(slices.Clone(oid), 4))
	weak, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return weak
}
