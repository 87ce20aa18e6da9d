package acmetest

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

func client(t *testing.T, cas ...*CA) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, ca := range cas {
		if !roots.AppendCertsFromPEM(ca.TrustPEM()) {
			t.Fatal("TrustPEM holds no certificate")
		}
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func get(t *testing.T, c *http.Client, url string) string {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, resp.Status, err)
	}
	return string(body)
}

func started(t *testing.T, o Options) *CA {
	t.Helper()
	ca, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ca.Close() })
	return ca
}

func TestTwoCAsLiveSideBySide(t *testing.T) {
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "77")
	a := started(t, Options{Profiles: map[string]Profile{"short": {Description: "brief", Validity: time.Minute}}})
	b := started(t, Options{ManagementAddr: "127.0.0.1:0"})
	if got := os.Getenv("PEBBLE_WFE_NONCEREJECT"); got != "77" {
		t.Errorf("the variable was left at %q", got)
	}
	if _, set := os.LookupEnv("PEBBLE_VA_NOSLEEP"); set {
		t.Error("a variable was left behind")
	}
	c := client(t, a, b)
	if got := get(t, c, a.DirectoryURL()); !strings.Contains(got, `"short"`) || !strings.Contains(got, a.Addr()) {
		t.Errorf("%s", got)
	}
	get(t, c, b.DirectoryURL())
	if got := get(t, c, b.ManagementURL()+"/roots/0"); got != string(b.RootPEM()) {
		t.Errorf("the management's root is %s", got)
	}
	if a.ManagementURL() != "" {
		t.Errorf("unasked management at %s", a.ManagementURL())
	}
}

func TestARestartKeepsAddressAndRoots(t *testing.T) {
	ca := started(t, Options{})
	c := client(t, ca)
	before, directory := string(ca.TrustPEM()), ca.DirectoryURL()
	if err := ca.Stop(); err != nil {
		t.Fatal(err)
	}
	if resp, err := c.Get(directory); err == nil {
		resp.Body.Close()
		t.Error("it answers while it is stopped")
	}
	for range 2 { // the second is for nothing
		if err := ca.Restart(); err != nil {
			t.Fatal(err)
		}
	}
	get(t, c, directory)
	if ca.DirectoryURL() != directory || string(ca.TrustPEM()) != before {
		t.Error("it came back as another")
	}
}

func TestTheDefaultWindowScalesWithTheLifetime(t *testing.T) {
	now := time.Now()
	for validity, left := range map[time.Duration]float64{time.Minute: 1.0 / 2, 6 * 24 * time.Hour: 1.0 / 2, 90 * 24 * time.Hour: 1.0 / 3} {
		leaf := &x509.Certificate{NotBefore: now, NotAfter: now.Add(validity)}
		w := defaultWindow(leaf)
		ideal := leaf.NotAfter.Add(-time.Duration(float64(validity) * left))
		if mid := w.Start.Add(w.End.Sub(w.Start) / 2); mid.Sub(ideal).Abs() > validity/1000 {
			t.Errorf("%s: around %s, not %s", validity, mid, ideal)
		}
		if got := w.End.Sub(w.Start); got != validity/50 {
			t.Errorf("%s: %s wide", validity, got)
		}
		if !json.Valid([]byte(w.body())) {
			t.Errorf("%s", w.body())
		}
	}
}

func TestTheIntermediateSigns(t *testing.T) {
	ca := started(t, Options{RSA: true})
	cert, key := ca.Intermediate()
	root, err := x509.ParseCertificate(ca.authority.GetRootCert(0).DER)
	if err != nil {
		t.Fatal(err)
	}
	if key == nil || cert.CheckSignatureFrom(root) != nil || !key.Public().(*rsa.PublicKey).Equal(cert.PublicKey) {
		t.Error("the intermediate is not the root's, or the key not the intermediate's")
	}
	if _, key := started(t, Options{}).Intermediate(); key != nil {
		t.Error("an ECDSA key was given away after all: Options.RSA is not needed any more")
	}
}
