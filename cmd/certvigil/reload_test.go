package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestABrokenConfigurationLeavesTheOneBeforeInForce(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	must(t, os.WriteFile(h.path("secret"), []byte("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"), 0o600))
	h.start()
	h.served("www", 1)
	good, err := os.ReadFile(h.config)
	must(t, err)
	for _, c := range []struct {
		name, text string
		byHand     bool   // SIGHUP; else the agent finds out by itself
		says       string // in status
	}{
		{"syntax error", string(good) + "\ncertificate \"mail\" {", true, "certvigil.hcl:"},
		{"unknown attribute", strings.Replace(string(good), "agree_terms", "agreeterms", 1), false, "Did you mean agree_terms?"},
		{"duplicate label", string(good) + "\ncertificate \"www\" {\n  names = [\"w2.example.com\"]\n}\n", true, `two certificates called "www"`},
		{"unreadable secret", strings.Replace(string(good), "agree_terms", "eab {\n key_id = \"k\"\n hmac_key = credential(\"gone\")\n }\n agree_terms", 1), true, "gone"},
		{"open secret", strings.Replace(string(good), "agree_terms", "eab {\n key_id = \"k\"\n hmac_key = file(\""+h.path("open")+"\")\n }\n agree_terms", 1), false, "open"},
		{"empty file", "", true, ""},
	} {
		must(t, os.WriteFile(h.path("open"), []byte("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"), 0o644))
		h.at = h.log.End()
		h.replace(c.text)
		if c.byHand {
			h.hangUp()
		}
		if c.name == "empty file" { // asks for nothing, and is no error
			h.until("the configuration is taken", func() bool { return h.logged("configuration loaded", "") > 0 && h.cert("www").Name == "" })
		} else {
			h.await("configuration refused, the one before stays in force", "")
			got := h.ask("status", "--socket", h.cfg.Socket)
			if got.code != exitAttention || !strings.Contains(got.stdout, c.says) || !strings.Contains(got.stdout, "www") {
				t.Errorf("%s: status: exit code %d, want 1, the fault (%s) and the certificate: %s", c.name, got.code, c.says, got.all)
			}
			if strings.Contains(got.all, "c2VjcmV0") {
				t.Errorf("%s: status shows the secret", c.name)
			}
		}
		h.replace(string(good))
		h.hangUp()
		h.until(c.name+": it is good again", func() bool { return h.ask("status").code == exitOK })
	}
	// What ran under the configuration in force ran on.
	h.request("www")
	h.served("www", 2)
}

func TestCertificatesComeAndGoWithTheConfiguration(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	mail := site{Name: "mail", Names: []string{"mail.example.com"}, Endpoint: h.nginx.Address}
	h.enable(mail)
	h.cfg.Sites = append(h.cfg.Sites, mail)
	h.write() // and nobody tells the agent
	h.served("mail", 1)

	www := h.cfg.Sites[0]
	h.cfg.Sites = h.cfg.Sites[1:]
	h.write()
	h.hangUp()
	h.until("www is dropped", func() bool { return h.cert("www").Name == "" && h.cert("mail").Name != "" })
	if got := h.ask("status", "www"); got.code != exitUnknown {
		t.Errorf("status of what was dropped: exit code %d: %s", got.code, got.all)
	}
	// Its pair stays: nginx may still read it.
	if _, err := readPair(h.live("www", "")); err != nil {
		t.Errorf("the dropped certificate's pair: %v", err)
	}

	// It comes back with other names: what is held does not cover them.
	www.Names = []string{"www.example.com", "w2.example.com"}
	h.enable(www)
	h.cfg.Sites = append(h.cfg.Sites, www)
	h.write()
	h.hangUp()
	h.served("www", 2)
	h.handshake("w2.example.com")
	if n := h.ca.Orders(); n != 3 {
		t.Errorf("%d orders for three certificates", n)
	}
}

func TestAStormOfHangUpsIsHarmless(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.await("agent started", "")
	for range 500 { // while the first order is under way
		must(t, h.run.cmd.Process.Signal(syscall.SIGHUP))
	}
	h.served("www", 1)
	for range 500 {
		must(t, h.run.cmd.Process.Signal(syscall.SIGHUP))
	}
	h.until("it is over", func() bool { return h.ask("status").code == exitOK })
	h.request("www")
	h.served("www", 2)
	if n := h.ca.Counts(); n.NewOrders != 2 || n.Accounts != 1 {
		t.Errorf("%d orders, %d accounts", n.NewOrders, n.Accounts)
	}
	// Signals are one bit each: most of the thousand were one.
	if n := h.logged("configuration loaded", ""); n < 1 || n > 1000 {
		t.Errorf("loaded %d times", n)
	}
	if n := h.descriptors(); n > 60 {
		t.Errorf("%d descriptors are open", n)
	}
	h.cfg.Sites[0].Names = append(h.cfg.Sites[0].Names, "w2.example.com")
	h.enable(h.cfg.Sites[0])
	h.write()
	h.hangUp()
	h.served("www", 3)
	h.handshake("w2.example.com")
}

// descriptors counts what the agent's process has open.
func (h *host) descriptors() int {
	h.t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.run.cmd.Process.Pid))
	must(h.t, err)
	return len(list)
}

func TestAReloadInMidOrderLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	hold := make(chan struct{})
	h.gate.set(onceOn(toFinalize, func() { <-hold }))
	h.start()
	h.until("the CA is asked to finalize", func() bool { return h.gate.count(toFinalize) > 0 })
	h.cfg.Timeout = "20s" // something that bears on the certificate
	h.write()
	h.hangUp()
	h.await("configuration loaded", "")
	close(hold)
	h.served("www", 1)
	if n := h.ca.Orders(); n > 2 {
		t.Errorf("%d orders for one certificate", n)
	}
	if e := h.logged("step failed", "www"); e > 0 {
		t.Errorf("%d steps failed because of a reload", e)
	}
}
