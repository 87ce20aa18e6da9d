package config

import (
	"fmt"
	"strings"

	"github.com/certvigil/certvigil/renew"
)

// maxNames is how many names public CAs put into one certificate.
const maxNames = 100

// identifiers returns what the certificate is for.
func (s scope) identifiers(c contents, cert item) []string {
	attr := c.attrs["names"]
	if attr == nil {
		if !c.has("names") {
			s.fail(c.rng, fmt.Sprintf("certificate %s has no names", quoted(cert.text)), "Write names = [\"example.com\"].")
		}
		return nil
	}
	items, ok := s.texts(attr)
	if ok && len(items) == 0 {
		s.fail(attr.Expr.Range(), "names is empty", "Write at least one name, such as [\"example.com\"].")
	}
	if len(items) > maxNames {
		s.fail(attr.Expr.Range(), fmt.Sprintf("names has %d names", len(items)), fmt.Sprintf("Spread them over several certificates of at most %d.", maxNames))
	}
	seen := map[string]string{}
	var names []string
	for _, one := range items {
		if one.text == "" { // reported already
			continue
		}
		name, err := renew.ParseName(one.text)
		switch first, twice := seen[name]; {
		case err != nil:
			s.fail(one.rng, "this can't be a name of a certificate", sentence(err.Error()))
		case twice && first == one.text:
			s.fail(one.rng, fmt.Sprintf("%s is named twice", quoted(one.text)), "Take one out.")
		case twice:
			s.fail(one.rng, fmt.Sprintf("%s and %s are the same name", quoted(first), quoted(one.text)), fmt.Sprintf("Keep one; the form in the certificate is %s.", quoted(name)))
		case strings.HasPrefix(name, "*."):
			s.fail(one.rng, fmt.Sprintf("the wildcard %s needs a challenge over DNS, which is not supported by this version of certvigil", quoted(one.text)), "Write out the names that are in use: http-01 proves each by itself.")
		default:
			names = append(names, name)
		}
		seen[name] = one.text
	}
	return names
}
