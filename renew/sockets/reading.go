package sockets

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// reading is what the lists said once.
type reading struct {
	began, ended time.Time
	open         map[netip.AddrPort][]uint64 // the inodes of the connections, in order, by what listens
	ports        map[uint16]bool             // of what listens
	taken        map[netip.AddrPort]*note
}

func newReading() *reading {
	return &reading{
		began: time.Now(), open: map[netip.AddrPort][]uint64{}, ports: map[uint16]bool{},
		taken: map[netip.AddrPort]*note{},
	}
}

func read() (*reading, error) {
	r := newReading()
	if err := inEach(r.add); err != nil {
		return nil, fmt.Errorf("listing the connections: %w", err)
	}
	r.end()
	return r, nil
}

// add reads one list. In each the kernel names first what listens, and a
// connection is in the list of what it came in at.
func (r *reading) add(list io.Reader) error {
	return scan(list, func(c columns) error {
		switch string(c[state]) {
		case listening:
			return r.addListener(c)
		case established:
			return r.addConnection(c)
		default:
			return nil
		}
	})
}

func (r *reading) end() {
	for _, inodes := range r.open {
		slices.Sort(inodes)
	}
	r.ended = time.Now()
}

func (r *reading) addListener(c columns) error {
	at, err := c.address()
	if err != nil {
		return err
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	r.ports[at.Port()] = true
	if _, ok := r.open[at]; !ok { // several may share an address (SO_REUSEPORT)
		r.open[at] = nil
	}
	return nil
}

// addConnection finds what the connection came in at: what listens at its very
// address, or else at every one. One without an inode was accepted by nobody yet.
func (r *reading) addConnection(c columns) error {
	port, err := c.port()
	if err == nil && !r.ports[port] {
		return nil // it went out
	}
	at, err := c.address()
	if err != nil {
		return err
	}
	n, err := c.number(inode)
	if err != nil || n == 0 {
		return err
	}
	every := netip.IPv6Unspecified()
	if at.Addr().Is4() {
		every = netip.IPv4Unspecified()
	}
	for _, ip := range []netip.Addr{at.Addr().Unmap(), every} {
		listener := netip.AddrPortFrom(ip, at.Port())
		if inodes, ok := r.open[listener]; ok {
			r.open[listener] = append(inodes, n)
			return nil
		}
	}
	return nil
}

// listeners are those that an endpoint's address leads to: of an IP address the
// one that fits best, of a host name all at the port. There is none for a UNIX
// socket, or for a server elsewhere: what listens at every address does so at those
// of this host.
func (r *reading) listeners(address string, here func(netip.Addr) bool) []netip.AddrPort {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return slices.DeleteFunc(slices.Collect(maps.Keys(r.open)), func(at netip.AddrPort) bool { return at.Port() != uint16(port) })
	}
	ip = ip.Unmap()
	fit := []netip.Addr{ip.WithZone(""), netip.IPv4Unspecified(), netip.IPv6Unspecified()} // the lists have no zones
	if ip.Is6() {
		fit = []netip.Addr{ip.WithZone(""), netip.IPv6Unspecified()}
	}
	for i, bound := range fit {
		at := netip.AddrPortFrom(bound, uint16(port))
		if _, ok := r.open[at]; ok && (i == 0 || here(ip)) {
			return []netip.AddrPort{at}
		}
	}
	return nil
}

// isHere tells whether an address is one of this host's, without netlink, which
// the service's sandbox has not: what is sent to one goes out from the same. No
// packet is sent for that.
func isHere(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, discard)))
	if err != nil {
		return false
	}
	defer conn.Close()
	from := conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
	return from.Unmap().WithZone("") == ip.WithZone("")
}

// discard is a port that nothing is sent to (RFC 863).
const discard = 9

// note returns that of who is connected to one listener, the same for all who ask.
func (r *reading) note(at netip.AddrPort) *note {
	n := r.taken[at]
	if n == nil {
		n = &note{at: at, inodes: r.open[at], asOf: r.began}
		r.taken[at] = n
	}
	return n
}
