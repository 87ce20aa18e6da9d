package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// spareCA starts a second CA, which validates at the same port, and lets every
// site name it after the first.
func (h *host) spareCA(o acmetest.Options) *acmetest.CA {
	h.t.Helper()
	at, err := strconv.Atoi(h.cfg.HTTP[strings.LastIndex(h.cfg.HTTP, ":")+1:])
	must(h.t, err)
	o.HTTPPort = at
	ca, err := acmetest.Start(o)
	must(h.t, err)
	h.t.Cleanup(func() { _ = ca.Close() })
	both, err := os.ReadFile(h.cfg.Trust)
	must(h.t, err)
	must(h.t, os.WriteFile(h.cfg.Trust, append(both, ca.TrustPEM()...), 0o644))
	h.cfg.More = fmt.Sprintf("issuer \"spare\" {\n  directory = %q\n  agree_terms = true\n  trust_roots = %q\n  http_port = %d\n}\n", ca.DirectoryURL(), h.cfg.Trust, at)
	for i := range h.cfg.Sites {
		h.cfg.Sites[i].Issuers = "issuer.test, issuer.spare"
	}
	return ca
}

// lapses handshakes while it waits, and reports every client that got nothing
// it could trust.
func (h *host) withoutLapse(what, name string, happened func() bool) {
	h.t.Helper()
	h.until(what, func() bool {
		if _, err := h.dial(name); err != nil {
			h.t.Errorf("%s: a client of %s: %v", what, name, err)
		}
		return happened()
	})
}

// TestTheFirstCAIsCutOffForGoodAndComesBack: the certificate changes over to the
// second CA before half of the slack is gone, at an account that was made
// before, and back at the next cycle once the first is there again.
func TestTheFirstCAIsCutOffForGoodAndComesBack(t *testing.T) {
	t.Parallel()
	const lifetime = 40 * time.Second
	var spare *acmetest.CA
	h := newHost(t, setup{lifetime: lifetime, change: func(h *host) { spare = h.spareCA(acmetest.Options{Validity: lifetime}) }})
	h.start()
	first := h.served("www", 1)
	h.until("there is an account at the second CA", func() bool { return spare.Counts().Accounts == 1 })
	if n := spare.Orders(); n != 0 {
		t.Errorf("%d orders at the second CA while the first was well", n)
	}

	must(t, h.ca.Stop())
	var moved agent.CertReport
	h.withoutLapse("the second CA's is served", "www.example.com", func() bool {
		moved = h.cert("www")
		return moved.Issuer == "spare" && moved.Stage == "served"
	})
	if moved.Version != first.Version+1 || spare.Orders() != 1 || spare.Counts().Accounts != 1 {
		t.Errorf("version %d, %d orders, %d accounts at the second CA", moved.Version, spare.Orders(), spare.Counts().Accounts)
	}
	if half := first.NotAfter.Add(-lifetime / 4); !moved.NotBefore.Before(half) {
		t.Errorf("changed over at %s, half of the slack was gone at %s", moved.NotBefore, half)
	}

	must(t, h.ca.Restart())
	h.withoutLapse("back at the first CA", "www.example.com", func() bool {
		c := h.cert("www")
		return c.Issuer == "test" && c.Stage == "served" && c.Version > moved.Version
	})
}

// TestADeadNameIsLeftOutAndTakenBack: a name goes out of the DNS; the other
// keeps a valid certificate, status says so, and when the name is back it is
// served again.
func TestADeadNameIsLeftOutAndTakenBack(t *testing.T) {
	t.Parallel()
	const well, dead = "www.example.com", "shop.example.com"
	h := newHost(t, setup{lifetime: 40 * time.Second, sites: []site{{Name: "www", Names: []string{well, dead}}}})
	h.start()
	h.served("www", 1)
	h.handshake(dead)
	h.ca.Unresolve(dead, true)
	h.withoutLapse("the other name is rescued", well, func() bool {
		c := h.cert("www")
		return c.Version > 1 && c.Stage == "served" && c.Reason == "name-left-out" && c.Health == "critical"
	})
	if leaf := h.handshake(well); len(leaf.DNSNames) != 1 {
		t.Errorf("the certificate is for %q", leaf.DNSNames)
	}
	if out := h.ask("status"); out.code != exitCritical || !strings.Contains(out.stdout, dead) {
		t.Errorf("status says %d: %s", out.code, out.stdout)
	}
	h.ca.Unresolve(dead, false)
	h.withoutLapse("the name is taken back", well, func() bool {
		c := h.cert("www")
		_, err := h.dial(dead)
		return err == nil && c.Stage == "served" && c.Health == "ok"
	})
}
