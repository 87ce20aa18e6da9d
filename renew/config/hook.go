package config

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/certvigil/certvigil/hooks"
)

const (
	defaultHookTimeout = 30 * time.Second
	maxHookTimeout     = time.Hour
)

func (s scope) hook(b *hcl.Block) {
	h := hooks.Hook{Name: b.Labels[0], Timeout: defaultHookTimeout}
	c := s.read(b.Body, b.DefRange, hookSchema(b.Body))
	s.hookTest(c, &h)
	if attr := c.attrs["timeout"]; attr != nil {
		if d, ok := s.duration(attr); ok && d > maxHookTimeout {
			s.fail(attr.Expr.Range(), "timeout is longer than an hour", "Write at most \"1h\": a reload that hangs holds back every certificate that needs it.")
		} else if ok {
			h.Timeout = d
		}
	}
	if attr := c.attrs["each"]; attr != nil {
		h.Each, _ = s.boolean(attr)
	}
	if w := s.window(c); !w.Any() {
		s.windows[h.Name] = w
	}
	if reload := s.one(c, "reload"); reload != nil {
		h.Reload = s.reload(reload)
	} else if !c.has("reload") {
		s.fail(b.DefRange, fmt.Sprintf("hook %s has no reload", quoted(h.Name)), "Write reload { unit = \"nginx.service\" }, reload { command = [\"nginx\", \"-s\", \"reload\"] }, or reload with pid_file and signal, or with haproxy and certificate.")
	}
	s.cfg.Hooks[h.Name] = h
}

// hookSchema depends on how test is written: it is an argument with the argv,
// or a block with a unit, and JSON shows by the value only which of them it is.
func hookSchema(body hcl.Body) schema {
	full := schema{
		what:   "a hook block",
		attrs:  []string{"test", "timeout", "each", "window", "window_zone"},
		blocks: []header{{"reload", nil}, {"test", nil}},
	}
	if _, native := body.(*hclsyntax.Body); native {
		return full
	}
	attrs, _ := body.JustAttributes()
	if test := attrs["test"]; test != nil {
		if _, diags := hcl.ExprMap(test.Expr); !diags.HasErrors() {
			full.attrs = full.attrs[1:]
			return full
		}
	}
	full.blocks = full.blocks[:1]
	return full
}

func (s scope) hookTest(c contents, h *hooks.Hook) {
	attr, block := c.attrs["test"], s.one(c, "test")
	if attr != nil {
		h.Test = s.argv(attr)
	}
	if block == nil {
		return
	}
	if attr != nil {
		s.fail(block.DefRange, "test is written twice", fmt.Sprintf("Keep the command at %s, or this block with a unit.", at(attr.Range)))
	}
	inner := s.read(block.Body, block.DefRange, schema{what: "a test block", attrs: []string{"unit"}})
	if unit := inner.attrs["unit"]; unit != nil {
		h.TestUnit = s.unit(unit)
	} else if !inner.has("unit") {
		s.fail(block.DefRange, "test has no unit", "Write test { unit = \"certvigil-nginx-test.service\" }, or test = [\"nginx\", \"-t\"].")
	}
}

// unit returns the name of a systemd service.
func (s scope) unit(attr *hcl.Attribute) string {
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	bad := func(r rune) bool {
		return !lowerOrDigit(r) && (r < 'A' || r > 'Z') && !strings.ContainsRune(":_.@\\-", r)
	}
	base, found := strings.CutSuffix(one.text, ".service")
	switch {
	case strings.ContainsFunc(one.text, bad) || base == "" || len(one.text) > 255:
		s.fail(one.rng, fmt.Sprintf("%s is not the name of a unit", quoted(one.text)), "Write the name as systemctl shows it, such as \"nginx.service\".")
	case !found && !strings.Contains(one.text, "."):
		s.fail(one.rng, fmt.Sprintf("%s has no unit type", quoted(one.text)), fmt.Sprintf("Write %q.", one.text+".service"))
	case !found:
		s.fail(one.rng, fmt.Sprintf("%s is not a service", quoted(one.text)), "Write the name of a unit that ends in .service.")
	}
	return one.text
}

// argv reads a command: a list, run without a shell.
func (s scope) argv(attr *hcl.Attribute) []string {
	rng := attr.Expr.Range()
	if value, diags := attr.Expr.Value(nil); !diags.HasErrors() && isText(value) {
		s.fail(rng, attr.Name+" is a list, since no shell takes it apart", fmt.Sprintf("Write %s.", asList(value.AsString())))
		return nil
	}
	items, ok := s.texts(attr)
	if !ok {
		return nil
	}
	if len(items) == 0 {
		s.fail(rng, attr.Name+" is empty", "Write the program and its arguments, such as [\"nginx\", \"-t\"].")
		return nil
	}
	argv := make([]string, len(items))
	for i, one := range items {
		argv[i] = one.text
	}
	s.checkProgram(attr.Name, argv, items[0].rng)
	return argv
}

// checkProgram reports a first element that would not be run as its author
// expects: above all a whole command line, or a construct of the shell.
func (s scope) checkProgram(name string, argv []string, rng hcl.Range) {
	program, words := argv[0], strings.Fields(argv[0])
	line := len(words) > 1 && (len(argv) == 1 || !filepath.IsAbs(program) || strings.HasPrefix(words[1], "-"))
	switch {
	case strings.ContainsAny(program, "|&;<>()$`\\\"'*?[]#~={}!\t"):
		s.fail(rng, fmt.Sprintf("%s is not the name of a program", quoted(program)), "There is no shell: write the program alone, then each argument by itself. For a shell's sake, write [\"/bin/sh\", \"-c\", \"…\"].")
	case line:
		s.fail(rng, fmt.Sprintf("%s is one word to %s: there is no shell to take it apart", quoted(program), name), fmt.Sprintf("Write %s.", asList(strings.Join(argv, " "))))
	case filepath.IsAbs(program) && filepath.Clean(program) != program:
		s.fail(rng, fmt.Sprintf("%s is a path with detours", quoted(program)), fmt.Sprintf("Write %s.", quoted(filepath.Clean(program))))
	case !filepath.IsAbs(program) && strings.Contains(program, "/"):
		s.fail(rng, fmt.Sprintf("%s is a relative path", quoted(program)), "Write the program's absolute path, or its bare name where it is in the PATH.")
	}
}

// asList shows how a command line is written as an argv.
func asList(line string) string {
	var words []string
	for _, word := range strings.Fields(line) {
		words = append(words, quoted(word))
	}
	return "[" + strings.Join(words, ", ") + "]"
}
