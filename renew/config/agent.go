package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
)

// The agent block's defaults. A command that can't read the configuration asks at
// DefaultSocket.
const (
	defaultStateDir = "/var/lib/certvigil"
	DefaultSocket   = "/run/certvigil/control.sock"
)

// maxSocketPath is the longest path of a Unix socket on Linux (unix(7)).
const maxSocketPath = 107

// agent reads the agent block, which may be missing.
func (s scope) agent(b *hcl.Block) {
	a := Agent{StateDir: defaultStateDir, Socket: DefaultSocket}
	defer func() { s.cfg.Agent = a }()
	if b == nil {
		return
	}
	c := s.read(b.Body, b.DefRange, schema{what: "the agent block", attrs: []string{"state_dir", "socket", "listen"}})
	if one, ok := s.path(c, "state_dir"); ok {
		a.StateDir = one.text
	}
	if one, ok := s.path(c, "socket"); ok {
		a.Socket = one.text
		if len(one.text) > maxSocketPath {
			s.fail(one.rng, "socket is too long for a Unix socket", fmt.Sprintf("Write a path of at most %d bytes.", maxSocketPath))
		}
	}
	attr := c.attrs["listen"]
	if attr == nil {
		return
	}
	one, ok := s.text(attr)
	if !ok || !s.checkAddress("listen", one, false) {
		return
	}
	a.Listen = one.text
	if !loopback(one.text) {
		s.warn(one.rng, "the status page can be reached from other machines", "It tells every name and every failure to whoever asks: listen on 127.0.0.1, and let a proxy with a password stand before it.")
	}
}

// path returns an argument that is an absolute path, where it is there.
func (s scope) path(c contents, name string) (item, bool) {
	attr := c.attrs[name]
	if attr == nil {
		return item{}, false
	}
	one, ok := s.text(attr)
	return one, ok && s.checkPath(name, one)
}
