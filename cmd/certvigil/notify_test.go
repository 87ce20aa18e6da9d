package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// manager is what systemd is to a service: a datagram socket that is written to.
type manager struct {
	path string
	conn *net.UnixConn

	mu    sync.Mutex // guards what follows
	heard []word
}

// word is one assignment, and when it came.
type word struct {
	key, value string
	at         time.Time
}

func newManager(h *host) *manager {
	m := &manager{path: h.path("notify.sock")}
	var err error
	m.conn, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"})
	must(h.t, err)
	h.t.Cleanup(func() { _ = m.conn.Close() })
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := m.conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			for _, line := range strings.Split(string(buf[:n]), "\n") {
				key, value, _ := strings.Cut(line, "=")
				m.heard = append(m.heard, word{key, value, time.Now()})
			}
			m.mu.Unlock()
		}
	}()
	return m
}

// words returns all that was said of a key, in order.
func (m *manager) words(key string) []word {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []word
	for _, w := range m.heard {
		if w.key == key {
			list = append(list, w)
		}
	}
	return list
}

// sequence lists the keys in the order in which they came, but for the chatter.
func (m *manager) sequence() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []string
	for _, w := range m.heard {
		if w.key != "STATUS" && w.key != "WATCHDOG" && w.key != "MONOTONIC_USEC" {
			list = append(list, w.key+"="+w.value)
		}
	}
	return strings.Join(list, " ")
}

const watchdog = 1500 * time.Millisecond

// under makes the agent a service of m, with a watchdog.
func (m *manager) under() func(*exec.Cmd) {
	return func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+m.path, fmt.Sprintf("WATCHDOG_USEC=%d", watchdog.Microseconds()))
	}
}

func TestSystemdIsToldHowTheAgentIs(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	m := newManager(h)
	h.start(m.under())
	h.served("www", 1)
	h.until("READY=1", func() bool { return m.sequence() == "READY=1" })

	wanted := regexp.MustCompile(`^1 certificates?, 1 served, health ok; next: issue www at \S+Z \((lifetime|ari-window)\)$`)
	h.until("STATUS tells the count and the next step", func() bool {
		said := m.words("STATUS")
		return len(said) > 0 && wanted.MatchString(said[len(said)-1].value)
	})

	began := len(m.words("WATCHDOG"))
	h.until("the watchdog was petted ten times more", func() bool { return len(m.words("WATCHDOG")) >= began+10 })
	// The machine that runs this may be busy: the middle of the gaps counts, and
	// none may be so long that systemd would have struck.
	longest, late := time.Duration(0), 0
	pets := m.words("WATCHDOG")
	for i := range pets[1:] {
		gap := pets[i+1].at.Sub(pets[i].at)
		longest = max(longest, gap)
		if gap > watchdog/2 {
			late++
		}
	}
	if longest > watchdog || late > len(pets)/4 {
		t.Errorf("of %d pets %d came later than half of the interval, one after %s", len(pets), late, longest)
	}

	h.hangUp()
	h.until("the reload is told", func() bool { return m.sequence() == "READY=1 RELOADING=1 READY=1" })
	if len(m.words("MONOTONIC_USEC")) != 1 {
		t.Error("RELOADING=1 came without MONOTONIC_USEC")
	}
	h.replace("nonsense {")
	h.hangUp()
	h.until("a failed reload ends too", func() bool {
		return strings.HasSuffix(m.sequence(), "RELOADING=1 READY=1") && h.logged("configuration refused, the one before stays in force", "") > 0
	})
	if _, code := h.stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	h.until("STOPPING=1 is the last word", func() bool { return strings.HasSuffix(m.sequence(), " STOPPING=1") })
}

func TestAnAgentThatCantStartNeverSaysThatItIsReady(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	m := newManager(h)
	h.replace("nonsense {")
	h.start(m.under())
	h.gone()
	if code := h.run.code(); code != exitUnknown || m.sequence() != "" {
		t.Errorf("exit code %d, and systemd heard %q", code, m.sequence())
	}
}

func TestPort80ComesFromASystemdSocket(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	l, err := net.Listen("tcp", h.cfg.HTTP)
	must(t, err)
	file, err := l.(*net.TCPListener).File()
	must(t, err)
	must(t, l.Close()) // file is a descriptor of its own
	defer file.Close()
	h.start(func(cmd *exec.Cmd) {
		// LISTEN_PID is the agent's own process id: only a shell that becomes
		// the agent knows it.
		sh, err := exec.LookPath("sh")
		must(t, err)
		cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = sh
		cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "LISTEN_FDNAMES=main")
		cmd.ExtraFiles = []*os.File{file}
	})
	h.served("www", 1)
	h.request("www")
	h.served("www", 2)

	// The hook gets neither the socket nor what systemd said of it.
	h.cfg.Test = nil
	h.cfg.Reload = h.script("hook", "env >"+h.path("env")+"; ls -l /proc/$$/fd >"+h.path("fds")+"\n"+h.reloadLine())
	h.write()
	h.hangUp()
	h.await("configuration loaded", "")
	h.request("www")
	h.served("www", 3)
	env, err := os.ReadFile(h.path("env"))
	must(t, err)
	fds, err := os.ReadFile(h.path("fds"))
	must(t, err)
	if strings.Contains(string(env), "LISTEN_") || strings.Contains(string(fds), "socket:") {
		t.Errorf("a hook inherits %s\n%s", env, fds)
	}

	// A renewal needs the port, and the agent has it alone.
	if _, err := net.Listen("tcp", h.cfg.HTTP); err == nil {
		t.Error("the socket was given up")
	}
}
