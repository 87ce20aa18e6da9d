package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/store"
)

// patience is how long anything may take that is bound to happen. It only ends
// a test that has failed.
const patience = 60 * time.Second

// host is a CA, an nginx and the agent's process, with a folder of their own.
type host struct {
	t      *testing.T
	dir    string
	cfg    settings
	config string // the configuration's path
	ca     *acmetest.CA
	gate   *gate
	nginx  *stage.Nginx
	log    *stage.Log  // of all runs of the agent
	at     int         // the position in it up to which await has read
	flags  []string    // more flags of run
	env    []string    // more of the environment of every program
	run    *process    // nil before the first start
	shot   atomic.Bool // shoot has struck
}

// setup says what host to set up; the zero setup is one certificate of a minute
// under nginx.
type setup struct {
	lifetime time.Duration
	sites    []site           // default: www for www.example.com
	bare     bool             // no nginx: no hook and no endpoint
	ca       acmetest.Options // Middleware, HTTPPort and Validity are set here
	change   func(*host)      // before anything is written
}

// newHost sets a host up. The agent is not started.
func newHost(t *testing.T, p setup) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "certvigil-") // short: a socket's path has 107 bytes
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	h := &host{t: t, dir: dir, config: filepath.Join(dir, "certvigil.hcl"), gate: &gate{}, log: &stage.Log{}}
	taken := ports(t, 4)

	p.ca.HTTPPort, p.ca.Validity, p.ca.Middleware = taken[0], p.lifetime, h.gate.wrap
	if p.ca.Validity == 0 {
		p.ca.Validity = time.Minute
	}
	p.ca.Addr = fmt.Sprintf("127.0.0.1:%d", taken[1])
	h.ca, err = acmetest.Start(p.ca)
	must(t, err)
	t.Cleanup(func() { _ = h.ca.Close() })
	copied, err := os.Create(h.path("agent.log"))
	must(t, err)
	t.Cleanup(func() { _ = copied.Close() })
	h.log.Copy = copied
	t.Cleanup(h.end)

	h.cfg = settings{
		State: h.path("state"), Socket: h.path("control.sock"), Directory: h.ca.DirectoryURL(),
		Trust: h.path("ca.pem"), HTTP: fmt.Sprintf("127.0.0.1:%d", taken[0]), Sites: p.sites, Timeout: "30s",
		Resolver: h.ca.DNS().Addr(), HTTPPort: taken[0],
	}
	if len(p.sites) == 0 {
		h.cfg.Sites = []site{{Name: "www", Names: []string{"www.example.com"}}}
	}
	must(t, os.WriteFile(h.cfg.Trust, h.ca.TrustPEM(), 0o644))
	if !p.bare {
		h.startNginx(taken[2], taken[3])
	}
	if p.change != nil {
		p.change(h)
	}
	h.write()
	return h
}

func (h *host) startNginx(tlsPort, plainPort int) {
	h.t.Helper()
	dir := h.path("nginx")
	must(h.t, os.Mkdir(dir, 0o755))
	var err error
	h.nginx, err = stage.NewNginx(dir, tlsPort, plainPort)
	must(h.t, err)
	must(h.t, h.nginx.Start(h.t.Context()))
	h.t.Cleanup(func() { _ = h.nginx.Stop() })
	h.cfg.Test, h.cfg.Reload = h.nginx.TestCommand(), h.nginx.ReloadCommand()
	for i := range h.cfg.Sites {
		s := &h.cfg.Sites[i]
		s.Endpoint = h.nginx.Address
		h.enable(*s)
	}
}

// enable gives a site its server block; nginx reads it with the next reload.
func (h *host) enable(s site) {
	h.t.Helper()
	full, key := h.live(s.Name, "fullchain.pem"), h.live(s.Name, "privkey.pem")
	if s.Fullchain != "" {
		full, key = s.Fullchain, s.Key
	}
	must(h.t, h.nginx.Enable(stage.Site{Name: s.Name, Names: s.Names, Fullchain: full, Key: key}))
}

// end ends the agent, and says what it said where the test failed.
func (h *host) end() {
	if h.run != nil {
		h.run.kill()
	}
	if !h.t.Failed() {
		return
	}
	events, _, _ := h.log.Since(h.log.End() - 40)
	for _, e := range events {
		h.t.Log(e.Line)
	}
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// live is a file of the pair that servers are pointed at.
func (h *host) live(cert, file string) string {
	return filepath.Join(h.cfg.State, "live", cert, file)
}

// write replaces the configuration with what h.cfg says, in one step.
func (h *host) write() {
	h.t.Helper()
	var b bytes.Buffer
	must(h.t, configuration.Execute(&b, h.cfg))
	h.replace(b.String())
}

func (h *host) replace(text string) {
	h.t.Helper()
	must(h.t, os.WriteFile(h.config+".new", []byte(text), 0o600))
	must(h.t, os.Rename(h.config+".new", h.config))
}

// client asks the running agent.
func (h *host) client() *status.Client { return status.NewClient(h.cfg.Socket) }

// cert is what the running agent says of a certificate; zero where it does not
// answer.
func (h *host) cert(name string) agent.CertReport {
	r, err := h.client().Report(h.t.Context())
	i := slices.IndexFunc(r.Certificates, func(c agent.CertReport) bool { return c.Name == name })
	if err != nil || i < 0 {
		return agent.CertReport{}
	}
	return r.Certificates[i]
}

// until waits for something that no event tells of.
func (h *host) until(what string, happened func() bool) {
	h.t.Helper()
	h.within(patience, what, happened)
}

func (h *host) within(patience time.Duration, what string, happened func() bool) {
	h.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	for !happened() {
		select {
		case <-ctx.Done():
			h.t.Fatalf("still not so after %s: %s; status: %s", patience, what, h.statusText())
		case <-tick.C:
		}
	}
}

func (h *host) statusText() string {
	r, err := h.client().Report(context.Background())
	if err != nil {
		return err.Error()
	}
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// served waits until the agent says that a version of at least that number is
// served, and handshakes to see whether it is true.
func (h *host) served(cert string, version int) agent.CertReport {
	h.t.Helper()
	var c agent.CertReport
	h.until(fmt.Sprintf("%s: version %d is served", cert, version), func() bool {
		c = h.cert(cert)
		return c.Version >= version && c.Stage == "served"
	})
	if h.nginx != nil {
		h.handshake(c.Names[0])
	}
	return c
}

// handshake asks nginx for a name and returns the leaf, which must be valid for
// it under a root that the issuer trusts.
func (h *host) handshake(name string) *x509.Certificate {
	h.t.Helper()
	leaf, err := h.dial(name)
	if err != nil {
		h.t.Fatalf("a client of %s: %v", name, err)
	}
	return leaf
}

func (h *host) dial(name string) (*x509.Certificate, error) {
	trusted, err := os.ReadFile(h.cfg.Trust)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(trusted)
	conn, err := tls.Dial("tcp", h.nginx.Address, &tls.Config{ServerName: name, RootCAs: roots})
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// fingerprint is that of what nginx serves for a name, as status writes it.
func (h *host) fingerprint(name string) string {
	h.t.Helper()
	return fmt.Sprintf("%x", sha256.Sum256(h.handshake(name).Raw))
}

// request asks the agent for a new certificate.
func (h *host) request(cert string) {
	h.t.Helper()
	must(h.t, h.client().Renew(h.t.Context(), cert, true))
}

// account is the account's URL as the state directory has it.
func (h *host) account() string {
	h.t.Helper()
	files, err := filepath.Glob(filepath.Join(h.cfg.State, "accounts", "*", "*", "account.json"))
	must(h.t, err)
	if len(files) != 1 {
		h.t.Fatalf("accounts on disk: %v", files)
	}
	data, err := os.ReadFile(files[0])
	must(h.t, err)
	var a store.Account
	must(h.t, json.Unmarshal(data, &a))
	return a.URL
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// given holds the ports that this process has handed out: an http-01 port is
// listened on only now and then, so that looking is not enough.
var given struct {
	sync.Mutex
	ports map[int]bool
}

func ports(t *testing.T, n int) []int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	if given.ports == nil {
		given.ports = map[int]bool{}
	}
	var list []int
	for len(list) < n {
		p, err := stage.FreePorts(1)
		must(t, err)
		if !given.ports[p[0]] {
			given.ports[p[0]] = true
			list = append(list, p[0])
		}
	}
	return list
}
