// Package six_test has one certificate at six real servers at once, and breaks one
// of them at each renewal.
package six_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/examples/walk"
)

// patience only ends a test that has failed. A round takes about a minute: the
// agent waits ten seconds for an endpoint that shows the wrong certificate, and
// runs hooks again half a minute later.
const patience = 5 * time.Minute

// seat is a server, and what stands for it in certvigil.hcl.
type seat struct {
	*walk.Guest
	unit      string
	addresses []string // of its endpoints there
	fault     func(*testing.T, seat) (heal func())
	idle      string // its reload does nothing while this file is there
}

// idles: the reload succeeds, and does nothing.
func idles(t *testing.T, s seat) func() {
	if err := os.WriteFile(s.idle, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(s.idle); err != nil {
			t.Fatal(err)
		}
	}
}

// copies: it reads a copy that somebody made of the pair before.
func copies(t *testing.T, s seat) func() {
	made := filepath.Join(filepath.Dir(s.idle), s.Name+"-copy")
	if out, err := exec.Command("cp", "-aL", s.Pair, made).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before, err := os.ReadFile(s.Conf)
	if err != nil {
		t.Fatal(err)
	}
	after := strings.ReplaceAll(string(before), s.Pair, made)
	if after == string(before) {
		t.Fatalf("%s does not name %s", s.Conf, s.Pair)
	}
	replace(t, s.Conf, after)
	return func() { replace(t, s.Conf, string(before)) }
}

func replace(t *testing.T, path, text string) {
	t.Helper()
	beside := path + "~" // which no server includes
	if err := os.WriteFile(beside, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, path); err != nil {
		t.Fatal(err)
	}
}

// host is the six, and the agent.
type host struct {
	*walk.Walk
	ctx   context.Context
	seats []seat
}

func newHost(t *testing.T) *host {
	w := walk.New(t, "all", 20*time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	t.Cleanup(cancel)
	h := &host{Walk: w, ctx: ctx, seats: []seat{
		{w.Nginx("../nginx"), "nginx.service", []string{"443"}, idles, ""},
		{w.Apache("../apache"), "apache2.service", []string{"8443"}, copies, ""},
		{w.HAProxy("../haproxy"), "haproxy.service", []string{"9443"}, copies, ""},
		{w.Postfix("../postfix"), "postfix.service", []string{"25", "587"}, copies, ""},
		{w.Dovecot("../dovecot"), "dovecot.service", []string{"143", "993", "110"}, idles, ""},
		{w.PostgreSQL("../postgresql"), "postgresql.service", []string{"5432"}, idles, ""},
	}}
	changes := []string{"127.0.0.1:8402", w.Responder}
	dir := w.Folder()
	for i := range h.seats {
		s := &h.seats[i]
		s.idle = filepath.Join(dir, s.Name+"-idle")
		reload := append([]string{"sh", "-c", `[ -e "$0" ] || exec "$@"`, s.idle}, s.ReloadCommand()...)
		changes = append(changes, fmt.Sprintf("unit = %q", s.unit), "command = "+walk.List(reload))
		for n, port := range s.addresses {
			changes = append(changes, fmt.Sprintf("endpoint \"127.0.0.1:%s\"", port), fmt.Sprintf("endpoint %q", s.Endpoints[n].Address))
		}
		if s.Lines != nil {
			s.Lines()
		}
		switch s.Name {
		case "haproxy":
			changes = append(changes, "/etc/haproxy/certs/www.pem", s.Pair)
		case "postgresql":
			changes = append(changes, "/etc/postgresql/tls", s.Pair)
		}
	}
	w.Configure("certvigil.hcl", changes...)
	if err := w.Agent.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

// unserved lists the endpoints of which the status says that they do not serve
// what is held.
func unserved(c stage.CertificateStatus) []string {
	all := map[string]bool{}
	for _, e := range c.Endpoints {
		if !e.Served || e.Fingerprint != c.Fingerprint {
			all[e.Address] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

func (s seat) where() []string {
	var all []string
	for _, e := range s.Endpoints {
		all = append(all, e.Address)
	}
	slices.Sort(all)
	return all
}

// healthy waits until everything is served, looks with another program, and
// returns the version.
func (h *host) healthy() int {
	h.T.Helper()
	c := h.Until("all are served", func(c stage.CertificateStatus) bool {
		return c.Stage == "served" && c.Health == "ok" && len(c.Endpoints) == 9 && len(unserved(c)) == 0
	})
	for s, shown := range h.shown() {
		if shown != c.Fingerprint {
			h.T.Errorf("%s shows %s, and status says %s", s, shown, c.Fingerprint)
		}
	}
	return c.Version
}

// shown is what another program sees of each server, at the same time.
func (h *host) shown() map[string]string {
	h.T.Helper()
	var looks sync.WaitGroup
	each := make([]string, len(h.seats))
	for i, s := range h.seats {
		looks.Go(func() { each[i] = h.Shown(s.Guest) })
	}
	looks.Wait()
	all := map[string]string{}
	for i, s := range h.seats {
		all[s.Name] = each[i]
	}
	return all
}

func TestAtEachRenewalExactlyTheBrokenServerIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		return // Postfix's master refuses to run as anybody else
	}
	h := newHost(t)
	version := h.healthy()
	pids := map[string]int{}
	for _, s := range h.seats {
		pids[s.Name] = s.PID()
	}
	for _, broken := range h.seats {
		heal, where := broken.fault(t, broken), broken.where()
		// It says that it came to no good end, as is to be seen below.
		if _, err := h.Agent.Command(h.ctx, "renew", "all", "--force"); err != nil {
			t.Fatal(err)
		}
		c := h.Until(fmt.Sprintf("exactly %s is not served", broken.Name), func(c stage.CertificateStatus) bool {
			return c.Version > version && c.Health == "attention" && c.Reason == "not-served" && slices.Equal(unserved(c), where)
		})
		// The agent tries again in a second, and the next time after half a minute.
		all := h.shown()
		heal()
		for s, shown := range all {
			if (shown == c.Fingerprint) == (s == broken.Name) {
				t.Errorf("while %s is broken, %s shows %s; held is %s", broken.Name, s, shown, c.Fingerprint)
			}
		}
		if version = h.healthy(); version != c.Version {
			t.Errorf("version %d is served after %s was healed, and %d was before: healing issues nothing", version, broken.Name, c.Version)
		}
		t.Logf("%s: named, and healed, at version %d", broken.Name, version)
	}
	for _, s := range h.seats {
		if pids[s.Name] == 0 || s.PID() != pids[s.Name] {
			t.Errorf("%s was restarted", s.Name)
		}
	}
}
