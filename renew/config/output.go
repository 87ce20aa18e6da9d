package config

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/certvigil/certvigil/renew"
)

// defaultMode is that of a private key nobody else was given.
const defaultMode fs.FileMode = 0o600

// outputAttrs are the arguments of an install block, by its label; those of
// outputAccess are in every one.
var outputAttrs = map[string][]string{
	"pem":    {"fullchain", "cert", "chain", "key", "directory"},
	"bundle": {"path", "parts"},
	"pkcs12": {"path", "password", "encoding"},
	"jks":    {"path", "password", "alias"},
	"der":    {"cert", "key"},
}

var outputAccess = []string{"owner", "group", "mode", "acl"}

// output reads an install block of the certificate cert.
func (s scope) output(b *hcl.Block, cert string) renew.Output {
	o := renew.Output{Format: b.Labels[0], Mode: defaultMode}
	attrs, known := outputAttrs[o.Format]
	if !known {
		s.fail(b.LabelRanges[0], fmt.Sprintf("there is no format %s", quoted(o.Format)),
			"Write one of pem, bundle (key and certificates in one file, as HAProxy wants them), pkcs12, jks and der.")
		return o
	}
	c := s.read(b.Body, b.DefRange, schema{what: fmt.Sprintf("install %s", quoted(o.Format)), attrs: slices.Concat(attrs, outputAccess)})
	s.outputPaths(c, &o)
	withKey := c.attrs["key"] != nil || c.attrs["directory"] != nil
	switch o.Format {
	case "bundle":
		o.Parts, withKey = s.parts(c), true
	case "pkcs12":
		o.Legacy = s.legacy(c)
		o.Password, withKey = s.password(c, o.Format), true
	case "jks":
		o.Alias = s.alias(c, cert)
		o.Password, withKey = s.password(c, o.Format), true
	}
	o.Owner, o.Group = s.account(c, "owner"), s.account(c, "group")
	if attr := c.attrs["mode"]; attr != nil {
		o.Mode = s.mode(attr, withKey)
	}
	if attr := c.attrs["acl"]; attr != nil {
		o.ACL = s.grants(attr)
	}
	return o
}

// outputPaths reads the paths that the block writes, and reports where it has
// none, or two ways of saying it.
func (s scope) outputPaths(c contents, o *renew.Output) {
	written := false
	for _, file := range []struct {
		name string
		path *string
	}{{"fullchain", &o.Fullchain}, {"cert", &o.Cert}, {"chain", &o.Chain}, {"key", &o.Key}, {"path", &o.Path}, {"directory", &o.Directory}} {
		written = written || c.has(file.name)
		if one, ok := s.path(c, file.name); ok && s.claim(file.name, one) {
			*file.path = one.text
		}
	}
	if attr := c.attrs["directory"]; attr != nil {
		for _, name := range []string{"fullchain", "cert", "chain", "key"} {
			if c.attrs[name] != nil {
				s.fail(c.attrs[name].NameRange, fmt.Sprintf("%s beside a directory", name),
					fmt.Sprintf("Take one of them out: %s has all four files, named as in live/NAME, and an install block of its own can write %s elsewhere.", "directory", name))
			}
		}
	}
	if written {
		return
	}
	switch o.Format {
	case "pem":
		s.fail(c.rng, "install has no path to write", "Write fullchain and key, for example. Without any, servers read live/NAME in the state directory, and no install block is needed.")
	case "der":
		s.fail(c.rng, "install has no path to write", "Write key and cert, or one of them.")
	default:
		s.fail(c.rng, "install has no path to write", "Write path, the one file that it is to be in.")
	}
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
	if what == "directory" {
		for _, path := range slices.Sorted(maps.Keys(s.outputs)) {
			if within(one.text, path) {
				s.fail(one.rng, fmt.Sprintf("%s lies in the directory %s, which is switched as a whole", quoted(path), quoted(one.text)),
					fmt.Sprintf("Write it elsewhere; it is at %s.", at(hcl.Range(s.outputs[path]))))
				return false
			}
		}
		s.directories[one.text] = place(one.rng)
	}
	for _, dir := range slices.Sorted(maps.Keys(s.directories)) {
		if dir != one.text && within(dir, one.text) {
			s.fail(one.rng, fmt.Sprintf("%s lies in the directory %s, which is switched as a whole", quoted(one.text), quoted(dir)),
				fmt.Sprintf("Write it elsewhere; the directory is at %s.", at(hcl.Range(s.directories[dir]))))
			return false
		}
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
	if !accountName(one.text) {
		s.fail(one.rng, fmt.Sprintf("%s is not the name of an account: %s", what, quoted(one.text)), "Write a name such as \"www-data\", or a number in quotes.")
	}
	return one.text
}

func accountName(name string) bool {
	bad := func(r rune) bool {
		return !lowerOrDigit(r) && (r < 'A' || r > 'Z') && !strings.ContainsRune("._-@$", r)
	}
	return name != "" && !strings.ContainsFunc(name, bad) && !strings.HasPrefix(name, "-") && len(name) <= 64
}

// grants reads who may read an output beside its owner and group.
func (s scope) grants(attr *hcl.Attribute) []string {
	items, ok := s.texts(attr)
	if ok && len(items) == 0 {
		s.fail(attr.Expr.Range(), "acl is empty", "Name who may read the files, such as \"u:haproxy:r\", or take it out: the access list of a file that is replaced is kept.")
	}
	var all []string
	seen := map[string]bool{}
	for _, one := range items {
		kind, rest, _ := strings.Cut(one.text, ":")
		name, perm, _ := strings.Cut(rest, ":")
		switch {
		case kind != "u" && kind != "g" || perm != "r" || !accountName(name):
			s.fail(one.rng, fmt.Sprintf("acl has an entry that grants nothing here: %s", quoted(one.text)), "Write \"u:NAME:r\" for a user or \"g:NAME:r\" for a group; outputs are for reading.")
		case seen[one.text]:
			s.fail(one.rng, fmt.Sprintf("acl has %s twice", quoted(one.text)), "Take one out.")
		}
		seen[one.text] = true
		all = append(all, one.text)
	}
	return all
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
