package discover

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// use is what a server's configuration says of one address: which names are served
// there, and from which files.
type use struct {
	server   string     // whose
	host     netip.Addr // zero: every address
	port     uint16     //
	path     string     // of a UNIX socket, in their place
	proxy    bool       // a PROXY header is expected
	names    []string   // as configured, patterns included
	any      bool       // it answers for whatever name: HAProxy goes by the certificates
	standard bool       // it answers where no name fits
	files    []string   // certificates; empty where nobody knows
}

// at tells whether u is about the place where l is asked.
func (u use) at(l listener) bool {
	if path, ok := strings.CutPrefix(l.address, "unix:"); ok || u.path != "" {
		return ok && u.path == path
	}
	asked, err := netip.ParseAddrPort(l.address)
	return err == nil && u.port == asked.Port() && (!u.host.IsValid() || u.host == asked.Addr())
}

// assign gives each listener what configurations say of it, and adds those that
// they alone know of: UNIX sockets, and addresses that share the socket of every
// address.
func assign(all []listener, uses []use) []listener {
	known := func(address string) bool {
		return slices.ContainsFunc(all, func(l listener) bool { return l.address == address })
	}
	for _, u := range uses {
		if u.path != "" {
			if fi, err := os.Stat(u.path); err == nil && fi.Mode()&os.ModeSocket != 0 && !known("unix:"+u.path) {
				all = append(all, listener{address: "unix:" + u.path, socket: "unix:" + u.path, process: u.server})
			}
			continue
		}
		if !u.host.IsValid() || u.host.IsUnspecified() {
			continue
		}
		at := netip.AddrPortFrom(u.host, u.port)
		i := slices.IndexFunc(all, func(l listener) bool {
			return l.bound.Port() == u.port && l.bound.Addr().IsUnspecified() && l.bound.Addr().Is4() == u.host.Is4()
		})
		if i >= 0 && !known(at.String()) {
			all = append(all, listener{address: at.String(), bound: at, socket: at.String() + " of " + all[i].socket, process: all[i].process})
		}
	}
	for i := range all {
		// Who names an address comes before who takes every one.
		var here, anywhere []use
		for _, u := range uses {
			if !u.at(all[i]) {
				continue
			}
			if u.host.IsValid() || u.path != "" {
				here = append(here, u)
			} else {
				anywhere = append(anywhere, u)
			}
		}
		if all[i].uses = here; len(here) == 0 {
			all[i].uses = anywhere
		}
	}
	return all
}

// files returns what l serves a name from; none where nobody knows. The order is
// nginx's: the name itself, the longest pattern, the default. A pattern that is a
// regular expression could be anything.
func (l listener) files(name string) []string {
	var best *use
	rank := -1
	for i := range l.uses {
		u := &l.uses[i]
		r := -1
		switch {
		case u.any:
			r = 0
		case u.standard:
			r = 1
		}
		for _, pattern := range u.names {
			r = max(r, fits(pattern, name))
		}
		if r > rank {
			best, rank = u, r
		}
	}
	if best == nil {
		return nil
	}
	return best.files
}

// Ranks of how a pattern fits, above those of no fit.
const (
	byRegexp  = 2
	byPattern = 3 // and as much more as the pattern is long
	byName    = 1000
)

func fits(pattern, name string) int {
	pattern, name = strings.ToLower(pattern), strings.ToLower(name)
	under, leading := strings.CutPrefix(pattern, "*.")
	before, trailing := strings.CutSuffix(pattern, ".*")
	switch {
	case pattern == name:
		return byName
	case strings.HasPrefix(pattern, "~"):
		return byRegexp
	case strings.HasPrefix(pattern, ".") && (name == pattern[1:] || strings.HasSuffix(name, pattern)):
		return byPattern + len(pattern)
	case leading && strings.HasSuffix(name, "."+under):
		return byPattern + len(pattern)
	case trailing && strings.HasPrefix(name, before+"."):
		return byPattern + len(pattern)
	}
	return -1
}

// parseBinding reads an address as servers write it: PORT, HOST:PORT, *:PORT,
// [IPv6]:PORT. A name of a host is none that can be told apart: it is taken for
// every address.
func parseBinding(text string, without uint16) (host netip.Addr, port uint16, ok bool) {
	if n, err := strconv.ParseUint(text, 10, 16); err == nil {
		return netip.Addr{}, uint16(n), true
	}
	name, service, err := net.SplitHostPort(text)
	if err != nil {
		name, service = strings.Trim(text, "[]"), strconv.Itoa(int(without))
	}
	n, err := strconv.ParseUint(service, 10, 16)
	if err != nil || n == 0 {
		return netip.Addr{}, 0, false
	}
	ip, err := netip.ParseAddr(name)
	if err != nil || ip.IsUnspecified() {
		ip = netip.Addr{}
	}
	return ip.Unmap(), uint16(n), true
}

// known drops the names of files that only the running server can tell.
func knownFiles(files []string) []string {
	if slices.ContainsFunc(files, func(f string) bool { return strings.Contains(f, "$") || strings.HasPrefix(f, "data:") }) {
		return nil
	}
	return files
}
