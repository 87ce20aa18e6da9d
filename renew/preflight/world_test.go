package preflight

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// newZone starts a DNS server in which nothing exists yet.
func newZone(t *testing.T) *acmetest.DNS {
	t.Helper()
	z, err := acmetest.StartDNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = z.Close() })
	return z
}

// ca is a CA's word, and what publishes for it.
type ca struct {
	standing issue.Standing
	publish  func(token, answer string) (func(), error)
}

func (c *ca) Standing(context.Context, string, time.Duration) (issue.Standing, error) {
	return c.standing, nil
}

func (c *ca) Publish(_ renew.Cert, token, answer string) (func(), error) {
	if c.publish == nil {
		return func() {}, nil
	}
	return c.publish(token, answer)
}

// ready is hooks that are, but for these.
type ready map[string]error

func (r ready) Ready(_ context.Context, h hooks.Hook) error { return r[h.Name] }

// world is a host with one certificate, for which all is well.
type world struct {
	t     *testing.T
	zone  *acmetest.DNS
	ca    *ca
	hooks ready
	cfg   *config.Config
	cert  renew.Cert
	facts renew.Facts
}

const accountURL = "https://ca.test/account/1"

// newWorld proves names by "none": a test that is about port 80 says so.
func newWorld(t *testing.T, names ...string) *world {
	z := newZone(t)
	for _, n := range names {
		z.Set(strings.TrimPrefix(n, "*."), "A 127.0.0.1")
	}
	le := renew.Issuer{Name: "le", Directory: "https://ca.test/dir"}
	return &world{
		t: t, zone: z, hooks: ready{},
		ca: &ca{standing: issue.Standing{At: time.Now(), Known: true, Identities: []string{"ca.test"}, Account: accountURL}},
		cfg: &config.Config{
			Agent:   config.Agent{StateDir: t.TempDir(), Resolver: z.Addr()},
			Issuers: map[string]config.Issuer{"le": {Name: "le", Directory: le.Directory}},
			Hooks:   map[string]hooks.Hook{"nginx": {Name: "nginx"}, "mail": {Name: "mail"}},
			Solvers: map[string]config.Solver{"none.main": {Type: "none", Name: "main"}},
		},
		cert: renew.Cert{Name: "www", Names: names, Issuers: []renew.Issuer{le}, Solver: "none.main"},
	}
}

func (w *world) checker() *Checker {
	return New(w.cfg, w.ca, w.hooks, slog.New(slog.DiscardHandler))
}

func (w *world) check() []renew.Obstacle {
	w.t.Helper()
	return w.checker().Check(w.t.Context(), w.cert, w.facts, 0)
}

// finds expects exactly these, each as "reason subject", and returns them.
func (w *world) finds(want ...string) []renew.Obstacle {
	w.t.Helper()
	found := w.check()
	var got []string
	for _, o := range found {
		got = append(got, string(o.Reason)+" "+o.Subject)
		if o.Detail == "" || o.Remedy == "" {
			w.t.Errorf("%s %s: detail %q, remedy %q", o.Reason, o.Subject, o.Detail, o.Remedy)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		w.t.Errorf("found %q, want %q; %v", got, want, found)
	}
	return found
}

// tells expects words in the detail of the only obstacle.
func tells(t *testing.T, found []renew.Obstacle, words ...string) {
	t.Helper()
	if len(found) != 1 {
		t.Fatalf("%d obstacles, want one: %v", len(found), found)
	}
	for _, w := range words {
		if !strings.Contains(found[0].Detail, w) {
			t.Errorf("%q lacks %q", found[0].Detail, w)
		}
	}
}
