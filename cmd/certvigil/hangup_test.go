package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// opened returns what waits until somebody has opened path, from now on.
func opened(t *testing.T, path string) (wait func()) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	events := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { _ = events.Close() })
	_, err = unix.InotifyAddWatch(fd, path, unix.IN_OPEN)
	must(t, err)
	return func() {
		t.Helper()
		_, err := events.Read(make([]byte, 4096))
		must(t, err)
	}
}

func TestAHangUpDuringTheStartIsNoEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	begun := opened(t, h.config)
	h.start()
	begun()
	h.hangUp() // while the configuration is read
	h.await("agent started", "")
	h.await("configuration loaded", "")
	h.stopsInTime()
	if n := h.logged("configuration loaded", ""); n != 1 {
		t.Errorf("one hang-up during the start caused %d reloads", n)
	}
}

func TestAHangUpRightAfterReadyIsNoEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	path := h.path("notify.sock")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	must(t, err)
	defer manager.Close()
	must(t, manager.SetReadDeadline(time.Now().Add(patience)))
	said := make([]byte, 4096)
	for range 5 {
		h.start(func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+path) })
		for n := 0; !strings.Contains(string(said[:n]), "READY=1"); {
			n, err = manager.Read(said)
			must(t, err)
		}
		h.hangUp() // at once: what waits in between would hide it
		h.await("configuration loaded", "")
		if _, code := h.stop(); code != exitOK {
			t.Errorf("exit code %d", code)
		}
		must(t, drained(manager))
	}
}

// drained reads away what the agent said until it ended.
func drained(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		for err = nil; err == nil; {
			_, _, err = unix.Recvfrom(int(fd), make([]byte, 4096), unix.MSG_DONTWAIT)
		}
	})
}

func TestAFileThatWasMissedBringsTheConfigurationIn(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	h.start()
	h.until("the agent answers", h.running)
	must(t, os.WriteFile(h.path("key"), []byte("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"), 0o644))
	for _, c := range []struct {
		name  string
		need  func(*settings)
		bring func()
	}{
		{
			"a trust_roots file that looks old", func(s *settings) { s.Trust = h.path("roots.pem") },
			func() { must(t, os.Link(h.path("ca.pem"), h.path("roots.pem"))) },
		},
		{
			"file() in a folder that is missed too", func(s *settings) { s.More = fmt.Sprintf("locals {\n x = file(%q)\n}\n", h.path("new/value")) },
			func() {
				must(t, os.Mkdir(h.path("new"), 0o755))
				must(t, os.WriteFile(h.path("new/value"), []byte("x"), 0o644))
			},
		},
		{
			"fileset()", func(s *settings) { s.More = fmt.Sprintf("locals {\n x = fileset(%q, \"*\")\n}\n", h.path("sites")) },
			func() { must(t, os.Mkdir(h.path("sites"), 0o755)) },
		},
		{
			"a secret that everybody may read", func(s *settings) {
				s.Issuer = fmt.Sprintf("eab {\n key_id = \"k\"\n hmac_key = file(%q)\n}\n", h.path("key"))
			},
			func() { must(t, os.Chmod(h.path("key"), 0o600)) },
		},
	} {
		t.Log(c.name)
		c.need(&h.cfg)
		h.write()
		h.await("configuration refused, the one before stays in force", "")
		c.bring()
		h.await("configuration loaded", "")
		h.until(c.name+": nothing is refused any more", func() bool {
			r, err := h.client().Report(t.Context())
			return err == nil && r.Config.Error == nil
		})
	}
}
