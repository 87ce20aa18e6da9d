package config

import (
	"fmt"
	"regexp"
	"strconv"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/certvigil/certvigil/renew"
)

// lateFraction is the lifetime_left above which a certificate is renewed almost
// as soon as it was issued.
const lateFraction renew.Fraction = 9.0 / 10

func (s scope) certRenew(c contents, cert *renew.Cert) {
	b := s.one(c, "renew")
	if b == nil {
		return
	}
	r := s.read(b.Body, b.DefRange, schema{
		what: "a renew block", attrs: []string{"lifetime_left", "ari", "window", "window_zone"},
	})
	cert.Window = s.window(r)
	if attr := r.attrs["ari"]; attr != nil {
		if ari, ok := s.boolean(attr); ok {
			cert.ARI = ari
		}
	}
	if attr := r.attrs["lifetime_left"]; attr != nil {
		cert.LifetimeLeft = s.fraction(attr)
	}
}

// fraction reads a part of a lifetime: "1/3", "0.33" or "33%".
func (s scope) fraction(attr *hcl.Attribute) renew.Fraction {
	value, ok := s.plain(attr.Expr)
	if !ok {
		return 0
	}
	rng := attr.Expr.Range()
	if value.Type() == cty.Number {
		s.fail(rng, attr.Name+" is a text, and this is a number", "Put it in quotes: \"1/3\", \"0.33\" or \"33%\".")
		return 0
	}
	one, ok := s.asText(value, attr.Name, rng)
	if !ok {
		return 0
	}
	f, ok := parseFraction(one.text)
	if !ok || f <= 0 || f >= 1 {
		s.fail(rng, fmt.Sprintf("%s is not a part of a lifetime: %s", attr.Name, quoted(one.text)), "Write a part between 0 and 1, such as \"1/3\", \"0.33\" or \"33%\".")
		return 0
	}
	if f > lateFraction {
		s.warn(rng, fmt.Sprintf("with %s left, the certificate is renewed almost as soon as it was issued", one.text), "CAs limit how often they issue for the same names: write \"1/3\", or take it out.")
	}
	return f
}

// parseFraction takes plain decimals only, and no exponents.
func parseFraction(text string) (renew.Fraction, bool) {
	m := regexp.MustCompile(`^(?:(\d{1,9})/(\d{1,9})|(\d{1,9}(?:\.\d{1,9})?)(%?))$`).FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	if m[1] != "" {
		over, _ := strconv.ParseFloat(m[1], 64)
		under, _ := strconv.ParseFloat(m[2], 64)
		return renew.Fraction(over / under), under != 0
	}
	f, _ := strconv.ParseFloat(m[3], 64)
	if m[4] == "%" {
		f /= 100
	}
	return renew.Fraction(f), true
}
