package config

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// redacted is what every way of printing a Secret prints.
const redacted = "(secret)"

// String returns "(secret)".
func (s Secret) String() string { return redacted }

// GoString returns "(secret)".
func (s Secret) GoString() string { return redacted }

// Format prints "(secret)" for every verb, %x and %q included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue makes slog print "(secret)".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON returns "(secret)" as a JSON string.
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalText returns "(secret)".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// secret reads an argument that takes a secret. check trims what was read, or
// reports what is wrong with it, without showing it.
func (s scope) secret(attr *hcl.Attribute, check func(text string, rng hcl.Range) (string, bool)) (string, bool) {
	rng := attr.Expr.Range()
	s.hideLocals(attr.Expr, map[string]bool{})
	value, ok := s.eval(attr.Expr)
	if !ok {
		return "", false
	}
	value, marks := value.UnmarkDeep()
	for mark := range marks {
		if path, open := mark.(openFile); open {
			s.fail(rng, attr.Name+" comes from a file with an unsafe mode", fmt.Sprintf("Everybody on this host can read %s: chmod 0640 it and give it to the agent's group, or use credential().", quoted(string(path))))
			return "", false
		}
	}
	if value.Type() != cty.String {
		s.fail(rng, attr.Name+" is not a text", "Write credential(\"NAME\"), or file(\"PATH\").")
		return "", false
	}
	text, ok := check(value.AsString(), rng)
	if !ok {
		return "", false
	}
	if src := s.byName[rng.Filename]; src != nil && !hasSecret(marks) {
		s.hide(rng)
		if src.mode&othersRead != 0 && !s.opts.skipFiles {
			s.warn(rng, attr.Name+" is written out in a file that everybody on this host can read", "Use credential(\"NAME\") or file(\"PATH\"), or chmod 0640 the configuration.")
		}
	}
	return text, true
}
