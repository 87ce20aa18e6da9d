package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"github.com/certvigil/certvigil/hooks"
)

// reloadForms are the ways in which a server is told, and what goes with each.
var reloadForms = []struct {
	name, with string
	needs      string // an argument that it can't do without, as it may be written
	may        []string
}{
	{name: "unit", with: `unit = "nginx.service"`, may: []string{"try_restart"}},
	{name: "command", with: `command = ["nginx", "-s", "reload"]`},
	{name: "pid_file", with: `pid_file = "/run/nginx.pid"`, needs: `signal = "HUP"`, may: []string{"signal", "process"}},
	{name: "haproxy", with: `haproxy = "/run/haproxy/admin.sock"`, needs: `certificate = "/etc/haproxy/certs/www.pem"`, may: []string{"certificate"}},
}

// reload reads the one way in which the server is told.
func (s scope) reload(b *hcl.Block) hooks.Reload {
	known := schema{what: "a reload block"}
	var written []string
	for _, form := range reloadForms {
		known.attrs = append(append(known.attrs, form.name), form.may...)
		written = append(written, form.with)
		if form.needs != "" {
			written[len(written)-1] += " with " + form.needs
		}
	}
	advice := "Write exactly one of " + strings.Join(written[:len(written)-1], ", ") + ", or " + written[len(written)-1] + "."
	c := s.read(b.Body, b.DefRange, known)
	var forms []string
	lost := false // an argument stands without its form, which says enough
	for _, form := range reloadForms {
		if c.attrs[form.name] != nil {
			forms = append(forms, form.name)
		}
		for _, name := range form.may {
			if attr := c.attrs[name]; attr != nil && !c.has(form.name) {
				lost = true
				s.fail(attr.Range, name+" goes with "+form.name, "Write "+form.with+" beside it, or take it out.")
			}
		}
		if name, _, _ := strings.Cut(form.needs, " "); form.needs != "" && c.attrs[form.name] != nil && !c.has(name) {
			s.fail(b.DefRange, form.name+" goes with "+name, "Write "+form.needs+" beside it, or what is right for the server.")
		}
	}
	switch {
	case len(forms) > 1:
		s.fail(b.DefRange, "reload has more than one form: "+strings.Join(forms, ", "), advice)
	case len(forms) == 0 && !lost && len(c.slipped) == 0:
		s.fail(b.DefRange, "reload does not say how", advice)
	}
	return s.reloadOf(c)
}

func (s scope) reloadOf(c contents) hooks.Reload {
	var r hooks.Reload
	if attr := c.attrs["command"]; attr != nil {
		r.Command = s.argv(attr)
	}
	if attr := c.attrs["unit"]; attr != nil {
		r.Unit = s.unit(attr)
	}
	if attr := c.attrs["try_restart"]; attr != nil {
		r.TryRestart, _ = s.boolean(attr)
	}
	if one, ok := s.path(c, "pid_file"); ok {
		r.PIDFile = one.text
	}
	if attr := c.attrs["signal"]; attr != nil {
		r.Signal = s.signal(attr)
	}
	if attr := c.attrs["process"]; attr != nil {
		r.Process = s.process(attr)
	}
	if one, ok := s.path(c, "haproxy"); ok {
		r.HAProxy = one.text
	}
	if attr := c.attrs["certificate"]; attr != nil {
		r.Certificate = s.loadedName(attr)
	}
	return r
}

func (s scope) signal(attr *hcl.Attribute) string {
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	known := []string{"HUP", "USR1", "USR2", "WINCH", "INT", "TERM", "QUIT"}
	name := strings.TrimPrefix(one.text, "SIG")
	if !slices.Contains(known, name) {
		advice := fmt.Sprintf("Write one of %s.", strings.Join(known, ", "))
		if upper := strings.TrimPrefix(strings.ToUpper(one.text), "SIG"); slices.Contains(known, upper) {
			advice = fmt.Sprintf("Write %q.", upper)
		}
		s.fail(one.rng, fmt.Sprintf("%s is not a signal that reloads a server", quoted(one.text)), advice)
	}
	return name
}

// process reads what the process of a pid file must be: the name of a program,
// or its path.
func (s scope) process(attr *hcl.Attribute) string {
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	switch {
	case filepath.IsAbs(one.text):
		s.checkPath("process", one)
	case strings.ContainsAny(one.text, "/ \t"):
		s.fail(one.rng, fmt.Sprintf("%s is not the name of a program", quoted(one.text)), "Write its name alone, such as \"nginx\", or its absolute path.")
	}
	return one.text
}

// loadedName reads the file that HAProxy was started with. HAProxy knows it by
// how its own configuration has it, which need not be an absolute path.
func (s scope) loadedName(attr *hcl.Attribute) string {
	one, ok := s.text(attr)
	if ok && !hooks.LoadedName(one.text) {
		s.fail(one.rng, fmt.Sprintf("%s can't be the name of a file to HAProxy's runtime API", quoted(one.text)),
			"Write it as HAProxy's show ssl cert lists it, with no space, quote, semicolon, backslash or \"<\" in it.")
	}
	return one.text
}
