package discover

import (
	"net/netip"
	"testing"

	"github.com/certvigil/certvigil/renew/sockets"
)

func TestASocketOfEveryAddressIsAskedAtTheLoopback(t *testing.T) {
	for at, want := range map[string]string{
		"127.0.0.1:8080": "127.0.0.1:8080", "0.0.0.0:443": "127.0.0.1:443", "[::]:443": "[::1]:443", "[2001:db8::1]:443": "[2001:db8::1]:443",
	} {
		if got := reach(netip.MustParseAddrPort(at)).String(); got != want {
			t.Errorf("%s is asked at %s, want %s", at, got, want)
		}
	}
}

func TestPrintersAndSSHAreNeverAsked(t *testing.T) {
	for port, want := range map[uint16]bool{22: true, 443: false, 9099: false, 9100: true, 9107: true, 9108: false} {
		if never(port) != want {
			t.Errorf("port %d: %v", port, !want)
		}
	}
}

func TestWhoIsHiddenIsNamedByHisUser(t *testing.T) {
	for want, got := range map[string]string{
		"nginx, pid 7":              whose(sockets.Socket{}, process{pid: 7, name: "nginx"}),
		"a process of root":         whose(sockets.Socket{UID: 0}, process{}),
		"a process of user 4000123": whose(sockets.Socket{UID: 4000123}, process{}),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
