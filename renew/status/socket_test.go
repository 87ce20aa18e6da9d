package status

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func mustListen(t *testing.T, path string) *Socket {
	t.Helper()
	s, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// answers tells whether a connection to path arrives at s.
func answers(t *testing.T, s *Socket, path string) bool {
	t.Helper()
	accepted := make(chan error, 1)
	go func() {
		c, err := s.Accept()
		if err == nil {
			err = c.Close()
		}
		accepted <- err
	}()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Error(err)
		return false
	}
	defer c.Close()
	late := time.NewTimer(30 * time.Second)
	defer late.Stop()
	select {
	case err := <-accepted:
		return err == nil
	case <-late.C:
		return false
	}
}

func TestASecondAgentStealsNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	first := mustListen(t, path)
	if second, err := Listen(path); err == nil {
		second.Close()
		t.Error("the socket of one that runs was taken")
	} else if says := err.Error(); !strings.Contains(says, path) || !strings.Contains(says, fmt.Sprintf("process %d ", os.Getpid())) {
		t.Errorf("it does not say where and who: %s", says)
	}
	if !answers(t, first, path) {
		t.Error("the first one is not asked any more")
	}
}

func TestASocketThatVanishedIsOpenedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "control.sock")
	s := mustListen(t, path)
	kept := func(what string, want bool) {
		t.Helper()
		if anew, err := s.Keep(); err != nil || anew != want {
			t.Errorf("%s: opened again %v, %v; want %v", what, anew, err, want)
		}
		if fi, err := os.Lstat(path); err != nil || fi.Mode() != os.ModeSocket|socketMode {
			t.Errorf("%s: %v, %v", what, fi, err)
		}
		if !answers(t, s, path) {
			t.Errorf("%s: it does not answer", what)
		}
	}
	kept("nothing happened", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	kept("it was removed", true)
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	kept("its directory was removed", true)
	kept("nothing happened since", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	leaveDead(t, path)
	kept("a dead one took its place", true)
}

// leaveDead leaves a socket at path as a process does that was killed.
func leaveDead(t *testing.T, path string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAPathThatSomebodyElseTookIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s := mustListen(t, path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if anew, err := s.Keep(); anew || err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("opened again %v, %v", anew, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "data" {
		t.Errorf("the file holds %q, %v", data, err)
	}
}

func TestAStoppedAgentLeavesNoSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s := mustListen(t, path)
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the socket is still there: %v", err)
	}
	if anew, err := s.Keep(); anew || err != nil {
		t.Errorf("a closed socket was opened again: %v, %v", anew, err)
	}
}
