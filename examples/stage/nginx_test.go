package stage_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// newNginx returns an nginx in a folder of the test, stopped at its end.
func newNginx(t *testing.T) *stage.Nginx {
	t.Helper()
	ports, err := stage.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	n, err := stage.NewNginx(t.TempDir(), ports[0], ports[1])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Stop(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// writePair puts a self-signed pair for name at the paths of a site, and
// returns what a client has to trust.
func writePair(t *testing.T, s stage.Site) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "self"}, DNSNames: s.Names,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	for path, data := range map[string][]byte{s.Fullchain: text, s.Key: keyText} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

func limited(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// awaitServed handshakes until the server answers as a client wants it.
func awaitServed(t *testing.T, target prober.Target, roots *x509.CertPool) prober.Seen {
	t.Helper()
	ctx := limited(t, 10*time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		seen, err := prober.Handshake(ctx, target, roots)
		if err == nil && seen.Kind == "" {
			return seen
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s is not served: %v %+v", target, err, seen)
		case <-tick.C:
		}
	}
}

func TestASiteIsSwitchedOnByTheFirstReloadThatFindsItsPair(t *testing.T) {
	n, ctx := newNginx(t), limited(t, 30*time.Second)
	if err := n.Start(ctx); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	site := stage.Site{Name: "www", Names: []string{"a.test", "b.test"}, Fullchain: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}
	if err := n.Enable(site); err != nil {
		t.Fatal(err)
	}
	if err := n.Test(ctx); err == nil || !strings.Contains(err.Error(), site.Fullchain) {
		t.Fatalf("nginx -t without the pair: %v; want an error that names %s", err, site.Fullchain)
	}
	if n.PID() == 0 {
		t.Fatal("nginx did not stay up")
	}
	roots := writePair(t, site)
	if err := n.Test(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.Reload(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range site.Names {
		awaitServed(t, prober.Target{Address: n.Address, Name: name}, roots)
	}
}

func TestARestartIsANewMasterWithTheSameSites(t *testing.T) {
	n, ctx := newNginx(t), limited(t, 30*time.Second)
	dir := t.TempDir()
	site := stage.Site{Name: "www", Names: []string{"a.test"}, Fullchain: filepath.Join(dir, "crt"), Key: filepath.Join(dir, "key")}
	roots := writePair(t, site)
	if err := n.Enable(site); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(ctx); err != nil {
		t.Fatal(err)
	}
	target := prober.Target{Address: n.Address, Name: "a.test"}
	before := awaitServed(t, target, roots)
	first := n.PID()
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := prober.Handshake(ctx, target, roots); err == nil {
		t.Fatal("something answers after Stop")
	}
	if err := n.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if n.PID() == 0 || n.PID() == first {
		t.Errorf("master %d after the restart of %d", n.PID(), first)
	}
	if after := awaitServed(t, target, roots); after.Serial != before.Serial {
		t.Errorf("serial %s after the restart, %s before", after.Serial, before.Serial)
	}
}

func TestAnNginxThatCannotStartSaysWhy(t *testing.T) {
	n, ctx := newNginx(t), limited(t, 30*time.Second)
	missing := filepath.Join(t.TempDir(), "nothing.pem")
	if err := n.Enable(stage.Site{Name: "www", Names: []string{"a.test"}, Fullchain: missing, Key: missing}); err != nil {
		t.Fatal(err)
	}
	if err := n.Start(ctx); err == nil || !strings.Contains(err.Error(), missing) {
		t.Fatalf("got %v; want an error that names %s", err, missing)
	}
	if n.PID() != 0 {
		t.Error("it is said to run")
	}
}
