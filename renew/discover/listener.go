package discover

import (
	"context"
	"fmt"
	"net/netip"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/sockets"
)

// listener is one place where a server can be asked.
type listener struct {
	address string         // host:port, or unix:/path
	bound   netip.AddrPort // as the socket is bound; zero for a UNIX socket
	socket  string         // stands for this very socket: another server's is another
	process string         // whose it is, for a person
	uses    []use          // what servers' configurations say of it
	tls     answer
}

// answer is what came of asking whether TLS is spoken.
type answer int

const (
	unknown answer = iota // nothing that could be understood
	yes
	no
)

// startTLS names what is spoken before TLS, by the port (IANA's registry).
var startTLS = map[uint16]string{
	21: "ftp", 24: "lmtp", 25: "smtp", 110: "pop3", 119: "nntp", 143: "imap", 389: "ldap", 587: "submission",
	3306: "mysql", 4190: "sieve", 5222: "xmpp", 5269: "xmpp-server", 5432: "postgres",
}

// endpoint is how l is asked.
func (l listener) endpoint() renew.Endpoint {
	e := renew.Endpoint{Address: l.address, Protocol: l.protocol()}
	if slices.ContainsFunc(l.uses, func(u use) bool { return u.proxy }) {
		e.ProxyProtocol = 2 // it has a word for a connection of nobody else's
	}
	return e
}

// protocol is what to speak at l.
func (l listener) protocol() string {
	if p := startTLS[l.bound.Port()]; p != "" {
		return p
	}
	return "tls"
}

// never tells whether nothing is to be sent to a port: SSH has no TLS and notes
// down who tries, and printers print what they get.
func never(port uint16) bool { return port == 22 || 9100 <= port && port <= 9107 }

// mostListeners bounds how many sockets are asked.
const mostListeners = 512

// listeners are the sockets that can be asked from here, and what could not be
// looked at, but for mine, by their inodes. Several of one address (SO_REUSEPORT)
// are one.
func listeners(ctx context.Context, mine map[uint64]bool) (all []listener, blind []string) {
	found, err := sockets.Listening()
	if err != nil {
		blind = append(blind, err.Error())
	}
	held := owners()
	known := map[string]bool{}
	here := map[uint64]process{} // who holds one of them, and is no container's
	for _, s := range found {
		if p, ok := held[s.Inode]; ok {
			here[s.Inode] = p
		}
		ip := s.At.Addr()
		if mine[s.Inode] || never(s.At.Port()) || ip.IsLinkLocalUnicast() || known[s.At.String()] {
			continue
		}
		known[s.At.String()] = true
		all = append(all, listener{address: reach(s.At).String(), bound: s.At, socket: fmt.Sprintf("%s %d", s.At, s.Inode), process: whose(s, held[s.Inode])})
	}
	uses, unread := configured(ctx, here)
	blind = append(blind, unread...)
	slices.SortStableFunc(all, func(a, b listener) int { return a.bound.Compare(b.bound) })
	all = assign(all, uses)
	if n := len(all); n > mostListeners {
		blind = append(blind, fmt.Sprintf("of %d listening sockets %d are asked", n, mostListeners))
		all = all[:mostListeners]
	}
	return all, blind
}

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// reach is where a socket is asked: one of every address, at the loopback.
func reach(at netip.AddrPort) netip.AddrPort {
	switch at.Addr() {
	case netip.IPv4Unspecified():
		return netip.AddrPortFrom(loopback, at.Port())
	case netip.IPv6Unspecified():
		return netip.AddrPortFrom(netip.IPv6Loopback(), at.Port())
	}
	return at
}

// whose says who listens: the process, or its user where that is hidden.
func whose(s sockets.Socket, p process) string {
	if p.pid != 0 {
		return fmt.Sprintf("%s, pid %d", p.name, p.pid)
	}
	id := strconv.FormatUint(s.UID, 10)
	if u, err := user.LookupId(id); err == nil {
		return "a process of " + plain(u.Username)
	}
	return "a process of user " + id
}

// plain makes what others named fit for a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

func v4(port uint16) string {
	return netip.AddrPortFrom(loopback, port).String()
}
