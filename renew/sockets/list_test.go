package sockets

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// Lists as the kernel prints them on a little-endian machine.
const (
	list4 = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 41 1 0000000000000000 100 0 0 10 0
   1: 00000000:01BB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0000000000000000 100 0 0 10 0
   2: 0100007F:C350 0100007F:01BB 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0000000000000000 100 0 0 10 0
`
	list6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 44 1 0000000000000000 100 0 0 10 0
   1: 0000000000000000FFFF00000100007F:0019 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000   101        0 45 1 0000000000000000 100 0 0 10 0
   2: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 46 1 0000000000000000 100 0 0 10 0
`
)

func TestTheKernelsListIsRead(t *testing.T) {
	var got []Socket
	for _, list := range []string{list4, list6} {
		if err := addListening(&got, strings.NewReader(list)); err != nil {
			t.Fatal(err)
		}
	}
	want := "[{127.0.0.1:8080 33 41} {0.0.0.0:443 0 42} {[::]:443 0 44} {127.0.0.1:25 101 45} {[2001:db8::1]:443 0 46}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	for _, broken := range []string{
		"0: 0100007F:XX 0 0A 0 0 0 33 0 41", "0: 01007F:1F90 0 0A 0 0 0 33 0 41", "0: 0100007F:1F90 0 0A 0 0 0 nobody 0 41",
		"0: 0100007F:1F90 0 0A 0 0 0 33 0 none", "0: " + strings.Repeat("00", 17) + ":1F90 0 0A 0 0 0 33 0 41", "0: 0100007F 0 0A 0 0 0 33 0 41",
	} {
		if err := addListening(&got, strings.NewReader(broken)); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestOneWhoListensHereIsListed(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	all, err := Listening()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.At.String() == l.Addr().String() && s.Inode > 0 {
			return
		}
	}
	t.Errorf("%s is not among %v", l.Addr(), all)
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// line is a socket as the kernel lists it on this machine, at v6 in the list of IPv6.
func line(at, state string, inode int, v6 bool) string {
	where := netip.MustParseAddrPort(at)
	raw := where.Addr().AsSlice()
	if v6 {
		as16 := where.Addr().As16()
		raw = as16[:]
	}
	host := ""
	for i := 0; i < len(raw); i += 4 {
		host += fmt.Sprintf("%08X", binary.NativeEndian.Uint32(raw[i:]))
	}
	return fmt.Sprintf("  12: %s:%04X 0200007F:C350 %s 00000000:00000000 00:00000000 00000000    33        0 %d 1 0000000000000000 100 0 0 10 0\n", host, where.Port(), state, inode)
}

func FuzzNoListPanics(f *testing.F) {
	for _, seed := range []string{list4, list6, line("127.0.0.1:443", established, 7, true), "0: :: 0 01 0 0 0 0 0 0", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		var all []Socket
		_ = addListening(&all, strings.NewReader(list))
		_ = newReading().add(strings.NewReader(list))
	})
}
