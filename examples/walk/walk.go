// Package walk takes the files of an example through the steps of its README, in
// its test: with the real server, a real CA and the real agent. Ports, paths, the
// CA, and units (there is no systemd) are replaced, nothing else.
package walk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/config"
)

// patience is how long anything may take that is bound to happen. It only ends a
// test that has failed.
const patience = 5 * time.Minute

// Walk is the host of one test.
type Walk struct {
	T         *testing.T
	Dir       string // what the agent's files are in
	Cert      string // the certificate's name
	CA        *stage.CA
	Agent     *stage.Agent
	HTTP      string // where the CA validates http-01
	Responder string // where the agent answers, behind a server that has HTTP

	httpPort int
	taken    bool // a server has httpPort
}

// New starts a CA, and prepares for an agent that keeps the certificate cert.
func New(t *testing.T, cert string, lifetime time.Duration) *Walk {
	t.Helper()
	w := &Walk{T: t, Cert: cert}
	w.Dir = w.Folder()
	ports := w.ports(3)
	w.httpPort, w.HTTP, w.Responder = ports[0], loopback(ports[0]), loopback(ports[1])
	var err error
	w.CA, err = stage.StartCA(lifetime, ports[2], ports[0], 1)
	w.must(err)
	t.Cleanup(func() { _ = w.CA.Close() })
	w.must(os.WriteFile(w.path("ca.pem"), w.CA.TrustPEM(), 0o644))
	binary, err := stage.Build(w.context(), w.Dir)
	w.must(err)
	w.Agent = &stage.Agent{Binary: binary, Config: w.path("c.hcl"), Socket: w.path("control.sock"), Log: &stage.Log{}}
	t.Cleanup(func() {
		_ = w.Agent.Stop()
		if events, _, _ := w.Agent.Log.Since(w.Agent.Log.End() - 30); t.Failed() {
			for _, e := range events {
				t.Log(e.Line)
			}
		}
	})
	return w
}

// Valid checks a configuration as it is.
func Valid(t *testing.T, file string, endpoints int) {
	t.Helper()
	cfg, diags := config.Load(file)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	if len(cfg.Certs) != 1 || len(cfg.Certs[0].Endpoints) != endpoints || len(cfg.Certs[0].Hooks) != 1 {
		t.Errorf("loaded %+v", cfg.Certs)
	}
}

// Folder makes one with a short path, as sockets want it, that other users can
// pass through.
func (w *Walk) Folder() string {
	w.T.Helper()
	dir, err := os.MkdirTemp("", "cv")
	w.must(err)
	w.T.Cleanup(func() { _ = os.RemoveAll(dir) })
	w.must(os.Chmod(dir, 0o755))
	return dir
}

// Live is the folder of the live pair.
func (w *Walk) Live() string { return filepath.Join(w.Dir, "state", "live", w.Cert) }

func (w *Walk) path(name string) string { return filepath.Join(w.Dir, name) }

// Read returns a file with some of its text changed. Each change must apply: an
// example that no longer says it is to be looked at again.
func (w *Walk) Read(file string, changes ...string) string {
	w.T.Helper()
	data, err := os.ReadFile(file)
	w.must(err)
	text := string(data)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			w.T.Fatalf("%s does not say %q", file, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	return text
}

// Configure writes the agent's configuration: that of the example, with the CA of
// this host in place of Let's Encrypt.
func (w *Walk) Configure(file string, changes ...string) {
	w.T.Helper()
	text := w.Read(file, append(changes, `directory   = "letsencrypt"`,
		fmt.Sprintf("directory = %q\n trust_roots = %q\n http_port = %d", w.CA.DirectoryURL(), w.path("ca.pem"), w.httpPort))...)
	text += fmt.Sprintf("agent {\n  state_dir = %q\n  resolver = %q\n}\n", w.path("state"), w.CA.DNS().Addr())
	w.must(os.WriteFile(w.Agent.Config, []byte(text), 0o600))
}

// Alone is the change for an agent that answers the CA itself, at port 80.
func (w *Walk) Alone() []string {
	return []string{`solver "http" "main" {}`, fmt.Sprintf("solver \"http\" \"main\" {\n  listen = [%q]\n}", w.HTTP)}
}

// Served starts the agent and waits until the certificate is served at every
// endpoint, and once more after a renewal, by the same process of server. One with
// Lines gets them once the certificate is there.
func (w *Walk) Served(g *Guest) {
	w.T.Helper()
	ctx := w.context()
	r, err := w.Agent.Command(ctx, "validate")
	w.must(err)
	if r.Code != stage.CodeOK {
		w.T.Fatalf("validate: exit code %d: %s", r.Code, r.Stderr)
	}
	w.must(w.Agent.Start())
	if g.Lines != nil {
		w.switchTo(g)
	}
	_, at, err := w.Agent.Await(ctx, 0, stage.Message("served", w.Cert))
	w.must(err)
	pid := g.PID()
	first := w.Shown(g)
	if r, err = w.Agent.Command(ctx, "renew", w.Cert, "--force"); err != nil {
		w.T.Fatal(err)
	}
	e, _, err := w.Agent.Await(ctx, at, stage.Message("served", w.Cert))
	if err != nil {
		w.T.Fatalf("%v; renew said %s%s", err, r.Stdout, r.Stderr)
	}
	if e.Number("version") != 2 {
		w.T.Errorf("version %d is served after the renewal", e.Number("version"))
	}
	if second := w.Shown(g); second == first {
		w.T.Errorf("%s shows the certificate from before the renewal", g.Name)
	}
	if pid == 0 || g.PID() != pid {
		w.T.Errorf("%s was restarted", g.Name)
	}
}

// switchTo has the server show the certificate once it is there, as an operator does:
// until then status says of its endpoints that they do not.
func (w *Walk) switchTo(g *Guest) {
	w.T.Helper()
	ctx := w.context()
	w.Until("the endpoints are told of", func(c stage.CertificateStatus) bool {
		return c.Version == 1 && c.Health == "attention" && (c.Reason == "not-served" || c.Reason == "unverifiable")
	})
	g.Lines()
	w.must(g.Reload(ctx))
	r, err := w.Agent.Command(ctx, "renew", w.Cert)
	w.must(err)
	if r.Code != stage.CodeOK {
		w.T.Fatalf("renew: exit code %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
}

// Until asks for the certificate's status until it is as wanted, and returns it.
func (w *Walk) Until(what string, wanted func(stage.CertificateStatus) bool) stage.CertificateStatus {
	w.T.Helper()
	ctx := w.context()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last stage.CertificateStatus
	for {
		if s, err := w.Agent.Status(ctx); err == nil {
			if c, ok := s.Certificate(w.Cert); ok {
				if last = c; wanted(c) {
					return c
				}
			}
		}
		select {
		case <-ctx.Done():
			w.T.Fatalf("not seen: %s; the last status is %+v", what, last)
		case <-tick.C:
		}
	}
}

// context ends when the test is lost.
func (w *Walk) context() context.Context {
	ctx, cancel := context.WithTimeout(w.T.Context(), patience)
	w.T.Cleanup(cancel)
	return ctx
}

func (w *Walk) ports(n int) []int {
	w.T.Helper()
	ports, err := stage.FreePorts(n)
	w.must(err)
	return ports
}

// plain is where a server has port 80: the first of them where the CA looks.
func (w *Walk) plain() int {
	w.T.Helper()
	if w.taken {
		return w.ports(1)[0]
	}
	w.taken = true
	return w.httpPort
}

func (w *Walk) must(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatal(err)
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// List writes argv in HCL.
func List(argv []string) string {
	quoted := make([]string, len(argv))
	for i, arg := range argv {
		quoted[i] = fmt.Sprintf("%q", arg)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
