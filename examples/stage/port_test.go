package stage

import (
	"net"
	"strconv"
	"testing"
)

// A port that was given out is not given out again, though nothing listens on
// it: the agent does so only while a challenge is pending.
func TestAPortIsGivenOutOnce(t *testing.T) {
	ports, err := FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			t.Errorf("port %d can't be listened on by who got it: %v", p, err)
			continue
		}
		l.Close()
		if free(p) {
			t.Errorf("port %d is given out twice", p)
		}
	}
}
