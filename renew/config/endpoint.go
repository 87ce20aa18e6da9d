package config

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/certvigil/certvigil/renew"
)

// endpoints reads where the certificate must be seen.
func (s scope) endpoints(c contents, certNames []string) []renew.Endpoint {
	var all []renew.Endpoint
	seen := map[string]place{}
	for _, b := range c.blocks["endpoint"] {
		address := item{b.Labels[0], b.LabelRanges[0]}
		if first := seen[address.text]; first.known() {
			s.fail(address.rng, fmt.Sprintf("there are two endpoints %s", quoted(address.text)), fmt.Sprintf("Put the names of both into one, at %s.", at(hcl.Range(first))))
			continue
		}
		seen[address.text] = place(address.rng)
		s.checkAddress("the endpoint's label", address, false)
		all = append(all, s.endpoint(b, certNames))
	}
	return all
}

func (s scope) endpoint(b *hcl.Block, certNames []string) renew.Endpoint {
	e := renew.Endpoint{Address: b.Labels[0], Protocol: "tls"}
	c := s.read(b.Body, b.DefRange, schema{what: "an endpoint block", attrs: []string{"protocol", "names"}})
	if attr := c.attrs["protocol"]; attr != nil {
		if one, ok := s.text(attr); ok && one.text != "tls" {
			s.unsupported(one.rng, fmt.Sprintf("protocol %s", quoted(one.text)), "Write \"tls\", or take it out: this version proves what begins with a TLS handshake.")
		}
	}
	attr := c.attrs["names"]
	if attr == nil {
		return e
	}
	items, ok := s.texts(attr)
	if ok && len(items) == 0 {
		s.fail(attr.Expr.Range(), "names is empty", "Take it out to try every name of the certificate.")
	}
	for _, one := range items {
		if one.text == "" { // reported already
			continue
		}
		name, err := renew.ParseName(one.text)
		switch {
		case err != nil:
			s.fail(one.rng, "this can't be a name of an endpoint", sentence(err.Error()))
		case slices.Contains(e.Names, name):
			s.fail(one.rng, fmt.Sprintf("%s is named twice", quoted(one.text)), "Take one out.")
		case len(certNames) > 0 && !slices.Contains(certNames, name):
			s.fail(one.rng, fmt.Sprintf("%s is not a name of the certificate", quoted(one.text)), didYouMean("", name, certNames, ""))
		default:
			e.Names = append(e.Names, name)
		}
	}
	return e
}
