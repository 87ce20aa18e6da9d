package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
)

// inOwnNetwork tells whether this is the process in which the test is to go on: a
// search asks every listener of its network, and not those of other tests.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	inside, err := stage.InOwnNetwork(t.Name())
	must(t, err)
	return inside
}

// found is a host whose certificates have endpoint "auto".
func found(t *testing.T, sites ...site) *host {
	return newHost(t, setup{lifetime: 10 * time.Minute, sites: sites, change: func(h *host) {
		for i := range h.cfg.Sites {
			h.cfg.Sites[i].Endpoint = "auto"
		}
	}})
}

// copyPair puts the live pair of a certificate where nobody renews it.
func (h *host) copyPair(cert string) (full, chain, key string) {
	h.t.Helper()
	full, chain, key = h.path(cert+".copy.crt"), h.path(cert+".chain.crt"), h.path(cert+".copy.key")
	for from, to := range map[string]string{"fullchain.pem": full, "chain.pem": chain, "privkey.pem": key} {
		text, err := os.ReadFile(h.live(cert, from))
		must(h.t, err)
		must(h.t, os.WriteFile(to, text, 0o600))
	}
	return full, chain, key
}

// opensslServer serves a pair that it reads once.
func (h *host) opensslServer(port int, full, chain, key string) (stop func()) {
	h.t.Helper()
	cmd := exec.Command("openssl", "s_server", "-accept", fmt.Sprintf("127.0.0.1:%d", port), "-cert", full, "-cert_chain", chain, "-key", key, "-quiet")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	must(h.t, cmd.Start())
	ended := false
	stop = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	h.t.Cleanup(stop)
	h.until("openssl listens", func() bool {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return stop
}

// endpoints are the addresses that a certificate is proved at, with the process
// for those that were found.
func endpoints(c agent.CertReport) string {
	var all []string
	for _, e := range c.Endpoints {
		all = append(all, fmt.Sprintf("%s %s auto=%v served=%v by %s", e.Address, e.Name, e.Auto, e.Served, e.Process))
	}
	return strings.Join(all, "\n")
}

// TestACopyOnAnotherPortIsFoundAndGoneWhenItIsUpdated: two sites of an nginx that
// the hook reloads, and one of them in a forgotten server's own file.
func TestACopyOnAnotherPortIsFoundAndGoneWhenItIsUpdated(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	h := found(t, site{Name: "www", Names: []string{"www.example.com", "example.com"}}, site{Name: "shop", Names: []string{"shop.example.com"}})
	h.start()
	h.served("www", 1)
	h.served("shop", 1)
	want := fmt.Sprintf("%s www.example.com auto=true served=true by nginx, pid %d", h.nginx.Address, h.nginx.PID())
	if got := endpoints(h.cert("www")); !strings.Contains(got, want) || len(h.cert("www").Endpoints) != 2 {
		t.Errorf("endpoints\n%s\nwant two, with\n%s", got, want)
	}
	if got := h.ask("plan"); !strings.Contains(got.stdout, h.nginx.Address+" (auto)") {
		t.Errorf("plan: %s", got.all)
	}
	if got := h.ask("status", "shop"); !strings.Contains(got.stdout, "shop: "+h.nginx.Address+" for shop.example.com (auto: nginx, pid") {
		t.Errorf("status: %s", got.all)
	}

	port := ports(t, 1)[0]
	full, chain, key := h.copyPair("www")
	stop := h.opensslServer(port, full, chain, key)
	address := fmt.Sprintf("127.0.0.1:%d", port)
	h.request("www")
	h.until("the copy is told", func() bool { return len(h.cert("www").Copies) == 1 })
	c := h.served("www", 2)
	stale := c.Copies[0]
	if stale.Address != address || !strings.HasPrefix(stale.Process, "openssl, pid ") || len(stale.Names) != 2 {
		t.Errorf("copy %+v", stale)
	}
	if c.Health != renew.Attention || c.Reason != renew.IsStaleCopy {
		t.Errorf("%s %s", c.Health, c.Reason)
	}
	for _, command := range []string{"status", "check", "doctor"} {
		if got := h.ask(command); got.code != 1 || !strings.Contains(got.stdout, "stale-copy: "+address+" (openssl, pid ") {
			t.Errorf("%s: %s", command, got.all)
		}
	}

	stop()
	h.copyPair("www")
	h.opensslServer(port, full, chain, key)
	h.until("all is well again", func() bool {
		c := h.cert("www")
		return c.Health == renew.OK && c.Stage == renew.Served && strings.Contains(endpoints(c), address+" example.com auto=true served=true")
	})
}
