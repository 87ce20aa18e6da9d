package discover

import (
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
	var got []string
	for _, list := range []string{list4, list6} {
		all, err := readSockets(strings.NewReader(list))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range all {
			got = append(got, s.at.String()+" "+s.inode+" at "+reach(s.at).String())
		}
	}
	want := []string{
		"127.0.0.1:8080 41 at 127.0.0.1:8080", "0.0.0.0:443 42 at 127.0.0.1:443", "[::]:443 44 at [::1]:443",
		"127.0.0.1:25 45 at 127.0.0.1:25", "[2001:db8::1]:443 46 at [2001:db8::1]:443",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if all, _ := readSockets(strings.NewReader(list4)); all[0].uid != 33 {
		t.Errorf("user %d, want 33", all[0].uid)
	}
	for _, broken := range []string{"0: 0100007F:XX 0 0A 0 0 0 33 0 41", "0: 01007F:1F90 0 0A 0 0 0 33 0 41", "0: 0100007F:1F90 0 0A 0 0 0 nobody 0 41"} {
		if _, err := readSockets(strings.NewReader(broken)); err == nil {
			t.Errorf("%q was read", broken)
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
		"nginx, pid 7":              whose(socket{}, process{pid: 7, name: "nginx"}),
		"a process of root":         whose(socket{uid: 0}, process{}),
		"a process of user 4000123": whose(socket{uid: 4000123}, process{}),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
