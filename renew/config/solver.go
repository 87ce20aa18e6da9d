package config

import (
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// defaultListen is where an http-01 challenge is answered (RFC 8555, section 8.3).
const defaultListen = ":80"

// solver reads one solver block by its type.
func (s scope) solver(b *hcl.Block) {
	kind, name := b.Labels[0], b.Labels[1]
	v := Solver{Type: kind, Name: name}
	switch kind {
	case "http":
		c := s.read(b.Body, b.DefRange, schema{what: "a solver \"http\" block", attrs: []string{"listen"}})
		v.Listen = s.listen(c)
	case "webroot":
		c := s.read(b.Body, b.DefRange, schema{what: "a solver \"webroot\" block", attrs: []string{"path"}})
		v.Path = s.documentRoot(c, name)
	case "dns", "tls-alpn":
		s.unsupported(b.LabelRanges[0], fmt.Sprintf("solver %q", kind), "Use solver \"http\" or solver \"webroot\".")
	default:
		s.fail(b.LabelRanges[0], fmt.Sprintf("there is no solver of the type %s", quoted(kind)), didYouMean("", kind, []string{"http", "webroot"}, ""))
	}
	s.cfg.Solvers[kind+"."+name] = v
}

func (s scope) listen(c contents) []string {
	attr := c.attrs["listen"]
	if attr == nil {
		return []string{defaultListen}
	}
	items, ok := s.texts(attr)
	if ok && len(items) == 0 {
		s.fail(attr.Expr.Range(), "listen is empty", fmt.Sprintf("Write [%q], or take it out, which means the same.", defaultListen))
	}
	var all []string
	for _, one := range items {
		if one.text == "" || !s.checkAddress("listen", one, true) {
			continue
		}
		if first, taken := s.listeners[one.text]; taken {
			s.fail(one.rng, fmt.Sprintf("two listeners share the address %s", quoted(one.text)), fmt.Sprintf("Take one out; the first is at %s. Certificates can share a solver.", at(hcl.Range(first))))
			continue
		}
		s.listeners[one.text] = place(one.rng)
		all = append(all, one.text)
	}
	return all
}

func (s scope) documentRoot(c contents, name string) string {
	attr := c.attrs["path"]
	if attr == nil {
		if !c.has("path") {
			s.fail(c.rng, fmt.Sprintf("solver \"webroot\" %s has no path", quoted(name)), "Write path = \"/var/www/html\", the document root from which the web server answers on port 80.")
		}
		return ""
	}
	one, ok := s.path(c, "path")
	if !ok || s.opts.skipFiles {
		return one.text
	}
	root := strings.TrimSuffix(one.text, "/")
	info, err := os.Stat(root)
	switch {
	case err != nil:
		s.warn(one.rng, fmt.Sprintf("there is no folder %s", quoted(root)), "Create it before the first renewal, or write the document root that the web server uses.")
	case !info.IsDir():
		s.used[root] = true // for as long as it stands in the way
		s.fail(one.rng, fmt.Sprintf("%s is not a folder", quoted(root)), "Write the document root that the web server uses.")
	}
	return root
}
