package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/keypair"
)

// storePassword opens the keystores of these tests.
const storePassword = "cv-Kx71-store"

// withEveryFormat is a host with an output of each format, whose nginx reads the
// one that is a directory.
func withEveryFormat(t *testing.T) *host {
	return newHost(t, setup{
		ca: acmetest.Options{Profiles: map[string]acmetest.Profile{
			"default": {Validity: time.Hour}, "long": {Validity: 3 * time.Hour},
		}},
		lifetime: time.Hour,
		change: func(h *host) {
			h.cfg.Issuer = `profile = "default"`
			must(t, os.Mkdir(h.path("tls"), 0o755))
			must(t, os.Mkdir(h.path("credentials"), 0o700))
			must(t, os.WriteFile(h.path("credentials/store"), []byte(storePassword+"\n"), 0o600))
			h.env = []string{"CREDENTIALS_DIRECTORY=" + h.path("credentials")}
			s := &h.cfg.Sites[0]
			s.Outputs = strings.ReplaceAll(`
  install "pem" {
    directory = "TLS/www"
  }
  install "bundle" {
    path  = "TLS/www.pem"
    parts = ["chain", "key", "cert"]
    acl   = ["u:nobody:r"]
  }
  install "pkcs12" {
    path     = "TLS/www.p12"
    password = credential("store")
  }
  install "pkcs12" {
    path     = "TLS/old.p12"
    password = credential("store")
    encoding = "legacy"
  }
  install "jks" {
    path     = "TLS/www.jks"
    password = credential("store")
  }
  install "der" {
    key  = "TLS/www.key.der"
    cert = "TLS/www.crt.der"
  }`, "TLS", h.path("tls"))
			must(t, h.nginx.Enable(stage.Site{Name: s.Name, Names: s.Names,
				Fullchain: h.path("tls/www/fullchain.pem"), Key: h.path("tls/www/privkey.pem")}))
		},
	})
}

// wantEverywhere fails the test unless every output holds the live pair.
func (h *host) wantEverywhere() {
	h.t.Helper()
	key, err := os.ReadFile(h.live("www", "privkey.pem"))
	must(h.t, err)
	fullchain, err := os.ReadFile(h.live("www", "fullchain.pem"))
	must(h.t, err)
	tls := h.path("tls") + "/"
	leaf := h.openssl("x509", "-in", tls+"www.crt.der", "-inform", "DER")
	for _, got := range []struct {
		from           string
		key, fullchain []byte
	}{
		{"the directory", h.openssl("pkey", "-in", tls+"www/privkey.pem"), h.file("tls/www/fullchain.pem")},
		{"the directory's parts", h.file("tls/www/privkey.pem"), append(h.file("tls/www/cert.pem"), h.file("tls/www/chain.pem")...)},
		{"the bundle", nil, nil},
		{"the PKCS#12 file", h.openssl("pkcs12", "-in", tls+"www.p12", "-nodes", "-nocerts", "-passin", "env:STORE"),
			h.openssl("pkcs12", "-in", tls+"www.p12", "-nokeys", "-passin", "env:STORE")},
		{"the old PKCS#12 file", h.openssl("pkcs12", "-in", tls+"old.p12", "-legacy", "-nodes", "-nocerts", "-passin", "env:STORE"),
			h.openssl("pkcs12", "-in", tls+"old.p12", "-legacy", "-nokeys", "-passin", "env:STORE")},
		{"the keystore", nil, nil},
		{"DER", h.openssl("pkey", "-in", tls+"www.key.der", "-inform", "DER"), append(leaf, fullchain[len(leaf):]...)},
	} {
		switch got.from {
		case "the bundle":
			got.key, got.fullchain, err = keypair.Split(h.file("tls/www.pem"))
			must(h.t, err)
		case "the keystore":
			got.key, got.fullchain, err = keypair.DecodeJKS(h.file("tls/www.jks"), storePassword, "www")
			must(h.t, err)
		}
		// openssl writes the names of a bag before its PEM
		gotKey, _, err := keypair.Split(got.key)
		must(h.t, err)
		_, gotChain, err := keypair.Split(got.fullchain)
		must(h.t, err)
		if !bytes.Equal(gotKey, key) || !bytes.Equal(gotChain, fullchain) {
			h.t.Errorf("%s does not hold the live pair", got.from)
		}
	}
}

func (h *host) file(name string) []byte {
	h.t.Helper()
	data, err := os.ReadFile(h.path(name))
	must(h.t, err)
	return data
}

func (h *host) openssl(args ...string) []byte {
	h.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Env = append(os.Environ(), "STORE="+storePassword)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("openssl %q: %v\n%s", args, err, said.String())
	}
	return out
}

// seen changes when anything is written at the paths of the outputs.
func (h *host) seen() string {
	h.t.Helper()
	cfg, diags := config.Outline(h.config)
	if diags.HasErrors() {
		h.t.Fatal(diags)
	}
	var all []string
	for _, o := range cfg.Certs[0].Outputs {
		all = append(all, install.Seen(o))
	}
	return strings.Join(all, " ")
}

func TestEveryFormatFollowsTheCertificate(t *testing.T) {
	t.Parallel()
	h := withEveryFormat(t)
	h.start()
	h.served("www", 1)
	h.wantEverywhere()
	before := h.seen()
	h.request("www")
	h.served("www", 2)
	h.wantEverywhere()
	if h.seen() == before {
		t.Error("nothing was written, or nobody looked")
	}

	// Another start decodes what is there, and leaves it.
	before = h.seen()
	h.stop()
	h.start()
	h.served("www", 2)
	h.hangUp()
	h.await("configuration loaded", "")
	h.served("www", 2)
	if h.seen() != before {
		t.Error("what was in place was written again")
	}

	for _, name := range []string{"www.jks", "www.p12", "old.p12", "www.pem", "www.key.der", "www/privkey.pem"} {
		must(t, os.Truncate(h.path("tls/"+name), 100))
	}
	h.await("installed", "www")
	h.served("www", 2)
	h.wantEverywhere()

	s := secrets{"password": []byte(storePassword)}
	for _, argv := range [][]string{{"status"}, {"status", "--json"}, {"plan"}, {"plan", "--json"}, {"validate"}, {"check"}} {
		s.search(t, strings.Join(argv, " "), []byte(h.ask(argv...).all))
	}
	s.search(t, "the log", h.file("agent.log"))
	s.search(t, "its arguments", fmt.Appendf(nil, "%q", h.run.cmd.Args))
	s.searchReadable(t, h.cfg.State)
}

// Who looks on has no credentials, and keystores look to it as they should.
func TestCheckIsContentWithoutThePassword(t *testing.T) {
	t.Parallel()
	h := withEveryFormat(t)
	h.start()
	h.served("www", 1)
	h.env = nil
	if got := h.ask("check"); got.code != exitOK {
		t.Errorf("%d: %s", got.code, got.all)
	}
}

func TestABetterPairInABundleGoesToEveryOutput(t *testing.T) {
	t.Parallel()
	h := withEveryFormat(t)
	h.start()
	h.served("www", 1)
	h.await("hook acknowledged", "www")
	theirs := h.otherClient("long")
	must(t, os.WriteFile(h.path("new.pem"), bytes.Join([][]byte{theirs.Key, theirs.Fullchain()}, nil), 0o600))
	must(t, os.Rename(h.path("new.pem"), h.path("tls/www.pem")))
	h.await("certificate of someone else adopted", "www")
	h.served("www", 2)
	h.wantEverywhere()
	if got, err := os.ReadFile(h.live("www", "cert.pem")); err != nil || !bytes.Equal(got, theirs.Cert) {
		t.Errorf("the live pair is not theirs: %v", err)
	}
	if target, err := filepath.EvalSymlinks(h.path("tls/www")); err != nil || filepath.Base(target) != ".www.certvigil-2" {
		t.Errorf("%s, %v", target, err)
	}
}
