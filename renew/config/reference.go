package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// reference is the name of a block, written bare: issuer.letsencrypt,
// solver.http.main, hook.nginx.
type reference struct {
	label string // without the kind: "letsencrypt", "http.main"
	rng   hcl.Range
}

// references returns the blocks of a kind that a list names.
func (s scope) references(attr *hcl.Attribute, kind string) ([]reference, bool) {
	parts, diags := hcl.ExprList(attr.Expr)
	if diags.HasErrors() {
		advice := fmt.Sprintf("Write the references out, in brackets: [%s].", example(kind))
		if ref, ok := bareName(attr.Expr); ok {
			advice = fmt.Sprintf("Put it in brackets: [%s].", ref)
		}
		s.fail(attr.Expr.Range(), attr.Name+" is a list of references", advice)
		return nil, false
	}
	var refs []reference
	seen, ok := map[string]bool{}, true
	for _, part := range parts {
		ref, fine := s.reference(part, kind)
		if fine && seen[ref.label] {
			s.fail(ref.rng, fmt.Sprintf("%s.%s is named twice", kind, ref.label), "Take one out.")
		}
		seen[ref.label] = true
		refs = append(refs, ref)
		ok = ok && fine
	}
	return refs, ok
}

// reference returns the block of a kind that expr names, and reports where
// there is none.
func (s scope) reference(expr hcl.Expression, kind string) (reference, bool) {
	rng := expr.Range()
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() {
		advice := fmt.Sprintf("Write it bare, as in %s.", example(kind))
		if v, diags := expr.Value(nil); !diags.HasErrors() && isText(v) {
			if want := kind + "." + v.AsString(); s.labels[kind][v.AsString()].known() {
				advice = fmt.Sprintf("Write %s, without quotes.", want)
			}
		}
		s.fail(rng, fmt.Sprintf("the name of %s block is expected here", article(kind)), advice)
		return reference{}, false
	}
	if t.RootName() != kind {
		advice := fmt.Sprintf("Write a reference such as %s.", example(kind))
		if s.labels[kind][t.RootName()].known() {
			advice = fmt.Sprintf("Write %s.%s.", kind, t.RootName())
		} else if near := nearest(t.RootName(), []string{kind}); near != "" {
			advice = fmt.Sprintf("Did you mean %s?", strings.Join(append([]string{kind}, names(t)[1:]...), "."))
		}
		s.fail(rng, fmt.Sprintf("%s is not %s", strings.Join(names(t), "."), article(kind)), advice)
		return reference{}, false
	}
	label := strings.Join(names(t)[1:], ".")
	if !s.labels[kind][label].known() || len(names(t)) != len(t) {
		all := slices.Sorted(maps.Keys(s.labels[kind]))
		s.fail(rng, fmt.Sprintf("there is no %s.%s", kind, label), didYouMean(kind+".", label, all, fmt.Sprintf("There is no %s block at all: write one.", kind)))
		return reference{}, false
	}
	return reference{label, rng}, true
}

// place is where a label stands; the zero place is nowhere.
type place hcl.Range

func (p place) known() bool { return p.Filename != "" }

// names returns the steps of a traversal as far as they are names.
func names(t hcl.Traversal) []string {
	var all []string
	for i := range t {
		if n := step(t, i); n != "" {
			all = append(all, n)
		}
	}
	return all
}

// bareName returns the reference that expr is, as it is written.
func bareName(expr hcl.Expression) (string, bool) {
	t, diags := hcl.AbsTraversalForExpr(expr)
	if diags.HasErrors() || len(t) < 2 {
		return "", false
	}
	return strings.Join(names(t), "."), true
}

func example(kind string) string {
	switch kind {
	case "solver":
		return "solver.http.main"
	case "issuer":
		return "issuer.letsencrypt"
	default:
		return "hook.nginx"
	}
}

func article(kind string) string {
	if strings.ContainsAny(kind[:1], "aeiou") {
		return "an " + kind
	}
	return "a " + kind
}
