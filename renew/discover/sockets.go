package discover

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// socket is one that listens.
type socket struct {
	at    netip.AddrPort // as bound: 0.0.0.0 and :: are every address
	uid   uint64
	inode string
}

// The lists below self are those of this process's network namespace, and are
// there where a sandbox shows processes alone (ProcSubset=pid).
var socketLists = []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"}

// sockets lists the TCP sockets that listen. A kernel without IPv6 has one list.
func sockets() ([]socket, error) {
	var all []socket
	var errs []error
	for _, path := range socketLists {
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) && len(all) > 0 {
			continue
		}
		if err == nil {
			var more []socket
			more, err = readSockets(f)
			all = append(all, more...)
			f.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("listing the listening sockets: %w", err))
		}
	}
	return all, errors.Join(errs...)
}

// listening is the state of a socket that listens (TCP_LISTEN in the kernel's
// include/net/tcp_states.h).
const listening = "0A"

// readSockets reads a list as proc_pid_net(5) describes it.
func readSockets(r io.Reader) ([]socket, error) {
	var all []socket
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[3] != listening {
			continue
		}
		at, err := parseSocket(f[1])
		if err != nil {
			return all, fmt.Errorf("reading %q: %w", f[1], err)
		}
		uid, err := strconv.ParseUint(f[7], 10, 32)
		if err != nil {
			return all, fmt.Errorf("reading %q: %w", f[7], err)
		}
		all = append(all, socket{at, uid, f[9]})
	}
	return all, lines.Err()
}

// parseSocket reads an address, which the kernel prints in words of 32 bits as
// they lie in memory, and its port.
func parseSocket(text string) (netip.AddrPort, error) {
	host, service, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := strconv.ParseUint(service, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for i := 0; i+4 <= len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, errors.New("no address")
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), nil
}

// owners finds the processes that hold sockets, by the sockets' inodes: of
// several, the one that began first, which is mostly the parent of the others.
// Those of other users are not to be seen but by root.
func owners() map[string]process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	held := map[string]process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := "/proc/" + e.Name()
		files, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue // another user's, or gone
		}
		p := process{pid: pid}
		for _, f := range files {
			target, err := os.Readlink(dir + "/fd/" + f.Name())
			inode, ok := strings.CutPrefix(target, "socket:[")
			if err != nil || !ok {
				continue
			}
			if p.name == "" {
				p.name, p.args = nameOf(dir)
			}
			inode = strings.TrimSuffix(inode, "]")
			if first, ok := held[inode]; !ok || p.pid < first.pid {
				held[inode] = p
			}
		}
	}
	return held
}

// process is one that holds a socket; the zero process is not known.
type process struct {
	pid  int
	name string
	args []string
}

func nameOf(dir string) (name string, args []string) {
	comm, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return "", nil
	}
	line, _ := os.ReadFile(dir + "/cmdline")
	// Who writes a title of his own (nginx: master process …) writes it in one piece.
	for arg := range strings.SplitSeq(strings.TrimRight(string(line), "\x00"), "\x00") {
		args = append(args, strings.Fields(arg)...)
	}
	return plain(strings.TrimSpace(string(comm))), args
}

// own is the inodes of this process's sockets.
func own() map[string]bool {
	mine := map[string]bool{}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, f := range files {
		var st syscall.Stat_t
		fd, err := strconv.Atoi(f.Name())
		if err == nil && syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
			mine[strconv.FormatUint(st.Ino, 10)] = true
		}
	}
	return mine
}
