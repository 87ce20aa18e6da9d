package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script writes a program for a hook.
func (h *host) script(name, text string) []string {
	h.t.Helper()
	path := h.path(name)
	h.program(path, []byte("#!/bin/sh\n"+text+"\n"))
	return []string{path}
}

// program writes a file that is to be executed. The kernel refuses one that
// anybody has open for writing (ETXTBSY): so it is renamed into place, and no
// child may inherit the descriptor meanwhile.
func (h *host) program(path string, data []byte) {
	h.t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path+".new", data, 0o755)
	syscall.ForkLock.RUnlock()
	must(h.t, err)
	must(h.t, os.Rename(path+".new", path))
}

// reloadLine is a shell command that reloads the host's nginx.
func (h *host) reloadLine() string { return "exec " + strings.Join(h.nginx.ReloadCommand(), " ") }

// failing waits until the hook has failed n times and returns what status says
// of the last time.
func (h *host) failing(n int) string {
	h.t.Helper()
	message := ""
	h.until(fmt.Sprintf("the hook has failed %d times", n), func() bool {
		c := h.cert("www")
		if c.Failure == nil || c.Failure.Stage != "deploy" || c.Failure.Count < n {
			return false
		}
		message = c.Failure.Message
		return true
	})
	return message
}

// sick checks that status says so: stage, health, exit code, and the next try.
func (h *host) sick(stageWanted, text string) {
	h.t.Helper()
	h.until(fmt.Sprintf("status says %s and attention", stageWanted), func() bool {
		c := h.cert("www")
		return string(c.Stage) == stageWanted && c.Health != "ok" && c.Failure != nil
	})
	if c := h.cert("www"); c.Failure != nil && c.Failure.Next.IsZero() {
		h.t.Errorf("no next try: %+v", c.Failure)
	}
	if got := h.ask("status"); got.code != exitAttention || !strings.Contains(got.stdout, text) {
		h.t.Errorf("status: exit code %d, want 1 and %q: %s", got.code, text, got.all)
	}
}

func TestAHookThatFailsIsRetriedAndNeverCostsAnOrder(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 10 * time.Minute})
	h.cfg.Test = nil
	h.cfg.Reload = h.script("hook", "echo the disk is on fire >&2; exit 3")
	h.write()
	h.start()
	if m := h.failing(2); !strings.Contains(m, "the disk is on fire") || !strings.Contains(m, "3") {
		t.Errorf("message %q: want the exit code and the program's own words", m)
	}
	h.sick("installed", "the disk is on fire")

	// Still pending after a restart, and still known to have failed.
	h.stop()
	h.start()
	h.failing(3)
	h.script("hook", h.reloadLine())
	h.served("www", 1)
	if n := h.ca.Orders(); n != 1 {
		t.Errorf("%d orders for one certificate", n)
	}
	if got := h.ask("status"); got.code != exitOK {
		t.Errorf("healed, and status: exit code %d: %s", got.code, got.all)
	}
}

func TestAHookThatHangsIsEndedWithItsChildren(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 10 * time.Minute})
	h.cfg.Test, h.cfg.Timeout = nil, "500ms"
	h.cfg.Reload = h.script("hook", "echo $$ >>"+h.path("pids")+"; sleep 300 & echo $! >>"+h.path("pids")+"; wait")
	h.write()
	h.start()
	if m := h.failing(1); !strings.Contains(m, "500ms") {
		t.Errorf("message %q: want the timeout", m)
	}
	pids, err := os.ReadFile(h.path("pids"))
	must(t, err)
	for _, pid := range strings.Fields(string(pids))[:2] {
		h.until("process "+pid+" of the hook is gone", func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ")
		})
	}
	h.script("hook", h.reloadLine())
	h.served("www", 1)
	if n := h.ca.Orders(); n != 1 {
		t.Errorf("%d orders for one certificate", n)
	}
}

func TestAHookThatLeavesADaemonOnItsOutputHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 10 * time.Minute})
	h.cfg.Test = nil
	h.cfg.Reload = h.script("hook", "setsid sleep 20 &\n"+h.reloadLine())
	h.write()
	h.start()
	e := h.await("hook acknowledged", "www")
	if took := e.Took("took"); took > 5*time.Second {
		t.Errorf("the hook took %s: it was waited for its left-over", took)
	}
	h.served("www", 1)
}

func TestAHookThatPrintsAQuarterOfAGigabyteCostsNoMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 10 * time.Minute})
	h.cfg.Test, h.cfg.Timeout = nil, "5m"
	h.cfg.Reload = h.script("hook", "yes xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx | head -c 256000000; echo; echo the last words; exit 1")
	h.write()
	h.start()
	if m := h.failing(1); !strings.Contains(m, "the last words") || len(m) > 128<<10 {
		t.Errorf("a message of %d bytes: %.200s", len(m), m)
	}
	if kb := h.peak(); kb > 400<<10 {
		t.Errorf("the agent took %d KiB", kb)
	}
}

// reloadBy puts another way of reload into the configuration than a command.
func (h *host) reloadBy(body string) {
	h.t.Helper()
	h.cfg.Reload = []string{"nobody-runs-this"}
	h.write()
	text, err := os.ReadFile(h.config)
	must(h.t, err)
	h.replace(strings.Replace(string(text), `command = ["nobody-runs-this"]`, body, 1))
}

func TestNginxIsReloadedByASignalToTheProcessOfItsPidFile(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.reloadBy(fmt.Sprintf("pid_file = %q\nsignal = \"HUP\"\nprocess = \"nginx\"", h.path("nginx/nginx.pid")))
	h.start()
	h.served("www", 2)

	// The number is another program's by now.
	h.reloadBy(fmt.Sprintf("pid_file = %q\nsignal = \"HUP\"\nprocess = \"apache2\"", h.path("nginx/nginx.pid")))
	h.hangUp()
	h.await("configuration loaded", "")
	h.request("www")
	if m := h.failing(1); !strings.Contains(m, "nginx, not apache2") {
		t.Errorf("message %q", m)
	}
}

// peak is the most memory that the agent's process ever had, in KiB.
func (h *host) peak() (kb int) {
	h.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.run.cmd.Process.Pid))
	must(h.t, err)
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	_, err = fmt.Sscan(after, &kb)
	must(h.t, err)
	return kb
}

func TestAReloadThatDoesNothingIsNoticedAndHealsByAFixedConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	repaired := h.cfg.Reload
	h.cfg.Reload = []string{"true"}
	h.write()
	h.hangUp()
	h.await("configuration loaded", "")
	orders := h.ca.Orders()
	h.request("www")
	asked := time.Now()
	h.sick("deployed", "not-served")
	if took := time.Since(asked); took > time.Minute {
		t.Errorf("noticed after %s", took)
	}
	if n := h.ca.Orders() - orders; n != 1 {
		t.Errorf("%d orders for one renewal", n)
	}
	h.cfg.Reload = repaired
	h.write()
	h.hangUp()
	h.served("www", 2)
}

func TestAReloadThatDoesNothingHealsByHandAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 3 * time.Minute})
	h.cfg.Reload = []string{"true"}
	h.write()
	h.start()
	h.sick("deployed", "www.example.com")
	h.run.kill()
	h.start()
	h.sick("deployed", "www.example.com")
	must(t, h.nginx.Reload(t.Context()))
	h.served("www", 1)
	if n := h.ca.Orders(); n != 1 {
		t.Errorf("%d orders for one certificate", n)
	}
	if got := h.ask("status"); got.code != exitOK {
		t.Errorf("healed, and status: exit code %d: %s", got.code, got.all)
	}
}
