package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// hold is a client that stays in the middle of a request until it is closed: nginx
// closes those that ask for nothing when it reloads.
func (h *host) hold() *tls.Conn {
	h.t.Helper()
	conn, err := tls.Dial("tcp", h.nginx.Address, &tls.Config{ServerName: "www.example.com", InsecureSkipVerify: true})
	must(h.t, err)
	h.t.Cleanup(func() { conn.Close() })
	_, err = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: www.example.com\r\n")
	must(h.t, err)
	return conn
}

// TestConnectionsOfOldWorkersAreToldUntilTheyAreGone: two clients stay connected
// through a reload of nginx, and a third comes after it.
func TestConnectionsOfOldWorkersAreToldUntilTheyAreGone(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 2 * time.Minute})
	conf, err := os.ReadFile(h.nginx.Conf())
	must(t, err)
	must(t, os.WriteFile(h.nginx.Conf(), []byte(strings.Replace(string(conf), "worker_shutdown_timeout 5s;", "", 1)), 0o644))
	must(t, h.nginx.EnableText("patience", "client_header_timeout 10m;"))
	h.start()
	h.served("www", 1)

	first, second := h.hold(), h.hold()
	h.request("www")
	h.served("www", 2)
	third := h.hold()
	if n := h.cert("www").Endpoints[0].OlderConnections; n != 2 {
		t.Errorf("the first proof counts %d older connections, want 2", n)
	}
	h.older(2, "2 connections from before the reload are still open (at ")
	if got := h.ask("status", "--json"); !strings.Contains(got.stdout, `"older_connections": 2`) {
		t.Errorf("status --json: %s", got.all)
	}
	h.await("served", "www")
	if e := h.await("served", "www"); e.Number("older_connections") != 2 {
		t.Errorf("the log says %s", e.Line)
	}
	must(t, first.Close())
	h.older(1, "1 connection from before the reload is still open (at ")
	must(t, second.Close())
	h.older(0, "")
	if _, err := fmt.Fprint(third, "\r\n"); err != nil {
		t.Errorf("the third client: %v", err)
	}
	if c := h.cert("www"); c.Health != renew.OK || c.Version != 2 {
		t.Errorf("version %d, %s: %+v", c.Version, c.Health, c.Findings)
	}
}

// older waits for a proof that counts so many older connections, and for status to
// say so.
func (h *host) older(want int, words string) {
	h.t.Helper()
	h.until(fmt.Sprintf("%d older connections", want), func() bool {
		c := h.cert("www")
		return c.Stage == renew.Served && c.Endpoints[0].OlderConnections == want
	})
	got := h.ask("status", "www")
	wrong := strings.Contains(got.stdout, "before the reload")
	if want > 0 {
		wrong = !strings.Contains(got.stdout, "\nwww: "+h.nginx.Address+": "+words)
	}
	if wrong || got.code != exitOK {
		h.t.Errorf("status: %s", got.all)
	}
}
