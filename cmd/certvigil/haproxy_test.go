package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// haproxyConf is a server of the pair at PAIR and PAIR.key, by TLS at PORT.
const haproxyConf = `
global
  stats socket SOCKET mode 600 level admin
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
frontend main
  bind 127.0.0.1:PORT ssl crt PAIR
  http-request return status 200
`

// TestHAProxyIsGivenEachNewPairWithoutAReload: it is started once the first pair
// is there, as on a host that was set up a moment ago. Until then the hook fails.
func TestHAProxyIsGivenEachNewPairWithoutAReload(t *testing.T) {
	t.Parallel()
	port := ports(t, 1)[0]
	h := newHost(t, setup{bare: true, change: func(h *host) {
		h.cfg.Timeout = "10s"
		h.cfg.Sites[0].Fullchain, h.cfg.Sites[0].Key = h.path("www.pem"), h.path("www.pem.key")
		h.cfg.Sites[0].Endpoint = fmt.Sprintf("127.0.0.1:%d", port)
	}})
	h.reloadBy(fmt.Sprintf("haproxy = %q\ncertificate = %q", h.path("admin.sock"), h.path("www.pem")))
	h.start()
	if m := h.failing(1); !strings.Contains(m, "reaching HAProxy's runtime API") {
		t.Errorf("message %q", m)
	}
	if got := h.ask("doctor"); !strings.Contains(got.stdout, "hook-not-executable: hook nginx") || !strings.Contains(got.stdout, h.path("admin.sock")) {
		t.Errorf("doctor: %s", got.all)
	}

	must(t, os.WriteFile(h.path("haproxy.cfg"), []byte(strings.NewReplacer(
		"SOCKET", h.path("admin.sock"), "PAIR", h.path("www.pem"), "PORT", fmt.Sprint(port)).Replace(haproxyConf)), 0o600))
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy" // not in the PATH of a user
	}
	cmd := exec.Command(program, "-db", "-f", h.path("haproxy.cfg"))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("haproxy said: %s", said.String())
		}
	})
	h.served("www", 1)
	h.served("www", 2) // by the same process, which nobody reloads
	if got := h.ask("doctor"); strings.Contains(got.stdout, "hook-not-executable") {
		t.Errorf("doctor: %s", got.all)
	}
	if out, err := os.ReadFile(h.path("agent.log")); err != nil || strings.Contains(string(out), "PRIVATE KEY") {
		t.Errorf("a key in the log, or no log: %v", err)
	}
}
