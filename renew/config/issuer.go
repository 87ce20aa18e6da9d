package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/certvigil/certvigil/renew"
)

// maxProfile bounds the name of a certificate profile.
const maxProfile = 64

func (s scope) issuer(b *hcl.Block) {
	c := s.read(b.Body, b.DefRange, schema{
		what:   "an issuer block",
		attrs:  []string{"directory", "contact", "agree_terms", "profile", "trust_roots", "http_port"},
		blocks: []header{{"eab", nil}},
	})
	i := Issuer{Name: b.Labels[0]}
	bound := s.directory(c, &i)
	i.Contact = s.contact(c)
	i.AgreeTerms = s.agreeTerms(c)
	i.Profile = s.profile(c)
	if attr := c.attrs["trust_roots"]; attr != nil {
		_, i.TrustRoots = s.trustRoots(attr)
	}
	i.HTTPPort = s.httpPort(c, i.WellKnown)
	if eab := s.one(c, "eab"); eab != nil {
		i.EAB = s.eab(eab)
	} else if bound && !c.has("eab") {
		s.warn(b.DefRange, fmt.Sprintf("%s registers accounts only with an external account binding", i.WellKnown),
			"Write eab { key_id = \"…\" and hmac_key = credential(\"…\") } with what the CA's console gave you.")
	}
	s.cfg.Issuers[i.Name] = i
}

// directory fills in where the CA is, and tells whether it is known to ask for
// an external account binding.
func (s scope) directory(c contents, i *Issuer) bool {
	attr := c.attrs["directory"]
	if attr == nil {
		if !c.has("directory") {
			s.fail(c.rng, fmt.Sprintf("issuer %s has no directory", quoted(i.Name)), "Write directory = \"letsencrypt\", another well-known name, or the https URL of an ACME directory.")
		}
		return false
	}
	one, ok := s.text(attr)
	if !ok {
		return false
	}
	if !strings.ContainsAny(one.text, ":/") {
		address, err := DirectoryURL(one.text)
		if err != nil {
			s.fail(one.rng, "directory names no CA", sentence(err.Error()))
			return false
		}
		one.text = address
	} else if !s.checkDirectory(one) {
		return false
	}
	i.Directory = one.text
	ca, _ := caByURL(one.text)
	i.WellKnown = ca.name
	return ca.eab
}

func (s scope) checkDirectory(one item) bool {
	u, err := url.Parse(one.text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		s.fail(one.rng, "directory is not a URL", "Write it in full, such as \"https://ca.internal/acme/acme/directory\".")
	case u.User != nil:
		s.hide(one.rng)
		s.fail(one.rng, "directory has a user name or password in it", "Take out all between https:// and the host: ACME has its own accounts.")
	case u.Scheme != "https":
		s.fail(one.rng, fmt.Sprintf("directory is %s, and ACME is spoken over https only", quoted(one.text)), fmt.Sprintf("Write %s (RFC 8555, section 6.1); trust_roots names the root of a private CA.", quoted("https://"+u.Host+u.Path)))
	case u.Fragment != "":
		s.fail(one.rng, "directory has a fragment", "Take out what follows the #.")
	default:
		return true
	}
	return false
}

func (s scope) contact(c contents) []string {
	attr := c.attrs["contact"]
	if attr == nil {
		return nil
	}
	items, _ := s.texts(attr)
	var all []string
	for _, one := range items {
		address := strings.TrimPrefix(one.text, "mailto:")
		if one.text != "" && !mailAddress(address) {
			s.fail(one.rng, fmt.Sprintf("contact is not a mail address: %s", quoted(one.text)), "Write one address in each string, such as \"ops@example.com\".")
			continue
		}
		all = append(all, address)
	}
	return all
}

// mailAddress tells whether s is one bare address that a CA takes: neither
// header fields nor a list (RFC 8555, section 7.3).
func mailAddress(s string) bool {
	user, domain, ok := strings.Cut(s, "@")
	if !ok || user == "" || strings.ContainsAny(user, " ,;?<>()\"\\:\t") {
		return false
	}
	_, err := renew.ParseName(domain)
	return err == nil && !strings.HasPrefix(domain, "*")
}

func (s scope) agreeTerms(c contents) bool {
	attr := c.attrs["agree_terms"]
	if attr == nil {
		if !c.has("agree_terms") {
			s.fail(c.rng, "agree_terms is missing", "Read the terms of service of the CA, and write agree_terms = true: without agreement it opens no account.")
		}
		return false
	}
	agreed, ok := s.boolean(attr)
	if ok && !agreed {
		s.fail(attr.Expr.Range(), "agree_terms is false", "A CA opens no account for who does not agree to its terms of service: read them and write true, or take the issuer out.")
	}
	return agreed
}

func (s scope) profile(c contents) string {
	attr := c.attrs["profile"]
	if attr == nil {
		return ""
	}
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	bad := func(r rune) bool {
		return !lowerOrDigit(r) && (r < 'A' || r > 'Z') && !strings.ContainsRune("._-", r)
	}
	if len(one.text) > maxProfile || strings.ContainsFunc(one.text, bad) {
		s.fail(one.rng, fmt.Sprintf("profile is not the name of a profile: %s", quoted(one.text)), "Write a name from the directory's list, such as \"tlsserver\".")
	}
	return one.text
}

// httpPort reads at which port the CA looks for http-01 answers. RFC 8555,
// section 8.3, knows 80 alone; private CAs can be told another.
func (s scope) httpPort(c contents, wellKnown string) int {
	attr := c.attrs["http_port"]
	if attr == nil {
		return 0
	}
	value, ok := s.plain(attr.Expr)
	if !ok {
		return 0
	}
	n, err := uint64(0), error(nil)
	if value.Type() == cty.Number {
		n, err = strconv.ParseUint(number(value), 10, 16)
	}
	switch {
	case n == 0 || err != nil:
		s.fail(attr.Expr.Range(), "http_port is no port", "Write a number from 1 to 65535, without quotes.")
	case wellKnown != "" && n != 80:
		s.fail(attr.Expr.Range(), fmt.Sprintf("%s looks at port 80 (RFC 8555, section 8.3)", wellKnown), "Take it out: only a private CA can be told another port.")
	default:
		return int(n)
	}
	return 0
}
