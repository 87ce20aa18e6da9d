package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func readable(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestASecondAgentIsTurnedAway(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	pid := fmt.Sprint(h.run.cmd.Process.Pid)
	for _, argv := range [][]string{{"run", "--socket", h.path("other.sock")}, {"run"}, {"apply"}, {"apply", "www"}} {
		got := h.ask(argv...)
		if got.code != exitCritical || !strings.Contains(got.all, "process "+pid) || !strings.Contains(got.all, h.cfg.State) {
			t.Errorf("%v: exit code %d, want 2, the directory and process %s: %s", argv, got.code, pid, got.all)
		}
	}
	if got := h.ask("apply"); !strings.Contains(got.all, "certvigil renew") {
		t.Errorf("apply does not say what to use instead: %s", got.all)
	}
	// The first is none the worse, its socket included.
	if got := h.ask("status"); got.code != exitOK {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	// A lock file that a crash left behind locks nobody out.
	h.run.kill()
	h.start()
	h.until("the next one runs", func() bool { return h.cert("www").Version == 1 })
}

// someUID is a user that owns nothing here.
const someUID = 54321

// askAs runs a subcommand as another user. The test's own folders are closed to
// him, so the program, the configuration and the socket are found elsewhere.
func (h *host) askAs(uid, gid uint32, argv ...string) answer {
	h.t.Helper()
	must(h.t, os.Chmod(h.dir, 0o755))
	program := h.path("certvigil")
	if !readable(program) {
		from, err := exec.LookPath("certvigil")
		must(h.t, err)
		data, err := os.ReadFile(from)
		must(h.t, err)
		h.program(program, data)
	}
	cmd := exec.CommandContext(h.t.Context(), program, append(argv, "--socket", h.cfg.Socket)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	cmd.Dir = "/"
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if cmd.ProcessState == nil {
		h.t.Fatalf("certvigil %v as user %d: %v", argv, uid, err)
	}
	return answer{code: cmd.ProcessState.ExitCode(), all: out.String()}
}

func TestTheControlSocketShowsToTheGroupAndObeysRootAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	st, err := os.Stat(h.cfg.Socket)
	must(t, err)
	if st.Mode().Type() != os.ModeSocket || st.Mode().Perm() != 0o660 {
		t.Errorf("the socket's mode is %s", st.Mode())
	}
	must(t, os.Chown(h.cfg.Socket, 0, someUID))

	if got := h.askAs(someUID, someUID+1, "status"); got.code != exitUnknown || !strings.Contains(got.all, "permission denied") {
		t.Errorf("a stranger's status: exit code %d: %s", got.code, got.all)
	}
	if got := h.askAs(someUID, someUID, "status"); got.code != exitOK || !strings.Contains(got.all, "www") {
		t.Errorf("status by the group: exit code %d: %s", got.code, got.all)
	}
	orders := h.ca.Orders()
	got := h.askAs(someUID, someUID, "renew", "www", "--force")
	if got.code == exitOK || !strings.Contains(got.all, fmt.Sprintf("user %d may read but not act", someUID)) {
		t.Errorf("renew by the group: exit code %d: %s", got.code, got.all)
	}
	if n := h.ca.Orders() - orders; n != 0 || h.logged("renewal requested", "www") != 0 {
		t.Errorf("the group's word cost %d orders", n)
	}
	if got := h.askAs(0, 0, "renew", "www", "--force"); got.code != exitOK {
		t.Errorf("renew by root: exit code %d: %s", got.code, got.all)
	}
}

func TestASocketPathThatIsNoSocketIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	must(t, os.WriteFile(h.cfg.Socket, []byte("precious"), 0o600))
	got := h.ask("run")
	if got.code != exitCritical || !strings.Contains(got.all, h.cfg.Socket) {
		t.Errorf("exit code %d: %s", got.code, got.all)
	}
	if data, err := os.ReadFile(h.cfg.Socket); err != nil || string(data) != "precious" {
		t.Errorf("the file holds %q, %v", data, err)
	}
	if readable(filepath.Join(h.cfg.State, "certs", "www")) {
		t.Error("it began to work nevertheless")
	}
}
