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

func certificateSchema() schema {
	return schema{
		what:   "a certificate block",
		attrs:  []string{"names", "issuers", "solver", "hooks", "rescue", "on_change", "for_each"},
		blocks: []header{{"key", nil}, {"renew", nil}, {"install", []string{"FORMAT"}}, {"endpoint", []string{"HOST:PORT"}}},
		later: []later{
			{header: header{"solve", []string{"NAME"}}, advice: "Take the block out: one solver answers for all names of a certificate. Names that need another go into a certificate of their own."},
		},
	}
}

// certificates reads one certificate block: one certificate, or with for_each,
// one for each element.
func (s scope) certificates(b *hcl.Block) {
	c := s.read(b.Body, b.DefRange, certificateSchema())
	attr := c.attrs["for_each"]
	if attr == nil {
		s.certificate(c, item{b.Labels[0], b.LabelRanges[0]})
		return
	}
	value, ok := s.eval(attr.Expr)
	if !ok {
		return
	}
	for _, e := range s.forEach(value, attr.Expr.Range()) {
		inner := scope{decoder: s.decoder, each: map[string]cty.Value{"key": cty.StringVal(e.key), "value": e.value}}
		name := item{b.Labels[0] + "-" + e.key, attr.Expr.Range()}
		if validLabel(b.Labels[0]) && !validLabel(name.text) {
			s.fail(name.rng, fmt.Sprintf("%s can't be the name of a certificate", quoted(name.text)),
				"A certificate of for_each is called LABEL-KEY: use keys of lower-case letters, digits, dots, hyphens and underscores, and at most 63 characters in all.")
		}
		inner.certificate(c, name)
	}
}

// certificate reads one certificate.
func (s scope) certificate(c contents, name item) {
	if first := s.certs[name.text]; first.known() {
		s.fail(name.rng, fmt.Sprintf("there are two certificates called %s", quoted(name.text)), fmt.Sprintf("Rename one, or a key of for_each; the first is at %s.", at(hcl.Range(first))))
		return
	}
	s.certs[name.text] = place(name.rng)
	cert := renew.Cert{Name: name.text, KeyType: renew.EC256, ARI: true, Rescue: true}
	cert.Names = s.identifiers(c, name)
	cert.Issuers = s.certIssuers(c, name)
	cert.Solver = s.certSolver(c, name)
	s.certKey(c, &cert)
	s.certRenew(c, &cert)
	for _, b := range c.blocks["install"] {
		cert.Outputs = append(cert.Outputs, s.output(b, name.text))
	}
	s.certHooks(c, &cert)
	if attr := c.attrs["on_change"]; attr != nil {
		cert.OnChange = s.onChange(attr)
	}
	if attr := c.attrs["rescue"]; attr != nil {
		cert.Rescue, _ = s.boolean(attr)
	}
	cert.Endpoints, cert.Auto = s.endpoints(c, &cert)
	s.checkSet(c, cert)
	s.cfg.Certs = append(s.cfg.Certs, cert)
}

// certIssuers returns the CAs to ask; the only one may be left out.
func (s scope) certIssuers(c contents, cert item) []renew.Issuer {
	var labels []string
	attr := c.attrs["issuers"]
	switch {
	case attr != nil:
		refs, ok := s.references(attr, "issuer")
		for _, ref := range refs {
			labels = append(labels, ref.label)
		}
		if ok && len(refs) == 0 {
			s.fail(attr.Expr.Range(), "issuers is empty", "Name at least one, such as [issuer.letsencrypt].")
		}
	case !c.has("issuers"):
		labels = s.only("issuer", "issuers = [%s]", c, cert)
	}
	var all []renew.Issuer
	for _, label := range labels {
		i := s.cfg.Issuers[label]
		all = append(all, renew.Issuer{Name: i.Name, Directory: i.Directory, Profile: i.Profile})
	}
	return all
}

func (s scope) certSolver(c contents, cert item) string {
	attr := c.attrs["solver"]
	if attr != nil {
		ref, _ := s.reference(attr.Expr, "solver")
		return ref.label
	}
	if c.has("solver") {
		return ""
	}
	labels := s.only("solver", "solver = %s", c, cert)
	if len(labels) == 0 {
		return ""
	}
	return labels[0]
}

// only returns the label of the one block of its kind, and reports where there
// is none, or a choice.
func (s scope) only(kind, form string, c contents, cert item) []string {
	all := slices.Sorted(maps.Keys(s.labels[kind]))
	switch len(all) {
	case 1:
		return all
	case 0:
		if s.slipped[kind] {
			return nil
		}
		advice := `Write issuer "letsencrypt" { directory = "letsencrypt", … } with agree_terms = true.`
		if kind == "solver" {
			advice = `Write solver "http" "main" {}, which answers on port 80.`
		}
		s.fail(c.rng, fmt.Sprintf("certificate %s has no %s, since none is configured", quoted(cert.text), kind), advice)
	default:
		s.fail(c.rng, fmt.Sprintf("certificate %s does not say which %s, and there are %d", quoted(cert.text), kind, len(all)),
			fmt.Sprintf("Write %s; there is: %s.", fmt.Sprintf(form, kind+"."+all[0]), kind+"."+strings.Join(all, ", "+kind+".")))
	}
	return nil
}

func (s scope) certKey(c contents, cert *renew.Cert) {
	b := s.one(c, "key")
	if b == nil {
		return
	}
	k := s.read(b.Body, b.DefRange, schema{what: "a key block", attrs: []string{"type", "reuse"}})
	if attr := k.attrs["reuse"]; attr != nil {
		cert.ReuseKey, _ = s.boolean(attr)
	}
	attr := k.attrs["type"]
	if attr == nil {
		return
	}
	one, ok := s.text(attr)
	if !ok {
		return
	}
	if cert.KeyType = renew.KeyType(one.text); !slices.Contains(renew.KeyTypes, cert.KeyType) {
		var all []string
		for _, t := range renew.KeyTypes {
			all = append(all, string(t))
		}
		s.fail(one.rng, fmt.Sprintf("there is no key type %s", quoted(one.text)), fmt.Sprintf("Write one of %s.", strings.Join(all, ", ")))
	}
}

// onChange reads what is done about what someone else puts in place.
func (s scope) onChange(attr *hcl.Attribute) renew.OnChange {
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	if !slices.Contains(renew.OnChanges, renew.OnChange(one.text)) {
		s.fail(one.rng, fmt.Sprintf("there is no on_change %s", quoted(one.text)),
			"Write \"adopt\" to take over a better certificate of someone else's, \"restore\" to replace whatever it is, or \"alarm\" to leave it and tell.")
		return ""
	}
	return renew.OnChange(one.text)
}

// checkSet reports a second certificate with the same names from the same CA
// and with a key of the same type: it proves nothing that the first does not,
// and both count against the CA's limit for an exact set. RSA beside ECDSA, and
// a private CA beside a public one, are of use.
func (s scope) checkSet(c contents, cert renew.Cert) {
	if len(cert.Names) == 0 || len(cert.Issuers) == 0 {
		return
	}
	set := cert.Set() + " " + string(cert.KeyType) + " " + cert.Issuers[0].Directory
	rng := c.rng
	if attr := c.attrs["names"]; attr != nil {
		rng = attr.Expr.Range()
	}
	if first, taken := s.sets[set]; taken {
		s.fail(rng, fmt.Sprintf("certificates %s and %s have the same names", quoted(first.name), quoted(cert.Name)),
			fmt.Sprintf("Keep one, at %s, with the outputs and hooks of both: a CA issues only a few certificates a week for one set of names.", at(hcl.Range(first.place))))
		return
	}
	s.sets[set] = named{cert.Name, place(rng)}
}

func byName(a, b renew.Cert) int { return strings.Compare(a.Name, b.Name) }
