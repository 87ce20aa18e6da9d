package config

import (
	"encoding/base64"
	"strings"

	"github.com/hashicorp/hcl/v2"
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

// hmacKey reads the key of an external account binding.
func (s scope) hmacKey(attr *hcl.Attribute) (Secret, bool) {
	text, ok := s.secret(attr, func(text string, rng hcl.Range) (string, bool) {
		text = strings.TrimRight(strings.TrimSpace(text), "=")
		if _, err := base64.RawURLEncoding.DecodeString(text); err != nil || text == "" {
			s.fail(rng, "hmac_key is not base64url", "Use it exactly as the CA gave it: letters, digits, - and _, and nothing else (RFC 8555, section 7.3.4).")
			return "", false
		}
		return text, true
	})
	return NewSecret(text), ok
}
