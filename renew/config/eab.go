package config

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

func (s scope) eab(b *hcl.Block) EAB {
	c := s.read(b.Body, b.DefRange, schema{what: "an eab block", attrs: []string{"key_id", "hmac_key"}})
	for _, name := range []string{"key_id", "hmac_key"} {
		if !c.has(name) {
			s.fail(c.rng, "eab has no "+name, "Write both key_id and hmac_key, as the CA's console shows them.")
		}
	}
	var e EAB
	if attr := c.attrs["key_id"]; attr != nil {
		one, _ := s.text(attr)
		e.KeyID = one.text
	}
	if attr := c.attrs["hmac_key"]; attr != nil {
		e.HMACKey, _ = s.hmacKey(attr)
	}
	return e
}

// hmacKey reads the one argument that takes a secret.
func (s scope) hmacKey(attr *hcl.Attribute) (Secret, bool) {
	rng := attr.Expr.Range()
	s.hideLocals(attr.Expr, map[string]bool{})
	value, ok := s.eval(attr.Expr)
	if !ok {
		return Secret{}, false
	}
	value, marks := value.UnmarkDeep()
	for mark := range marks {
		if path, open := mark.(openFile); open {
			s.fail(rng, "hmac_key comes from a file with an unsafe mode", fmt.Sprintf("Everybody on this host can read %s: chmod 0640 it and give it to the agent's group, or use credential().", quoted(string(path))))
			return Secret{}, false
		}
	}
	if value.Type() != cty.String {
		s.fail(rng, "hmac_key is not a text", "Write credential(\"NAME\"), or file(\"PATH\").")
		return Secret{}, false
	}
	text := strings.TrimRight(strings.TrimSpace(value.AsString()), "=")
	if _, err := base64.RawURLEncoding.DecodeString(text); err != nil || text == "" {
		s.fail(rng, "hmac_key is not base64url", "Use it exactly as the CA gave it: letters, digits, - and _, and nothing else (RFC 8555, section 7.3.4).")
		return Secret{}, false
	}
	if src := s.byName[rng.Filename]; src != nil && !hasSecret(marks) {
		s.hide(rng)
		if src.mode&othersRead != 0 && !s.opts.skipFiles {
			s.warn(rng, "hmac_key is written out in a file that everybody on this host can read", "Use credential(\"NAME\") or file(\"PATH\"), or chmod 0640 the configuration.")
		}
	}
	return NewSecret(text), true
}
