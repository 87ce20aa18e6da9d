package probe

import (
	"fmt"
	"net"
)

// localV2 is a header of the PROXY protocol, version 2, with the command LOCAL: a
// connection that the sender makes for itself, as for a look at its health.
const localV2 = "\r\n\r\n\x00\r\nQUIT\n" + "\x20\x00\x00\x00"

// introduce sends the header that a proxy would put before everything else.
func introduce(conn net.Conn, version int) error {
	var header string
	switch version {
	case 0:
		return nil
	case 2:
		header = localV2
	default:
		header = proxyV1(conn.LocalAddr(), conn.RemoteAddr())
	}
	if _, err := conn.Write([]byte(header)); err != nil {
		return fmt.Errorf("sending the PROXY header: %w", err)
	}
	return nil
}

// proxyV1 is a line. Not every server takes UNKNOWN (Postfix does not), so that
// it is said only of what has no IP address.
func proxyV1(from, to net.Addr) string {
	source, ok := from.(*net.TCPAddr)
	destination, both := to.(*net.TCPAddr)
	if !ok || !both {
		return "PROXY UNKNOWN\r\n"
	}
	family := "TCP6"
	if source.IP.To4() != nil {
		family = "TCP4"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, source.IP, destination.IP, source.Port, destination.Port)
}
