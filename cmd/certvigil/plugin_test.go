package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// checked runs the check, and expects that exit code, that word for it, and one
// line.
func (h *host) checked(code int, state string, argv ...string) string {
	h.t.Helper()
	a := h.ask(append([]string{"check", "--timeout", "5s"}, argv...)...)
	line, rest, _ := strings.Cut(a.stdout, "\n")
	if a.code != code || !strings.HasPrefix(line, "CERTVIGIL "+state+" - ") || rest != "" || a.all != a.stdout {
		h.t.Fatalf("exit code %d, want %d and CERTVIGIL %s:\n%s", a.code, code, state, a.all)
	}
	return line
}

func TestCheckOfAHealthyHost(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: time.Hour})
	h.start()
	h.served("www", 1)
	line := h.checked(exitOK, "OK")
	if !regexp.MustCompile(`^CERTVIGIL OK - 1 certificate, next expiry www in 5\dm \| ` +
		`www_left=3[45]\d\ds;1350:;900:; left_min=\d+s;;; certificates=1;;;0 endpoints=1;;;0 not_served=0;0;;0 overdue=0;0;;0$`).MatchString(line) {
		t.Error(line)
	}
	h.checked(exitOK, "OK", "www")
	if line := h.checked(exitUnknown, "UNKNOWN", "mail"); !strings.Contains(line, `no certificate "mail" is configured`) {
		t.Error(line)
	}
	h.checked(exitAttention, "WARNING", "--warning", "2h")
	h.checked(exitCritical, "CRITICAL", "--critical", "2h")

	// What it looks at goes on without it, as if nobody had looked.
	h.request("www")
	h.served("www", 2)

	h.run.kill()
	line = h.checked(exitAttention, "WARNING")
	if !strings.Contains(line, "no agent is running") || !strings.Contains(line, "not_served=0") {
		t.Errorf("after the agent's death: %s", line)
	}

	// nginx goes as well: nobody asked the agent about that.
	must(t, h.nginx.Stop())
	if line = h.checked(exitAttention, "WARNING", "--no-endpoints"); strings.Contains(line, "unverifiable") {
		t.Error(line)
	}
	if line = h.checked(exitAttention, "WARNING"); !strings.Contains(line, "unverifiable: ") {
		t.Error(line)
	}

	h.replace("certificate \"www\" {\n")
	if line := h.checked(exitUnknown, "UNKNOWN"); !strings.Contains(line, "the configuration can't be used") {
		t.Error(line)
	}
}

// An agent that holds the lock and does nothing: nobody but an outsider notices
// where no watchdog is set.
func TestCheckOfAnAgentThatHangs(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: time.Minute})
	h.start()
	h.served("www", 1)
	h.until("all is well", func() bool { return h.ask("check").code == exitOK })
	must(t, h.run.cmd.Process.Signal(syscall.SIGSTOP))
	var last answer
	h.until("the check says what is overdue", func() bool {
		last = h.ask("check", "--no-endpoints")
		return strings.Contains(last.stdout, "overdue: verify www")
	})
	if last.code != exitAttention || strings.Contains(last.stdout, "no agent") {
		t.Errorf("exit code %d: %s", last.code, last.all)
	}
	must(t, h.run.cmd.Process.Signal(syscall.SIGCONT))
	h.until("all is well again", func() bool { return h.ask("check").code == exitOK })
}

// The first lap leaves a sign of life, and the next one is some time off.
func TestTheLapLeavesASignOfLife(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true, lifetime: time.Hour})
	h.start()
	started := h.await("agent started", "").Time
	lock := filepath.Join(h.cfg.State, "lock")
	h.until("the lap has left a sign", func() bool {
		st, err := os.Stat(lock)
		must(t, err)
		return !st.ModTime().Before(started.Truncate(time.Microsecond)) // taking the lock came before
	})
	h.until("the first version", func() bool { return h.cert("www").Live == 1 })
	h.checked(exitOK, "OK")
	old := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(lock, old, old))
	if line := h.checked(exitAttention, "WARNING"); !strings.Contains(line, "the agent hangs: process ") {
		t.Error(line)
	}
}
