package config

import (
	"fmt"

	"github.com/certvigil/certvigil/renew"
)

// certHooks reads which hooks a certificate has, and when those are wanted.
func (s scope) certHooks(c contents, cert *renew.Cert) {
	attr := c.attrs["hooks"]
	if attr == nil {
		return
	}
	refs, _ := s.references(attr, "hook")
	for _, ref := range refs {
		cert.Hooks = append(cert.Hooks, ref.label)
		if w, ok := s.windows[ref.label]; ok {
			if cert.HookWindows == nil {
				cert.HookWindows = map[string]renew.Window{}
			}
			cert.HookWindows[ref.label] = w
		}
		if s.cfg.Hooks[ref.label].Reload.HAProxy == "" {
			continue
		}
		if other, taken := s.held[ref.label]; taken && other != cert.Name {
			s.fail(ref.rng, fmt.Sprintf("hook %s is for one certificate, and %s has it already", quoted(ref.label), quoted(other)),
				"Write a hook for each: certificate names the file that HAProxy holds it in.")
		}
		s.held[ref.label] = cert.Name
	}
}
