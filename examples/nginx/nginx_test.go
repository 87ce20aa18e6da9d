// Package nginx_test takes the files of this folder through the steps of its
// README, with a real nginx, a real CA and the real agent.
package nginx_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/config"
)

// read returns a file of this folder with some of its text changed. Each change
// must apply: an example that no longer says it is to be looked at again.
func read(t *testing.T, file string, changes ...string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%s does not say %q", file, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text
}

func list(argv []string) string { return `["` + strings.Join(argv, `", "`) + `"]` }

func TestTheConfigurationIsValidAsItIs(t *testing.T) {
	cfg, diags := config.Load("certvigil.hcl")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if len(cfg.Certs) != 1 || len(cfg.Certs[0].Endpoints) != 1 || len(cfg.Certs[0].Hooks) != 1 {
		t.Errorf("loaded %+v", cfg.Certs)
	}
}

// bench is the README's host, on free ports.
type bench struct {
	dir       string
	state     string
	https     string // where the site is served
	http      string // where the CA validates
	port      int    // that of http
	responder string
	ca        *stage.CA
	nginx     *stage.Nginx
}

func newBench(t *testing.T) bench {
	t.Helper()
	ports, err := stage.FreePorts(5)
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	b := bench{dir: t.TempDir(), https: at(0), http: at(2), port: ports[2], responder: at(3)}
	b.state = filepath.Join(b.dir, "state")
	if b.ca, err = stage.StartCA(time.Hour, ports[4], ports[2], 1); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.ca.Close() })
	if b.nginx, err = stage.NewNginx(t.TempDir(), ports[0], ports[1]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.nginx.Stop() })
	return b
}

// enable puts a file of this folder among nginx's, as the README says.
func (b bench) enable(t *testing.T, file string, changes ...string) {
	t.Helper()
	if err := b.nginx.EnableText(file, read(t, file, changes...)); err != nil {
		t.Fatal(err)
	}
}

// agent returns an agent with the configuration of this folder.
func (b bench) agent(t *testing.T, binary string) *stage.Agent {
	t.Helper()
	roots := filepath.Join(b.dir, "ca.pem")
	text := read(t, "certvigil.hcl",
		`directory   = "letsencrypt"`, fmt.Sprintf("directory = %q\n trust_roots = %q\n http_port = %d", b.ca.DirectoryURL(), roots, b.port),
		`127.0.0.1:8402`, b.responder,
		`127.0.0.1:443`, b.https,
		`test { unit = "certvigil-nginx-test.service" }`, "test = "+list(b.nginx.TestCommand()),
		`unit = "nginx.service"`, "command = "+list(b.nginx.ReloadCommand()))
	text += fmt.Sprintf("agent {\n  state_dir = %q\n  resolver = %q\n}\n", b.state, b.ca.DNS().Addr())
	a := &stage.Agent{
		Binary: binary, Config: filepath.Join(b.dir, "c.hcl"), Socket: filepath.Join(b.dir, "control.sock"), Log: &stage.Log{},
	}
	for path, data := range map[string]string{roots: string(b.ca.TrustPEM()), a.Config: text} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { _ = a.Stop() })
	return a
}

func TestTheStepsOfTheReadmeEndWithTheSiteServed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	binary, err := stage.Build(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	b.enable(t, "http.conf", "listen 80;", "listen "+b.http+";", "127.0.0.1:8402", b.responder)
	if err := b.nginx.Start(ctx); err != nil {
		t.Fatal(err)
	}
	b.enable(t, "https.conf", "listen 443 ssl;", "listen "+b.https+" ssl;", "/var/lib/certvigil", b.state)

	agent := b.agent(t, binary)
	r, err := agent.Command(ctx, "validate")
	if err != nil || r.Code != stage.CodeOK {
		t.Fatalf("validate: %v, exit code %d: %s", err, r.Code, r.Stderr)
	}
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := agent.Await(ctx, 0, stage.Message("served", "www")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example.com", "www.example.com"} {
		seen, err := prober.Handshake(ctx, prober.Target{Address: b.https, Name: name}, b.ca.Roots())
		if err != nil || seen.Kind != "" {
			t.Errorf("%s: %+v, %v", name, seen, err)
		}
	}
}
