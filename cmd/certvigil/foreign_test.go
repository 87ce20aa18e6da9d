package main

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// otherClient gets a pair for www.example.com from the host's CA, as another
// ACME client of the same host does: with an account and a state of its own.
func (h *host) otherClient(profile string) store.Bundle {
	h.t.Helper()
	cfg, diags := config.Outline(h.config) // the agent's credentials are not here
	if diags.HasErrors() {
		h.t.Fatal(diags)
	}
	for label, i := range cfg.Issuers {
		i.TrustRoots = h.ca.TrustPEM()
		cfg.Issuers[label] = i
	}
	st, err := store.Open(h.t.TempDir())
	must(h.t, err)
	defer st.Close()
	log := slog.New(slog.DiscardHandler)
	responder := issue.NewResponder(nil, log)
	defer responder.Close()
	client, err := issue.New(issue.Options{Books: st, Issuers: cfg.Issuers, Solvers: cfg.Solvers, Responder: responder, Log: log})
	must(h.t, err)
	defer client.Close()
	cert := cfg.Certs[0]
	cert.Issuers[0].Profile = profile
	n, err := client.Issue(h.t.Context(), cert, renew.Version{}, renew.Missing)
	must(h.t, err)
	b, err := st.Read(cert.Name, n)
	must(h.t, err)
	return b
}

// withOutput is a host whose nginx reads the pair from the operator's own paths.
func withOutput(t *testing.T, onChange string) *host {
	return newHost(t, setup{
		ca: acmetest.Options{Profiles: map[string]acmetest.Profile{
			"default": {Validity: time.Hour}, "long": {Validity: 3 * time.Hour}, "short": {Validity: 15 * time.Second},
		}},
		lifetime: time.Hour,
		change: func(h *host) {
			h.cfg.Issuer = `profile = "default"`
			s := &h.cfg.Sites[0]
			must(t, os.Mkdir(h.path("tls"), 0o755))
			s.Fullchain, s.Key, s.OnChange = h.path("tls/www.crt"), h.path("tls/www.key"), onChange
			h.enable(*s)
		},
	})
}

// overwrite puts a pair where ours is, in two steps, the certificate first.
func (h *host) overwrite(b store.Bundle) {
	h.t.Helper()
	must(h.t, os.WriteFile(h.path("www.crt.new"), b.Fullchain(), 0o644))
	must(h.t, os.WriteFile(h.path("www.key.new"), b.Key, 0o600))
	must(h.t, os.Rename(h.path("www.crt.new"), h.path("tls/www.crt")))
	must(h.t, os.Rename(h.path("www.key.new"), h.path("tls/www.key")))
}

func TestABetterPairOfAnotherClientIsAdoptedReloadedAndServed(t *testing.T) {
	t.Parallel()
	h := withOutput(t, "")
	h.start()
	h.served("www", 1)
	h.await("hook acknowledged", "www")
	theirs := h.otherClient("long")
	h.overwrite(theirs)
	h.await("certificate of someone else adopted", "www")
	h.await("hook acknowledged", "www")
	r := h.served("www", 2)
	pair, err := keypair.Parse(theirs.Key, theirs.Fullchain())
	must(t, err)
	if got := h.fingerprint("www.example.com"); got != pair.Fingerprint || r.Fingerprint != pair.Fingerprint {
		t.Errorf("nginx serves %s, status says %s, want %s", got, r.Fingerprint, pair.Fingerprint)
	}
	if got := h.ask("status"); got.code != exitOK {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	// It is renewed by us when its own time comes, not at once.
	if got := h.ask("plan"); !strings.Contains(got.stdout, "www") || strings.Contains(got.stdout, "names-differ") {
		t.Errorf("plan: %s", got.stdout)
	}
	if n := h.ca.Orders(); n != 2 {
		t.Errorf("%d orders, want ours and theirs", n)
	}
}

func TestAnExpiredPairOfAnotherClientIsReplacedByOurs(t *testing.T) {
	t.Parallel()
	h := withOutput(t, "")
	h.start()
	ours := h.served("www", 1).Fingerprint
	h.await("hook acknowledged", "www")
	theirs := h.otherClient("short")
	pair, err := keypair.Parse(theirs.Key, theirs.Fullchain())
	must(t, err)
	h.until("it has expired", func() bool { return time.Now().After(pair.NotAfter) })
	h.overwrite(theirs)
	h.await("hook acknowledged", "www")
	h.until("ours is back and served", func() bool { return h.cert("www").Stage == "served" })
	if got := h.fingerprint("www.example.com"); got != ours {
		t.Errorf("nginx serves %s, want %s", got, ours)
	}
	if c := h.cert("www"); c.Version != 1 {
		t.Errorf("version %d", c.Version)
	}
}

func TestAlarmLeavesAPairOfAnotherClientAndTells(t *testing.T) {
	t.Parallel()
	h := withOutput(t, "alarm")
	h.start()
	h.served("www", 1)
	h.await("hook acknowledged", "www")
	theirs := h.otherClient("long")
	h.overwrite(theirs)
	h.until("it is told", func() bool { return h.cert("www").Reason == renew.ForeignChange })
	if got := h.ask("status"); got.code != exitAttention || !strings.Contains(got.stdout, "foreign-change") {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	if got, err := os.ReadFile(h.path("tls/www.crt")); err != nil || string(got) != string(theirs.Fullchain()) {
		t.Errorf("it was not left alone (%v)", err)
	}
}
