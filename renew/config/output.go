package config

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/certvigil/certvigil/renew"
)

// defaultMode is that of a private key nobody else was given.
const defaultMode fs.FileMode = 0o600

// output reads an install block.
func (s scope) output(b *hcl.Block) renew.Output {
	o := renew.Output{Format: b.Labels[0], Mode: defaultMode}
	if o.Format != "pem" {
		s.unsupported(b.LabelRanges[0], fmt.Sprintf("install %s", quoted(o.Format)), "Write install \"pem\" with fullchain and key; a reload command can build other formats from them.")
		return o
	}
	c := s.read(b.Body, b.DefRange, schema{what: "an install block", attrs: []string{"fullchain", "cert", "chain", "key", "owner", "group", "mode"}})
	for _, file := range []struct {
		name string
		path *string
	}{{"fullchain", &o.Fullchain}, {"cert", &o.Cert}, {"chain", &o.Chain}, {"key", &o.Key}} {
		if one, ok := s.path(c, file.name); ok && s.claim(file.name, one) {
			*file.path = one.text
		}
	}
	if !c.has("fullchain") && !c.has("cert") && !c.has("chain") && !c.has("key") {
		s.fail(b.DefRange, "install has no path to write", "Write fullchain and key, for example. Without any, servers read live/NAME in the state directory, and no install block is needed.")
	}
	o.Owner, o.Group = s.account(c, "owner"), s.account(c, "group")
	if attr := c.attrs["mode"]; attr != nil {
		o.Mode = s.mode(attr, c.attrs["key"] != nil)
	}
	return o
}

// claim notes an output path, which only one output of one certificate writes.
func (s scope) claim(what string, one item) bool {
	if dir := s.cfg.Agent.StateDir; within(dir, one.text) {
		s.fail(one.rng, fmt.Sprintf("%s lies in the state directory, %s", what, dir), "Write a path outside of it; the pair is in live/NAME there without an install block.")
		return false
	}
	if first := s.outputs[one.text]; first.known() {
		s.fail(one.rng, fmt.Sprintf("two outputs write %s", quoted(one.text)), fmt.Sprintf("Give each a path of its own; the first is at %s.", at(hcl.Range(first))))
		return false
	}
	s.outputs[one.text] = place(one.rng)
	return true
}

// account returns the name or the number of a user or group. Whether it exists
// is seen when files are written: it may be created later.
func (s scope) account(c contents, what string) string {
	attr := c.attrs[what]
	if attr == nil {
		return ""
	}
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	bad := func(r rune) bool {
		return !lowerOrDigit(r) && (r < 'A' || r > 'Z') && !strings.ContainsRune("._-@$", r)
	}
	if strings.ContainsFunc(one.text, bad) || strings.HasPrefix(one.text, "-") || len(one.text) > 64 {
		s.fail(one.rng, fmt.Sprintf("%s is not the name of an account: %s", what, quoted(one.text)), "Write a name such as \"www-data\", or a number in quotes.")
	}
	return one.text
}

// mode reads the permissions of an output; withKey tells whether a key is among
// what they hold for.
func (s scope) mode(attr *hcl.Attribute, withKey bool) fs.FileMode {
	value, ok := s.plain(attr.Expr)
	if !ok {
		return 0
	}
	one, ok := s.asText(value, attr.Name, attr.Expr.Range())
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(one.text, 8, 12)
	mode := fs.FileMode(n)
	switch {
	case err != nil || len(one.text) < 3 || len(one.text) > 4:
		s.fail(one.rng, fmt.Sprintf("mode is not octal: %s", quoted(one.text)), "Write the digits as chmod takes them, such as \"0640\".")
	case mode&^0o666 != 0:
		s.fail(one.rng, fmt.Sprintf("mode %s makes files executable, or more", one.text), "Use reading and writing only, such as \"0640\".")
	case mode&0o002 != 0:
		s.fail(one.rng, fmt.Sprintf("mode %s lets everybody write", one.text), "Write \"0640\", with the group of the server.")
	case mode&othersRead != 0 && withKey:
		s.fail(one.rng, fmt.Sprintf("mode %s lets everybody on this host read the key", one.text), "Write \"0640\", with the group of the server.")
	case mode&0o400 == 0:
		s.fail(one.rng, fmt.Sprintf("mode %s keeps the owner from reading", one.text), "Write \"0600\" or \"0640\".")
	}
	return mode
}
