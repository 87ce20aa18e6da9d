package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// otherState writes the host's configuration with a state directory of its own,
// and returns its path.
func (h *host) otherState() string {
	h.t.Helper()
	text, err := os.ReadFile(h.config)
	must(h.t, err)
	path := h.path("other.hcl")
	must(h.t, os.WriteFile(path, []byte(strings.Replace(string(text), h.cfg.State, h.path("other"), 1)), 0o600))
	return path
}

// running tells whether the host's agent is what status reaches.
func (h *host) running() bool {
	r, err := h.client().Report(h.t.Context())
	return err == nil && r.Running && r.Config.Path == h.config
}

func TestASecondAgentWithAnotherStateDoesNotStealTheSocket(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	h.start()
	h.until("the agent answers", h.running)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	second := exec.CommandContext(ctx, "certvigil", "run", "--config", h.otherState())
	second.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // it goes when the thread ends that started it (prctl(2))
	defer runtime.UnlockOSThread()
	out, err := second.CombinedOutput()
	pid := fmt.Sprintf("process %d ", h.run.cmd.Process.Pid)
	if second.ProcessState.ExitCode() != exitCritical || !strings.Contains(string(out), pid) || !strings.Contains(string(out), h.cfg.Socket) {
		t.Errorf("%v; want exit code 2, %sand the socket: %s", err, pid, out)
	}
	if !h.running() {
		t.Errorf("status does not reach the first agent any more: %s", h.statusText())
	}
}

func TestAControlSocketThatWasRemovedComesBack(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	h.start()
	h.until("the agent answers", h.running)
	must(t, os.Remove(h.cfg.Socket))
	h.until("the agent answers again", h.running)
	h.await("control socket was gone, opened again", "") // said after it is open
	if fi, err := os.Lstat(h.cfg.Socket); err != nil || fi.Mode() != os.ModeSocket|0o660 {
		t.Errorf("%v, %v", fi, err)
	}
	h.stopsInTime()
	if n := h.logged("control socket was gone, opened again", ""); n != 1 {
		t.Errorf("it was opened again %d times", n)
	}
	if _, err := os.Lstat(h.cfg.Socket); !os.IsNotExist(err) {
		t.Errorf("the stopped agent left its socket: %v", err)
	}
}

// TestAnAgentThatStopsLeavesAnothersSocket has a thief that asks nobody: it is
// reported, left alone for as long as it lives, and followed at once.
func TestAnAgentThatStopsLeavesAnothersSocket(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	h.start()
	h.until("the agent answers", h.running)
	thief := func() net.Listener {
		must(t, os.RemoveAll(h.cfg.Socket+".new"))
		l, err := net.Listen("unix", h.cfg.Socket+".new")
		must(t, err)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		must(t, os.Rename(h.cfg.Socket+".new", h.cfg.Socket))
		return l
	}
	first := thief()
	e := h.await("control socket lost", "")
	if want := fmt.Sprintf("process %d ", os.Getpid()); !strings.Contains(e.Line, want) {
		t.Errorf("the log does not name %s: %s", want, e.Line)
	}
	must(t, os.Remove(h.cfg.Socket))
	must(t, first.Close())
	h.until("the agent answers again", h.running)

	second := thief()
	defer second.Close()
	h.await("control socket lost", "")
	h.stopsInTime()
	if c, err := net.Dial("unix", h.cfg.Socket); err != nil {
		t.Errorf("the other's socket went with the agent: %v", err)
	} else {
		c.Close()
	}
}

func TestABrokenConfigurationHidesNoRunningAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	h.start()
	h.until("the first version", func() bool { return h.cert("www").Live == 1 })
	text, err := os.ReadFile(h.config)
	must(t, err)
	h.replace(string(text) + "\ncertificate \"mail\" {")
	h.await("configuration refused, the one before stays in force", "")
	// Nothing says where the agent listens but the configuration that is broken.
	if got := h.ask("status"); got.code != exitAttention || !strings.Contains(got.stdout, "The configuration on disk was refused") || !strings.Contains(got.stdout, "www") {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	if got := h.ask("plan"); got.code != exitOK || !strings.Contains(got.stdout, "www") {
		t.Errorf("plan: exit code %d: %s", got.code, got.all)
	}
	before := h.cert("www").Version
	if got := h.ask("renew", "www", "--force"); got.code == exitUnknown || got.code == exitCritical {
		t.Errorf("renew: exit code %d: %s", got.code, got.all)
	}
	if now := h.cert("www").Version; now <= before {
		t.Errorf("renew left version %d", now)
	}
	if got := h.ask("renew", "mail"); got.code != exitUnknown || !strings.Contains(got.all, `keeps no certificate "mail"`) {
		t.Errorf("renew of what the agent does not keep: exit code %d: %s", got.code, got.all)
	}
	// Where none runs, what is wrong with the configuration is the answer.
	h.stopsInTime()
	for _, argv := range [][]string{{"status"}, {"plan"}, {"renew", "www"}} {
		if got := h.ask(argv...); got.code != exitUnknown || !strings.Contains(got.all, "certvigil.hcl:") {
			t.Errorf("%v without an agent: exit code %d: %s", argv, got.code, got.all)
		}
	}
}
