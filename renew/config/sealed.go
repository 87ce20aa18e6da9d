package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"

	"github.com/certvigil/certvigil/renew"
)

// What may be in a bundle, and what most servers take.
var (
	bundleParts  = []string{"key", "cert", "chain", "fullchain"}
	defaultParts = []string{"key", "fullchain"}
)

// parts reads what is in a bundle, in its order.
func (s scope) parts(c contents) []string {
	attr := c.attrs["parts"]
	if attr == nil {
		return defaultParts
	}
	items, ok := s.texts(attr)
	if !ok {
		return nil
	}
	var all []string
	for _, one := range items {
		switch {
		case !slices.Contains(bundleParts, one.text):
			s.fail(one.rng, fmt.Sprintf("there is no part %s", quoted(one.text)), didYouMean("", one.text, bundleParts, "Write key, cert, chain or fullchain."))
			return nil
		case slices.Contains(all, one.text):
			s.fail(one.rng, fmt.Sprintf("parts has %s twice", quoted(one.text)), "Take one out.")
			return nil
		}
		all = append(all, one.text)
	}
	whole := slices.Contains(all, "fullchain")
	rng := attr.Expr.Range()
	switch {
	case !slices.Contains(all, "key"):
		s.fail(rng, "parts has no key", "Write [\"key\", \"fullchain\"], in any order. Certificates without their key are install \"pem\" with fullchain or cert.")
	case whole && slices.Contains(all, "cert"):
		s.fail(rng, "parts has the certificate twice: fullchain begins with it", "Take cert out.")
	case whole && slices.Contains(all, "chain"):
		s.fail(rng, "parts has the chain twice: fullchain ends with it", "Take chain out, or write cert in place of fullchain.")
	case !whole && !slices.Contains(all, "cert"):
		s.fail(rng, "parts has no certificate", "Add fullchain, or cert where the server wants the chain elsewhere.")
	}
	return all
}

// legacy tells whether a PKCS#12 file is to be one for old readers.
func (s scope) legacy(c contents) bool {
	attr := c.attrs["encoding"]
	if attr == nil {
		return false
	}
	one, ok := s.text(attr)
	if ok && one.text != "modern" && one.text != "legacy" {
		s.fail(one.rng, fmt.Sprintf("there is no encoding %s", quoted(one.text)), "Write \"modern\", which is the default, or \"legacy\" for what is older than OpenSSL 1.1.1, Java 12 and Windows Server 2019.")
	}
	return one.text == "legacy"
}

// alias reads the name of a keystore's entry; it is the certificate's where
// nobody says. Java turns it into lower case.
func (s scope) alias(c contents, cert string) string {
	attr := c.attrs["alias"]
	if attr == nil {
		return cert
	}
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	bad := func(r rune) bool { return r <= ' ' || r > '~' || unicode.IsUpper(r) }
	if strings.ContainsFunc(one.text, bad) || len(one.text) > 255 {
		s.fail(one.rng, fmt.Sprintf("alias can't be the name of an entry: %s", quoted(one.text)), "Write lower-case letters, digits and signs of ASCII, without spaces: Java turns all others into another name.")
	}
	return one.text
}

// leastJKS is what keytool and Java's own classes want of a keystore's password.
const leastJKS = 6

// password reads what an output is encrypted with; nil where it is not to be had
// here.
func (s scope) password(c contents, format string) renew.Password {
	attr := c.attrs["password"]
	if attr == nil {
		if !c.has("password") {
			s.fail(c.rng, fmt.Sprintf("install %s has no password", quoted(format)), "Write password = credential(\"NAME\"), with the password that the server is given.")
		}
		return nil
	}
	text, ok := s.secret(attr, func(text string, rng hcl.Range) (string, bool) {
		text = strings.TrimRight(text, "\r\n") // that a file ends with
		bad := func(r rune) bool { return r < ' ' || r > 0xffff }
		if format == "jks" {
			bad = func(r rune) bool { return r < ' ' || r > '~' }
		}
		switch {
		case text == "":
			s.fail(rng, "password is empty", "Write credential(\"NAME\"), or file(\"PATH\"), of a file with the password in its one line.")
		case strings.ContainsFunc(text, bad) && format == "jks":
			s.fail(rng, "password has characters that are not ASCII, or none that are printed", "Use one of printed ASCII characters: of others, programs make different bytes.")
		case strings.ContainsFunc(text, bad):
			s.fail(rng, "password has characters that a PKCS#12 file can't have", "Use one without line ends and control characters, and without emoji.")
		case format == "jks" && len(text) < leastJKS:
			s.fail(rng, "password is too short for a keystore", fmt.Sprintf("Use at least %d characters: Java's keytool takes no fewer.", leastJKS))
		default:
			return text, true
		}
		return "", false
	})
	if !ok || s.opts.skipFiles { // something stands in for it: nothing would open with that
		return nil
	}
	return NewSecret(text)
}
