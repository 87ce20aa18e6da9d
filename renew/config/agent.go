package config

import (
	"fmt"
	"net/netip"

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
	c := s.read(b.Body, b.DefRange, schema{what: "the agent block", attrs: []string{"state_dir", "socket", "listen", "resolver"}})
	if one, ok := s.path(c, "state_dir"); ok {
		a.StateDir = one.text
	}
	if one, ok := s.path(c, "socket"); ok {
		a.Socket = one.text
		if len(one.text) > maxSocketPath {
			s.fail(one.rng, "socket is too long for a Unix socket", fmt.Sprintf("Write a path of at most %d bytes.", maxSocketPath))
		}
	}
	a.Resolver = s.resolver(c)
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

// resolver reads which DNS server to ask: an address, since nobody else could
// look a name up.
func (s scope) resolver(c contents) string {
	attr := c.attrs["resolver"]
	if attr == nil {
		return ""
	}
	one, ok := s.text(attr)
	if !ok {
		return ""
	}
	if ip, err := netip.ParseAddr(one.text); err == nil {
		return netip.AddrPortFrom(ip, dnsPort).String()
	}
	if address, err := netip.ParseAddrPort(one.text); err != nil || address.Port() == 0 {
		s.fail(one.rng, fmt.Sprintf("resolver is not the address of a DNS server: %s", quoted(one.text)), "Write its IP address, such as \"127.0.0.1\" or \"127.0.0.1:8053\".")
	}
	return one.text
}

// dnsPort is that of RFC 1035, section 4.2.
const dnsPort = 53

// path returns an argument that is an absolute path, where it is there.
func (s scope) path(c contents, name string) (item, bool) {
	attr := c.attrs[name]
	if attr == nil {
		return item{}, false
	}
	one, ok := s.text(attr)
	return one, ok && s.checkPath(name, one)
}
