package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/certvigil/certvigil/renew"
)

// maxALPN bounds the name of an application protocol (RFC 7301, section 3.1).
const maxALPN = 255

// autoLabel is the endpoint that stands for all that are found.
const autoLabel = "auto"

// endpoints reads where the certificate must be seen, and whether other places are
// to be searched for. One address may stand twice: for names, and for who asks for
// none.
func (s scope) endpoints(c contents, cert *renew.Cert) (all []renew.Endpoint, auto bool) {
	type asked struct {
		address string
		noSNI   bool
	}
	seen := map[asked]place{}
	for _, b := range c.blocks["endpoint"] {
		address := item{b.Labels[0], b.LabelRanges[0]}
		if address.text == autoLabel {
			key := asked{address: autoLabel}
			s.autoEndpoint(b, seen[key])
			auto, seen[key] = true, place(address.rng)
			continue
		}
		e := s.endpoint(b, cert)
		key := asked{e.Address, e.NoSNI}
		if first := seen[key]; first.known() {
			s.fail(address.rng, fmt.Sprintf("there are two endpoints %s", quoted(address.text)), fmt.Sprintf("Put the names of both into one, at %s.", at(hcl.Range(first))))
			continue
		}
		seen[key] = place(address.rng)
		if path, ok := e.Socket(); ok {
			s.checkPath("the socket", item{path, address.rng})
		} else {
			s.checkAddress("the endpoint's label", address, false)
		}
		all = append(all, e)
	}
	return all, auto
}

// autoEndpoint reads a block that says nothing but that it is there: how a server
// is asked is found out.
func (s scope) autoEndpoint(b *hcl.Block, first place) {
	if first.known() {
		s.fail(b.LabelRanges[0], "there are two endpoints \"auto\"", fmt.Sprintf("Take one out; the first is at %s.", at(hcl.Range(first))))
	}
	c := s.read(b.Body, b.DefRange, endpointSchema())
	for _, name := range slices.Sorted(maps.Keys(c.attrs)) {
		s.fail(c.attrs[name].NameRange, fmt.Sprintf("%s can't be set for endpoint \"auto\"", name),
			"Take it out: how each server is asked is found out. For one that is asked in another way, write an endpoint block of its own with its address.")
	}
}

func endpointSchema() schema {
	return schema{what: "an endpoint block", attrs: []string{"protocol", "names", "sni", "proxy_protocol", "alpn", "trust_roots", "hooks"}}
}

func (s scope) endpoint(b *hcl.Block, cert *renew.Cert) renew.Endpoint {
	e := renew.Endpoint{Address: b.Labels[0], Protocol: "tls"}
	c := s.read(b.Body, b.DefRange, endpointSchema())
	if attr := c.attrs["protocol"]; attr != nil {
		if one, ok := s.text(attr); ok {
			e.Protocol = s.protocol(one)
		}
	}
	s.sni(c, &e)
	e.Names = s.endpointNames(c, cert.Names)
	if attr := c.attrs["proxy_protocol"]; attr != nil {
		e.ProxyProtocol = s.proxyProtocol(attr)
	}
	if attr := c.attrs["alpn"]; attr != nil {
		e.ALPN = s.alpn(attr)
	}
	if attr := c.attrs["trust_roots"]; attr != nil {
		e.TrustRoots, _ = s.trustRoots(attr)
	}
	if attr := c.attrs["hooks"]; attr != nil {
		e.Hooks = s.endpointHooks(attr, cert.Hooks)
	}
	return e
}

// endpointHooks reads which of the certificate's hooks have the endpoint's server
// read its files again.
func (s scope) endpointHooks(attr *hcl.Attribute, certHooks []string) []string {
	refs, ok := s.references(attr, "hook")
	if ok && len(refs) == 0 {
		s.fail(attr.Expr.Range(), "hooks is empty", "Take it out to have every hook of the certificate run again where the endpoint shows another one.")
	}
	misspelt := slices.Contains(certHooks, "") // and reported: which it was to be nobody knows
	var all []string
	for _, ref := range refs {
		if ref.label == "" { // reported already
			continue
		}
		if !misspelt && !slices.Contains(certHooks, ref.label) {
			s.fail(ref.rng, fmt.Sprintf("hook %s is none of the certificate's", quoted(ref.label)), fmt.Sprintf("Add hook.%s to the certificate's own hooks as well.", ref.label))
			continue
		}
		all = append(all, ref.label)
	}
	return all
}

func (s scope) protocol(one item) string {
	if slices.Contains(renew.Protocols, one.text) {
		return one.text
	}
	advice := didYouMean("", one.text, renew.Protocols, "")
	if plain, ok := strings.CutSuffix(one.text, "s"); ok && (plain == "http" || slices.Contains(renew.Protocols, plain)) {
		advice = fmt.Sprintf("Write \"tls\": with %s, TLS begins at once.", one.text)
	}
	s.fail(one.rng, fmt.Sprintf("there is no protocol %s", quoted(one.text)), advice)
	return "tls"
}

// sni reads whether the endpoint is asked for a name at all.
func (s scope) sni(c contents, e *renew.Endpoint) {
	attr := c.attrs["sni"]
	if attr == nil {
		return
	}
	sni, ok := s.boolean(attr)
	if !ok || sni {
		return
	}
	e.NoSNI = true
	if c.attrs["names"] != nil {
		s.fail(attr.Expr.Range(), "sni = false asks for no name, and there are names", "Take names out, or write a second endpoint block of the same address for them.")
	}
	if strings.HasPrefix(e.Protocol, "xmpp") {
		s.fail(attr.Expr.Range(), "sni = false asks for no name, and XMPP can't do without", "Take it out: an XMPP server is told the domain before TLS begins.")
	}
}

func (s scope) endpointNames(c contents, certNames []string) []string {
	attr := c.attrs["names"]
	if attr == nil {
		return nil
	}
	items, ok := s.texts(attr)
	if ok && len(items) == 0 {
		s.fail(attr.Expr.Range(), "names is empty", "Take it out to try every name of the certificate.")
	}
	var all []string
	for _, one := range items {
		if one.text == "" { // reported already
			continue
		}
		name, err := renew.ParseName(one.text)
		switch {
		case err != nil:
			s.fail(one.rng, "this can't be a name of an endpoint", sentence(err.Error()))
		case slices.Contains(all, name):
			s.fail(one.rng, fmt.Sprintf("%s is named twice", quoted(one.text)), "Take one out.")
		case len(certNames) > 0 && !slices.Contains(certNames, name):
			s.fail(one.rng, fmt.Sprintf("%s is not a name of the certificate", quoted(one.text)), didYouMean("", name, certNames, ""))
		default:
			all = append(all, name)
		}
	}
	return all
}

// proxyProtocol reads which version of the PROXY protocol the server expects.
func (s scope) proxyProtocol(attr *hcl.Attribute) int {
	value, ok := s.plain(attr.Expr)
	if !ok {
		return 0
	}
	if value.Type() == cty.Number {
		switch number(value) {
		case "1":
			return 1
		case "2":
			return 2
		}
	}
	s.fail(attr.Expr.Range(), "proxy_protocol is no version of the PROXY protocol", "Write 1 or 2, without quotes, as the server expects it; take it out where it expects none.")
	return 0
}

func (s scope) alpn(attr *hcl.Attribute) []string {
	items, ok := s.texts(attr)
	if ok && len(items) == 0 {
		s.fail(attr.Expr.Range(), "alpn is empty", "Take it out to offer none.")
	}
	var all []string
	for _, one := range items {
		switch {
		case one.text == "": // reported already
		case len(one.text) > maxALPN:
			s.fail(one.rng, fmt.Sprintf("%s is too long for the name of an application protocol", quoted(one.text)), "Write one such as \"h2\" or \"http/1.1\".")
		case slices.Contains(all, one.text):
			s.fail(one.rng, fmt.Sprintf("%s is named twice", quoted(one.text)), "Take one out.")
		default:
			all = append(all, one.text)
		}
	}
	return all
}
