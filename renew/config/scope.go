package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope is where an expression is evaluated: the locals, and in a certificate
// with for_each, the element that it is for.
type scope struct {
	*decoder
	each map[string]cty.Value // "key" and "value"; nil outside of for_each
}

// local is one element of a locals block.
type local struct {
	expr  hcl.Expression
	rng   hcl.Range // of its name
	state localState
	value cty.Value
}

type localState int

const (
	untouched localState = iota
	visiting
	good
	bad
)

// eval computes expr. Where it returns false, the reason has been reported.
// The value is known and not null; marks are on it still.
func (s scope) eval(expr hcl.Expression) (cty.Value, bool) {
	vars, ok := s.variables(expr)
	if !ok {
		return cty.NilVal, false
	}
	ctx := &hcl.EvalContext{Variables: vars}
	if src := s.byName[expr.Range().Filename]; src != nil {
		ctx.Functions = s.functions(src.dir)
	}
	before := s.secrets
	value, diags := expr.Value(ctx)
	secret := s.secrets > before || value != cty.NilVal && containsSecret(value)
	for _, v := range vars {
		secret = secret || containsSecret(v)
	}
	if secret {
		s.hide(expr.Range())
	}
	if diags.HasErrors() {
		if !secret && !onlyOurs(diags) && asksForSecret(expr) { // it failed before the secret was even read
			s.hide(expr.Range())
			secret = true
		}
		s.evalFailed(diags, secret)
		return cty.NilVal, false
	}
	if value.IsNull() || !value.IsWhollyKnown() {
		s.fail(expr.Range(), "this has no value", "Write a value, or take the whole argument out.")
		return cty.NilVal, false
	}
	return value, true
}

// evalFailed reports why an expression has no value. What package hcl and its
// functions say may repeat what they were given: of a secret, it isn't shown.
func (s scope) evalFailed(diags hcl.Diagnostics, secret bool) {
	for _, d := range diags {
		rng := hcl.Range{}
		if d.Subject != nil {
			rng = *d.Subject
		}
		if name, said, ok := ours(d); ok {
			s.fail(rng, "the call of "+name+"() failed", sentence(string(said)))
			continue
		}
		if extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallUnknownDiagExtra](d); ok {
			name := extra.CalledFunctionName()
			s.fail(rng, fmt.Sprintf("there is no function called %s", quoted(name)), didYouMean("", name, slices.Sorted(maps.Keys(s.functions(""))), ""))
			continue
		}
		if secret {
			s.fail(rng, "this expression over a secret has no value", "What is wrong with it can't be shown: try it with a value that is no secret.")
			continue
		}
		s.foreign(hcl.Diagnostics{d})
	}
}

// ours tells whether d is what a function of ours has to say, and what that is.
func ours(d *hcl.Diagnostic) (function string, said callError, ok bool) {
	extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d)
	if !ok || !errors.As(extra.FunctionCallError(), &said) {
		return "", "", false
	}
	return extra.CalledFunctionName(), said, true
}

// onlyOurs tells whether functions of ours are all that failed.
func onlyOurs(diags hcl.Diagnostics) bool {
	return !slices.ContainsFunc(diags, func(d *hcl.Diagnostic) bool {
		_, _, ok := ours(d)
		return !ok
	})
}

// variables returns what expr needs of local and each.
func (s scope) variables(expr hcl.Expression) (map[string]cty.Value, bool) {
	vars, ok := map[string]cty.Value{}, true
	locals := map[string]cty.Value{}
	for _, t := range expr.Variables() {
		rng := t.SourceRange()
		switch t.RootName() {
		case "local":
			name := step(t, 1)
			if v, fine := s.local(name, rng); fine {
				locals[name] = v
			} else {
				ok = false
			}
		case "each":
			ok = s.checkEach(step(t, 1), rng) && ok
		default:
			s.unknownVariable(t)
			ok = false
		}
	}
	if len(locals) > 0 {
		vars["local"] = cty.ObjectVal(locals)
	}
	if s.each != nil {
		vars["each"] = cty.ObjectVal(s.each)
	}
	return vars, ok
}

func (s scope) checkEach(part string, rng hcl.Range) bool {
	switch {
	case s.each == nil:
		s.fail(rng, "each has no value here", "It has one inside of a certificate with for_each, and not in for_each itself.")
	case part != "key" && part != "value":
		s.fail(rng, "each has only a key and a value", "Write each.key or each.value.")
	default:
		return true
	}
	return false
}

func (s scope) unknownVariable(t hcl.Traversal) {
	root, rng := t.RootName(), t.SourceRange()
	if _, known := s.labels[root]; known {
		s.fail(rng, root+" references name a block and have no value", fmt.Sprintf("Write %s.NAME by itself, and only where a block is named.", root))
		return
	}
	if near := nearest(root, []string{"local", "each"}); near != "" && len(t) > 1 {
		s.fail(rng, fmt.Sprintf("nothing is called %s", quoted(root)), fmt.Sprintf("Did you mean %s?", near))
		return
	}
	s.fail(rng, fmt.Sprintf("nothing is called %s", quoted(root)), "If it is text, put it in quotes; a value of a locals block is local.NAME.")
}

// local returns the value of local.name; rng is where it is asked for.
func (d *decoder) local(name string, rng hcl.Range) (cty.Value, bool) {
	l := d.locals[name]
	switch {
	case name == "":
		d.fail(rng, "local by itself is not a value", "Write local.NAME.")
		return cty.NilVal, false
	case l == nil:
		d.fail(rng, fmt.Sprintf("there is no local.%s", name), didYouMean("local.", name, slices.Sorted(maps.Keys(d.locals)), "Define it in a locals block."))
		return cty.NilVal, false
	case l.state == visiting:
		d.fail(l.rng, fmt.Sprintf("local.%s refers to itself", name), fmt.Sprintf("Break the circle, for example at %s.", at(rng)))
		return cty.NilVal, false
	case l.state == untouched:
		l.state = visiting
		value, ok := scope{decoder: d}.eval(l.expr)
		l.value, l.state = value, bad
		if ok {
			l.state = good
		}
	}
	return l.value, l.state == good
}

// hideLocals keeps the definitions of the locals that a secret is made of from
// being shown: the text of a local may be that secret.
func (d *decoder) hideLocals(expr hcl.Expression, seen map[string]bool) {
	for _, t := range expr.Variables() {
		name := step(t, 1)
		if t.RootName() != "local" || d.locals[name] == nil || seen[name] {
			continue
		}
		seen[name] = true
		d.hide(d.locals[name].expr.Range())
		d.hideLocals(d.locals[name].expr, seen)
	}
}

// containsSecret tells whether anything in v is secret.
func containsSecret(v cty.Value) bool {
	if v == cty.NilVal {
		return false
	}
	_, marks := v.UnmarkDeep()
	return hasSecret(marks)
}

// step returns the name at position i of a traversal, written as .name or
// ["name"]; empty where there is none.
func step(t hcl.Traversal, i int) string {
	if i >= len(t) {
		return ""
	}
	switch s := t[i].(type) {
	case hcl.TraverseRoot:
		return s.Name
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		if isText(s.Key) {
			return s.Key.AsString()
		}
	}
	return ""
}

func isText(v cty.Value) bool {
	return v != cty.NilVal && v.Type() == cty.String && v.IsKnown() && !v.IsNull() && !v.IsMarked()
}
