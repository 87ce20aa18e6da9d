package issue

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// explainListen says why an address can't be listened on, and, where the kernel
// tells, who has it.
func explainListen(address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		if who := portHolder(address); who != "" {
			return fmt.Errorf("listening on %s: the port is taken by %s: %w", address, who, err)
		}
		return fmt.Errorf("listening on %s: the port is taken: %w", address, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s: not allowed; pass the socket in from systemd, or grant CAP_NET_BIND_SERVICE: %w", address, err)
	}
	return fmt.Errorf("listening on %s: %w", address, err)
}

// portHolder names the process that listens on the port of address, as "nginx
// (pid 42)"; empty where /proc does not tell.
func portHolder(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return ""
	}
	sockets := make(map[string]bool)
	// Not /proc/net: a sandbox with ProcSubset=pid hides it.
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		listening(table, number, sockets)
	}
	if len(sockets) == 0 {
		return ""
	}
	// Another user's descriptors can't be read without privilege: those are
	// passed over.
	descriptors, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range descriptors {
		if target, err := os.Readlink(fd); err != nil || !sockets[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s)", clean(strings.TrimSpace(string(name))), pid)
	}
	return ""
}

// listening adds the sockets of a kernel table that listen on port, in the form
// in which descriptors name them.
func listening(table string, port int, sockets map[string]bool) {
	file, err := os.Open(table)
	if err != nil {
		return
	}
	defer file.Close()
	const stateListen = "0A"
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || fields[3] != stateListen {
			continue
		}
		_, hex, _ := strings.Cut(fields[1], ":")
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
			sockets["socket:["+fields[9]+"]"] = true
		}
	}
}
