package stage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// Ports are taken from between these, or from below the range out of which the
// kernel gives ports to outgoing connections. A port inside of that range can be
// taken by any client while its server restarts.
const (
	lowestPort  = 15000
	highestPort = 32000
	portTries   = 200
)

// FreePorts returns n different loopback ports that nothing listens on, and that
// no other process gets from it while this one lives.
func FreePorts(n int) ([]int, error) {
	highest := highestPort
	if data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		first := 0
		if _, err := fmt.Fscan(strings.NewReader(string(data)), &first); err == nil && first > lowestPort+1000 {
			highest = min(highest, first)
		}
	}
	var ports []int
	taken := make(map[int]bool)
	for range portTries {
		if len(ports) == n {
			return ports, nil
		}
		port := lowestPort + rand.IntN(highest-lowestPort)
		if taken[port] || !free(port) {
			continue
		}
		taken[port] = true
		ports = append(ports, port)
	}
	if len(ports) == n {
		return ports, nil
	}
	return nil, errors.New("stage: no free loopback port found")
}

// The agent listens for challenges only while one is pending, and nginx is
// stopped and started: in between, a port looks free to whoever else is looking
// for one, such as another package's tests. So the port of the same number at
// another loopback address is held for as long as this process lives, and says
// that it is taken.
const reservedHost = "127.87.0.1"

var reserved struct {
	sync.Mutex
	held []net.Listener // never closed, or the collector would
}

// free tells whether nobody has port, and reserves it.
func free(port int) bool {
	mark, err := net.Listen("tcp", net.JoinHostPort(reservedHost, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		mark.Close()
		return false
	}
	reserved.Lock()
	defer reserved.Unlock()
	reserved.held = append(reserved.held, mark)
	return l.Close() == nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
