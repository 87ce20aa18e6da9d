package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// ailing is a host on which all is well, with a disk of its own that can be
// filled, a hook, and a DNS in which four things can go wrong.
func ailing(t *testing.T, lifetime time.Duration) *host {
	t.Helper()
	return newHost(t, setup{bare: true, lifetime: lifetime, change: func(h *host) {
		must(t, os.Mkdir(h.cfg.State, 0o755))
		must(t, syscall.Mount("certvigil-test", h.cfg.State, "tmpfs", 0, "size=4m,mode=0755"))
		t.Cleanup(func() { _ = syscall.Unmount(h.cfg.State, syscall.MNT_DETACH) })
		h.cfg.Reload = []string{h.path("reload.sh")}
		must(t, os.WriteFile(h.cfg.Reload[0], []byte("#!/bin/sh\n"), 0o755))
		h.cfg.Sites[0].Endpoint = serveLive(t, func() string { return h.live("www", "") })
	}})
}

// The four ailments of which doctor must name each, by its reason and subject.
var ailments = []string{
	"caa-forbids www.example.com", "address-dead www.example.com AAAA", "hook-not-executable hook nginx", "disk-full STATE",
}

// ail makes all four; heal ends them.
func (h *host) ail() (heal func()) {
	h.t.Helper()
	h.ca.DNS().Set("www.example.com", "A 127.0.0.1", "AAAA ::1", `CAA 0 issue "other.test"`)
	must(h.t, os.Chmod(h.cfg.Reload[0], 0o644))
	empty := h.fill()
	return func() {
		h.ca.DNS().Set("www.example.com", "A 127.0.0.1", `CAA 0 issue "pebble.test"`)
		must(h.t, os.Chmod(h.cfg.Reload[0], 0o755))
		empty()
	}
}

// diagnosed is doctor's JSON, and its exit code.
func (h *host) diagnosed(argv ...string) (diagnosis, int) {
	h.t.Helper()
	got := h.ask(append([]string{"doctor", "--json"}, argv...)...)
	var d diagnosis
	if err := json.Unmarshal([]byte(got.stdout), &d); err != nil {
		h.t.Fatalf("doctor --json: %v: %s", err, got.all)
	}
	return d, got.code
}

// has compares what was found at the only certificate.
func (h *host) has(found []renew.Obstacle, want []string) {
	h.t.Helper()
	var got []string
	for _, o := range found {
		got = append(got, strings.ReplaceAll(string(o.Reason)+" "+o.Subject, h.cfg.State, "STATE"))
		if o.Detail == "" || o.Remedy == "" {
			h.t.Errorf("%s %s: detail %q, remedy %q", o.Reason, o.Subject, o.Detail, o.Remedy)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		h.t.Errorf("found %q, want %q", got, want)
	}
}

func TestDoctorNamesWhatWouldStopARenewalWithoutAnAgent(t *testing.T) {
	t.Parallel()
	h := ailing(t, time.Hour)
	heal := h.ail()
	d, code := h.diagnosed()
	if code != exitCritical || d.Running || len(d.Certificates) != 1 {
		t.Fatalf("exit code %d, %+v", code, d)
	}
	h.has(d.Certificates[0].Obstacles, ailments)
	text := h.ask("doctor", "www")
	for _, want := range []string{
		"No agent is running", "www (www.example.com): critical",
		"caa-forbids: www.example.com, for test", `"other.test" is another CA`, `→ Have the zone say: www.example.com. CAA 0 issue "pebble.test"`,
		"address-dead: www.example.com AAAA", "[::1]:",
		"hook-not-executable: hook nginx", h.cfg.Reload[0] + " is not executable (mode 0644)",
		"disk-full: " + h.cfg.State, "0 KiB are free",
	} {
		if !strings.Contains(text.stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, text.all)
		}
	}
	heal()
	if got := h.ask("doctor"); got.code != exitOK || !strings.Contains(got.stdout, "www (www.example.com): nothing would stop a renewal") {
		t.Errorf("healed: exit code %d: %s", got.code, got.all)
	}
	if n := h.ca.Counts(); n.NewOrders+n.Accounts != 0 {
		t.Errorf("looking cost %d orders and %d accounts", n.NewOrders, n.Accounts)
	}
	if left, err := filepath.Glob(filepath.Join(h.cfg.State, "*")); err != nil || len(left) > 0 {
		t.Errorf("looking left %v in the state directory, %v", left, err)
	}
	if got := h.ask("doctor", "nobody"); got.code != exitUnknown || !strings.Contains(got.all, `no certificate "nobody" is configured`) {
		t.Errorf("a name that is not there: exit code %d: %s", got.code, got.all)
	}
	h.replace("certificate {")
	if got := h.ask("doctor"); got.code != exitUnknown {
		t.Errorf("a configuration that can't be used: exit code %d: %s", got.code, got.all)
	}
}

func TestDoctorHasTheRunningAgentLook(t *testing.T) {
	t.Parallel()
	h := ailing(t, 6*time.Hour) // too long for a look of its own to come between
	h.start()
	h.served("www", 1)
	h.until("it was looked at", func() bool { return !h.cert("www").Preflight.At.IsZero() })
	if d, code := h.diagnosed(); code != exitOK || !d.Running {
		t.Errorf("nothing is wrong: exit code %d, %+v", code, d)
	}
	heal := h.ail()
	d, code := h.diagnosed("www")
	if code != exitAttention || !d.Running || len(d.Certificates) != 1 {
		t.Fatalf("exit code %d, %+v", code, d)
	}
	h.has(d.Certificates[0].Obstacles, ailments)
	// What an operator had looked at is known to all, with a full disk too.
	h.until("status knows it", func() bool { return len(h.cert("www").Preflight.Obstacles) == len(ailments) })
	got := h.ask("status")
	for _, want := range []string{"attention", "caa-forbids", "address-dead", "hook-not-executable", "disk-full", "certvigil doctor www says"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("status does not say %q: %s", want, got.all)
		}
	}
	heal()
	if _, code := h.diagnosed(); code != exitOK {
		t.Errorf("healed, and doctor exits with %d", code)
	}
	h.until("status is ok", func() bool { return h.ask("status").code == exitOK })
	h.cfg.More = "nonsense {}"
	h.write()
	h.until("the broken configuration was seen", func() bool { return h.ask("doctor").code == exitAttention })
	if got := h.ask("doctor", "nobody"); got.code != exitUnknown {
		t.Errorf("a name that is not there: exit code %d: %s", got.code, got.all)
	}
}

func TestTheAgentTellsByItselfWhatWouldStopARenewal(t *testing.T) {
	t.Parallel()
	h := ailing(t, time.Minute) // looked at every six seconds
	h.start()
	h.served("www", 1)
	h.until("it was looked at", func() bool { return !h.cert("www").Preflight.At.IsZero() })
	h.ca.DNS().Set("www.example.com", "A 127.0.0.1", `CAA 0 issue "other.test"`)
	looks := h.ca.DNS().Asked("udp", "www.example.com", "CAA")
	h.until("status shows it", func() bool { return h.cert("www").Reason == renew.CAAForbids })
	// One look may have been under way, so it is the next or the one after that.
	if n := h.ca.DNS().Asked("udp", "www.example.com", "CAA") - looks; n > 2 {
		t.Errorf("it took %d looks", n)
	}
	h.await("would stop a renewal", "www")
	if got := h.ask("status"); got.code != exitAttention || !strings.Contains(got.stdout, "www: caa-forbids: www.example.com (test):") {
		t.Errorf("exit code %d: %s", got.code, got.all)
	}
	version := h.cert("www").Version
	h.served("www", version+1) // it is told of, and stops nothing
	h.ca.DNS().Set("www.example.com", "A 127.0.0.1")
	h.until("status drops it", func() bool { return h.ask("status").code == exitOK })
	h.await("nothing would stop a renewal any more", "www")
}

func TestAnotherResolverIsInForceWithTheReload(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true, lifetime: time.Hour})
	other, err := acmetest.StartDNS("A 127.0.0.1", `CAA 0 issue "other.test"`)
	must(t, err)
	t.Cleanup(func() { _ = other.Close() })
	h.start()
	h.until("issued", func() bool { return h.cert("www").Version == 1 })
	h.at = h.log.End()
	h.cfg.Resolver = other.Addr()
	h.write()
	h.await("configuration loaded", "")
	if d, code := h.diagnosed(); code != exitAttention {
		t.Errorf("exit code %d, %+v", code, d)
	}
	if h.logged("a changed agent block takes a restart", "") > 0 {
		t.Error("the log asks for a restart that nobody needs")
	}
}
