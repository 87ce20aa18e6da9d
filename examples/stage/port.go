package stage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
)

// Ports are taken from between these, or from below the range out of which the
// kernel gives ports to outgoing connections. A port inside of that range can be
// taken by any client while its server restarts.
const (
	lowestPort  = 15000
	highestPort = 32000
	portTries   = 200
)

// FreePorts returns n different loopback ports that nothing listens on.
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

func free(port int) bool {
	l, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
