package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestAKeyThatNginxRefusesIsTakenBack: OpenSSL is told to take no RSA key of 2,048
// bits, and the configuration asks for one. The certificate before is put back, so
// that nginx can be reloaded for other sites and restarted, and status says so,
// until the configuration asks for something that nginx takes.
func TestAKeyThatNginxRefusesIsTakenBack(t *testing.T) {
	strict := t.TempDir() + "/openssl.cnf"
	must(t, os.WriteFile(strict, []byte("openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = tls\n[tls]\nCipherString = DEFAULT:@SECLEVEL=3\n"), 0o644))
	t.Setenv("OPENSSL_CONF", strict) // of nginx; hooks get no variables
	h := newHost(t, setup{
		lifetime: 3 * time.Minute,
		sites:    []site{{Name: "www", Names: []string{"www.example.com"}}, {Name: "shop", Names: []string{"shop.example.com"}}},
		change:   func(h *host) { h.cfg.Test = append([]string{"env", "OPENSSL_CONF=" + strict}, h.cfg.Test...) },
	})
	h.start()
	h.served("www", 1)
	h.served("shop", 1)
	before := h.fingerprint("www.example.com")

	h.cfg.Sites[0].KeyType = "rsa2048"
	h.write()
	h.until("nginx refuses the new one", func() bool {
		c := h.cert("www")
		return c.Live == 2 && c.Failure != nil && strings.Contains(c.Failure.Message, "ee key too small")
	})
	h.until("the one before is back", func() bool {
		c := h.cert("www")
		return c.Live == 1 && c.Stage == "served" && c.Reason == "rolled-back" && c.Health == "attention"
	})
	if out := h.ask("status"); out.code != exitAttention || !strings.Contains(out.stdout, "ee key too small") {
		t.Errorf("status says %d: %s", out.code, out.stdout)
	}
	if h.fingerprint("www.example.com") != before {
		t.Error("another certificate is served")
	}
	h.request("shop")
	h.served("shop", 2)
	orders := h.ca.Orders()

	h.cfg.Sites[0].KeyType = "ec384"
	h.write()
	h.until("what nginx takes is served", func() bool {
		c := h.cert("www")
		return c.Version == 3 && c.Stage == "served" && c.Health == "ok"
	})
	if n := h.ca.Orders() - orders; n != 1 {
		t.Errorf("%d orders for one certificate", n)
	}
	if h.fingerprint("www.example.com") == before {
		t.Error("the certificate before is still served")
	}
}
