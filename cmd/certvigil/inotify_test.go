package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hogName is the program that takes every inotify instance that its user may
// have: the limit is one of the user, so no other test feels it.
const hogName = "certvigil-hog"

// hog says how many it took, and holds them until its standard input ends.
func hog() {
	n := 0
	for {
		if _, err := unix.InotifyInit1(unix.IN_CLOEXEC); err != nil {
			break
		}
		n++
	}
	fmt.Println(n)
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// hogUID has no process but those of this test.
const hogUID = 54322

// exhaust takes all inotify instances of hogUID.
func (h *host) exhaust() (free func()) {
	h.t.Helper()
	from, err := exec.LookPath(hogName)
	must(h.t, err)
	data, err := os.ReadFile(from)
	must(h.t, err)
	h.program(h.path(hogName), data)
	cmd := exec.Command(h.path(hogName))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: hogUID, Gid: hogUID}}
	in, err := cmd.StdinPipe()
	must(h.t, err)
	out, err := cmd.StdoutPipe()
	must(h.t, err)
	must(h.t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) == "0" {
		h.t.Fatalf("taking the inotify instances: %q, %v", line, err)
	}
	return func() { _ = in.Close(); _ = cmd.Wait() }
}

func TestWithoutInotifyTheLapsNoticeWhatChanged(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	h.cfg.Sites[0].Endpoint = serveLive(t, func() string { return h.live("www", "") })
	h.write()
	must(t, os.Mkdir(h.cfg.State, 0o755))
	must(t, os.Chmod(h.dir, 0o755))
	for _, path := range []string{h.dir, h.config, h.cfg.State} {
		must(t, os.Chown(path, hogUID, hogUID))
	}
	from, err := exec.LookPath("certvigil")
	must(t, err)
	data, err := os.ReadFile(from)
	must(t, err)
	h.program(h.path("certvigil"), data)
	free := h.exhaust()
	defer free()
	h.start(func(cmd *exec.Cmd) {
		cmd.Path = h.path("certvigil")
		cmd.Args[0] = cmd.Path
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: hogUID, Gid: hogUID}
	})
	h.served("www", 1)
	if events, _, _ := h.log.Since(0); !strings.Contains(fmt.Sprint(events), "inotify") {
		t.Error("the log does not say that inotify is not in use")
	}
	began := time.Now()
	must(t, os.Remove(h.live("www", "privkey.pem")))
	h.served("www", 2)
	must(t, os.Remove(filepath.Clean(h.live("www", ""))))
	h.until("the link is back", func() bool { _, err := readPair(h.live("www", "")); return err == nil })
	if took := time.Since(began); took > 2*noticed {
		t.Errorf("healed after %s, for a certificate that is looked at every three seconds", took)
	}
}
