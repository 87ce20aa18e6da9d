package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A secret written out in the configuration is not the value of anything yet
// when a diagnostic points at its line: the attribute may be misspelled, the
// file may not even parse. So the lines are found by the attribute's name, and
// generously: a line too many hidden costs a glance into the file.

// secretWord tells whether the value of an attribute or key of this name is
// likely a secret.
func secretWord(name string) bool {
	name = strings.ToLower(name)
	return nearest(name, []string{"password"}) != "" || slices.ContainsFunc([]string{"hmac", "secret", "token", "passw", "credential", "api_key", "apikey", "private_key"},
		func(word string) bool { return strings.Contains(name, word) })
}

// hideWritten hides the lines of src that have a secret written out. body is
// its syntax tree, where it has one; whole tells whether the file parsed.
func (s *source) hideWritten(body *hclsyntax.Body, whole bool) {
	switch {
	case !whole:
		s.hideByText()
	case body != nil:
		s.hideInBody(body, false)
	default:
		s.hideInJSON()
	}
}

// hideInBody walks blocks and attributes. In an eab block everything but
// key_id counts as secret, since a misspelled hmac_key is one.
func (s *source) hideInBody(body *hclsyntax.Body, binding bool) {
	for _, attr := range body.Attributes {
		if secretWord(attr.Name) || binding && attr.Name != "key_id" {
			if literal(attr.Expr) {
				s.hide(attr.Expr.Range())
			}
			continue
		}
		s.hideInExpr(attr.Expr)
	}
	for _, block := range body.Blocks {
		s.hideInBody(block.Body, block.Type == "eab")
	}
}

// hideInExpr looks for secret words among the keys of objects.
func (s *source) hideInExpr(expr hclsyntax.Expression) {
	_ = hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		object, ok := node.(*hclsyntax.ObjectConsExpr)
		if !ok {
			return nil
		}
		for _, item := range object.Items {
			key := hcl.ExprAsKeyword(item.KeyExpr)
			if v, diags := item.KeyExpr.Value(nil); key == "" && !diags.HasErrors() && isText(v) {
				key = v.AsString()
			}
			if secretWord(key) && literal(item.ValueExpr) {
				s.hide(item.ValueExpr.Range())
			}
		}
		return nil
	})
}

// literal tells whether expr has text written out in it, other than what
// credential, env and file are called with.
func literal(expr hclsyntax.Expression) bool {
	l := &literals{}
	_ = hclsyntax.Walk(expr, l)
	return l.found
}

type literals struct {
	inCall int
	found  bool
}

func (l *literals) Enter(node hclsyntax.Node) hcl.Diagnostics {
	switch n := node.(type) {
	case *hclsyntax.FunctionCallExpr:
		if namesSecret(n.Name) {
			l.inCall++
		}
	case *hclsyntax.LiteralValueExpr:
		l.found = l.found || l.inCall == 0
	}
	return nil
}

func (l *literals) Exit(node hclsyntax.Node) hcl.Diagnostics {
	if n, ok := node.(*hclsyntax.FunctionCallExpr); ok && namesSecret(n.Name) {
		l.inCall--
	}
	return nil
}

func namesSecret(function string) bool {
	return function == "credential" || function == "env" || function == "file"
}

// asksForSecret tells whether a call in expr may return a secret.
func asksForSecret(expr hcl.Expression) bool {
	native, ok := expr.(hclsyntax.Expression)
	if !ok {
		return false
	}
	found := false
	_ = hclsyntax.VisitAll(native, func(node hclsyntax.Node) hcl.Diagnostics {
		call, ok := node.(*hclsyntax.FunctionCallExpr)
		found = found || ok && namesSecret(call.Name)
		return nil
	})
	return found
}

// hideInJSON does the same for JSON text that parses.
func (s *source) hideInJSON() {
	dec := json.NewDecoder(bytes.NewReader(s.text))
	s.hideInValue(dec, "", false)
}

// hideInValue reads one value; key is the one that it stands under. Its depth
// is bounded by maxNesting.
func (s *source) hideInValue(dec *json.Decoder, key string, binding bool) {
	from := int(dec.InputOffset())
	token, err := dec.Token()
	if err != nil {
		return
	}
	switch token {
	case json.Delim('['):
		for dec.More() {
			s.hideInValue(dec, key, binding)
		}
		_, _ = dec.Token()
	case json.Delim('{'):
		for dec.More() {
			name, err := dec.Token()
			if err != nil {
				return
			}
			text, _ := name.(string)
			s.hideInValue(dec, text, key == "eab")
		}
		_, _ = dec.Token()
	default:
		if _, ok := token.(string); !ok {
			return
		}
	}
	if secretWord(key) || binding && key != "key_id" && key != "//" {
		s.hideBytes(from, int(dec.InputOffset()))
	}
}

// hideByText is for a file that does not parse. Nobody knows where a string in
// it ends: from a secret word on, all is hidden up to the next closing brace.
func (s *source) hideByText() {
	const name = `([A-Za-z_][A-Za-z0-9_-]*)"?\s*[=:]`
	assigned := regexp.MustCompile(name)
	assignedLocal := regexp.MustCompile(name + `\s*"?(?:\$\{)?\s*local\.([A-Za-z0-9_-]+)`)
	locals := map[string]bool{}
	for _, m := range assignedLocal.FindAllStringSubmatch(string(s.text), -1) {
		if secretWord(m[1]) {
			locals[m[2]] = true
		}
	}
	within := false
	for i, line := range s.lines {
		starts := strings.Contains(line, "eab")
		for _, m := range assigned.FindAllStringSubmatch(line, -1) {
			starts = starts || secretWord(m[1]) || locals[m[1]]
		}
		within = within || starts || secretWord(line)
		if within {
			s.hidden[i+1] = true
		}
		if within && strings.Contains(line, "}") {
			within = false
		}
	}
}
