package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// What MySQL's client/server protocol calls capabilities.
const (
	mysqlSSL        = 1 << 11 // CLIENT_SSL
	mysqlProtocol41 = 1 << 9  // CLIENT_PROTOCOL_41
	mysqlSecure     = 1 << 15 // CLIENT_RESERVED2, of all that can do more than 3.23 could
)

const (
	mysqlMaxGreeting = 1 << 10
	mysqlMaxPacket   = 1 << 24
	mysqlUTF8        = 33
	mysqlAuthAndZero = 4 + 8 + 1 // connection id, the first part of the nonce, a zero
)

// mysql greets with a packet (HandshakeV10) that says whether it does TLS, and is
// answered with the first half of a login (SSLRequest), after which TLS begins.
func mysql(d *dialogue) error {
	d.packets = true
	var head [4]byte // length in three bytes, the least first, and a number
	if _, err := io.ReadFull(d.R, head[:]); err != nil {
		return err
	}
	length := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if length == 0 || length > mysqlMaxGreeting {
		return refused(string(head[:]))
	}
	greeting := make([]byte, length)
	if _, err := io.ReadFull(d.R, greeting); err != nil {
		return err
	}
	const errorPacket, version = 0xff, 10
	if greeting[0] == errorPacket {
		return refused(string(greeting[min(3, length):])) // after the mark and a number
	}
	end := bytes.IndexByte(greeting, 0)
	if greeting[0] != version || end < 0 || end+1+mysqlAuthAndZero+2 > length {
		return refused(string(greeting))
	}
	offers := binary.LittleEndian.Uint16(greeting[end+1+mysqlAuthAndZero:])
	if offers&mysqlSSL == 0 {
		return refusal(fmt.Sprintf("the server, %s, offers no TLS", quote(string(greeting[1:end]))))
	}
	d.step = "SSLRequest"
	request := []byte{32, 0, 0, head[3] + 1}
	request = binary.LittleEndian.AppendUint32(request, mysqlSSL|mysqlProtocol41|mysqlSecure)
	request = binary.LittleEndian.AppendUint32(request, mysqlMaxPacket)
	request = append(request, mysqlUTF8)
	return d.write(append(request, make([]byte, 23)...))
}
