package stage_test

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// servers makes each of them, by the ports that it needs.
var servers = map[string]func(dir string, ports []int) (*stage.Server, error){
	"apache":     func(dir string, p []int) (*stage.Server, error) { return stage.NewApache(dir, p[0], p[1]) },
	"haproxy":    func(dir string, p []int) (*stage.Server, error) { return stage.NewHAProxy(dir, p[0]) },
	"postfix":    func(dir string, p []int) (*stage.Server, error) { return stage.NewPostfix(dir, p[0]) },
	"dovecot":    func(dir string, p []int) (*stage.Server, error) { return stage.NewDovecot(dir, p[0], p[1], p[2]) },
	"postgresql": func(dir string, p []int) (*stage.Server, error) { return stage.NewPostgreSQL(dir, p[0]) },
}

// newServer prepares a server in a folder with a short path.
func newServer(t *testing.T, name string) (s *stage.Server, address string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "cv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ports, err := stage.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = servers[name](dir, ports); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s, fmt.Sprintf("127.0.0.1:%d", ports[0])
}

func TestEveryServerStartsAndEndsWithAllThatItStarted(t *testing.T) {
	for name := range servers {
		if name == "postfix" && os.Geteuid() != 0 {
			continue // its master refuses to run as anybody else
		}
		t.Run(name, func(t *testing.T) {
			s, address := newServer(t, name)
			ctx := limited(t, 2*time.Minute)
			for range 2 {
				if err := s.Start(ctx); err != nil {
					t.Fatal(err)
				}
				if err := s.Start(ctx); err == nil || !strings.Contains(err.Error(), "runs already") {
					t.Errorf("a second start: %v", err)
				}
				if err := s.Stop(); err != nil {
					t.Error(err)
				}
				if s.PID() != 0 {
					t.Error("it has an id after its end")
				}
				if conn, err := net.Dial("tcp", address); err == nil {
					conn.Close()
					t.Error("something listens after its end")
				}
			}
		})
	}
}

func TestADovecotThatStartedHasReadItsConfiguration(t *testing.T) {
	s, address := newServer(t, "dovecot")
	if err := s.Start(limited(t, time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.Add("conf.d/later.conf", "nonsense\n"); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Read(make([]byte, 1)); err != nil { // by then a login has its settings too
		t.Errorf("no greeting: %v", err)
	}
	if said := s.Said(20); strings.Contains(said, "later.conf") {
		t.Errorf("it read what was added after its start: %s", said)
	}
}

func TestAServerThatDoesNotStartSaysWhy(t *testing.T) {
	s, _ := newServer(t, "haproxy")
	if err := s.Add("haproxy.cfg", "nonsense\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(limited(t, time.Minute)); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v, want what haproxy said", err)
	}
}
