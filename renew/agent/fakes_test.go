package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

// host is everything outside of the agent, in memory: the state directory, a
// CA, a server that loads the live version when its hook runs, and its clients.
type host struct {
	now      func() time.Time
	mu       sync.Mutex
	lifetime time.Duration
	versions map[string][]renew.Version
	live     map[string]int
	changed  map[string]time.Time
	journals map[string]renew.Journal
	serving  map[string]int // what the server has loaded

	issue    func(ctx context.Context, c renew.Cert) error // before a certificate is made
	hook     func(ctx context.Context, e hooks.Event) error
	advise   func(*renew.Advice)  // what the CA says
	read     func(name string)    // when the versions are read
	linked   func()               // when the live link is switched
	lies     bool                 // the reload returns 0 and does nothing
	down     bool                 // the server does not answer
	unread   error                // what Versions answers
	full     error                // what Record answers
	locked   map[string]error     // why an account can't be read, by directory
	held     map[string]time.Time // until when an account is on hold, by directory
	issued   map[string][]time.Time
	enrolled []string // directories at which there is an account
	reloads  map[string]int
	proofs   int
}

func wallClock() time.Time { return time.Now().Round(0) }

func newHost(lifetime time.Duration) *host {
	return &host{
		lifetime: lifetime, now: wallClock,
		versions: map[string][]renew.Version{}, live: map[string]int{}, changed: map[string]time.Time{},
		journals: map[string]renew.Journal{}, serving: map[string]int{},
		issue:  func(context.Context, renew.Cert) error { return nil },
		hook:   func(context.Context, hooks.Event) error { return nil },
		advise: func(*renew.Advice) {}, read: func(string) {}, linked: func() {},
		issued: map[string][]time.Time{}, reloads: map[string]int{},
	}
}

func (h *host) Versions(name string) ([]renew.Version, error) {
	h.mu.Lock()
	read, v, err := h.read, append([]renew.Version(nil), h.versions[name]...), h.unread
	h.mu.Unlock()
	read(name)
	return v, err
}

func (h *host) Live(name string) (int, time.Time, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[name], h.changed[name], nil
}

func (h *host) Read(string, int) (store.Bundle, error) { return store.Bundle{}, nil }
func (h *host) LiveDir(name string) string             { return "/live/" + name }
func (h *host) Account(directory, _ string) (store.Account, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.locked[directory]; err != nil {
		return store.Account{}, false, err
	}
	if until := h.held[directory]; !until.IsZero() {
		return store.Account{HoldUntil: until}, true, nil
	}
	if !slices.Contains(h.enrolled, directory) {
		return store.Account{}, false, nil
	}
	return store.Account{URL: directory + "/account"}, true, nil
}

func (h *host) Commit(string, store.Bundle) (int, error) {
	return 0, errors.New("nothing is adopted here")
}

func (h *host) Link(name string, n int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.linked()
	h.live[name], h.changed[name] = n, h.now()
	return nil
}

func (h *host) Prune(name string, keep int, _ ...int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.versions[name]; len(v) > keep {
		h.versions[name] = v[len(v)-keep:]
	}
	return nil
}

func (h *host) Journal(name string) (renew.Journal, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	j := h.journals[name]
	j.Hooks = maps.Clone(j.Hooks)
	return j, nil
}

func (h *host) Record(name string, j renew.Journal) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.full != nil {
		return h.full
	}
	j.Hooks = maps.Clone(j.Hooks)
	h.journals[name] = j
	return nil
}

func (h *host) Issue(ctx context.Context, c renew.Cert, _ renew.Version, why renew.Reason) (int, error) {
	h.mu.Lock()
	issue := h.issue
	h.mu.Unlock()
	if err := issue(ctx, c); err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	n := 1
	if v := h.versions[c.Name]; len(v) > 0 {
		n = v[len(v)-1].N + 1
	}
	h.versions[c.Name] = append(h.versions[c.Name], renew.Version{
		N: n, Fingerprint: fmt.Sprintf("%s-%d", c.Name, n), CertID: fmt.Sprintf("%s-%d", c.Name, n), Names: c.Names, KeyType: c.KeyType,
		NotBefore: now, NotAfter: now.Add(h.lifetime), IssuedAt: now, Issuer: c.Issuers[0].Name, Directory: c.Issuers[0].Directory, Reason: why,
	})
	h.issued[c.Name] = append(h.issued[c.Name], now)
	return n, nil
}

func (h *host) Enroll(_ context.Context, c renew.Cert) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.enrolled = append(h.enrolled, c.Issuers[0].Directory)
	return nil
}

func (h *host) Advise(_ context.Context, _ renew.Cert, held renew.Version) (renew.Advice, error) {
	now := h.now()
	adv := renew.Advice{CertID: held.CertID, FetchedAt: now, PollAt: now.Add(6 * time.Hour)}
	h.advise(&adv)
	return adv, nil
}

func (h *host) Run(ctx context.Context, _ hooks.Hook, e hooks.Event, _ time.Duration) (hooks.Result, error) {
	h.mu.Lock()
	h.reloads[e.Cert]++
	hook, lies := h.hook, h.lies
	h.mu.Unlock()
	if err := hook(ctx, e); err != nil {
		return hooks.Result{}, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !lies {
		h.serving[e.Cert] = h.live[e.Cert]
	}
	return hooks.Result{Reload: time.Millisecond}, nil
}

func (h *host) Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.proofs++
	name, _, _ := strings.Cut(e.Address, ":") // in these tests the address is the certificate's name
	var out []renew.Proof
	for _, n := range names {
		p := renew.Proof{Address: e.Address, Name: n, Version: version, Fingerprint: fmt.Sprintf("%s-%d", name, h.serving[name])}
		kind := want.KeyType
		for _, v := range h.versions[name] {
			if v.N == h.serving[name] {
				p.NotAfter, kind = v.NotAfter, v.KeyType
			}
		}
		if h.down {
			p.Fingerprint, p.NotAfter, p.Unverifiable = "", time.Time{}, true
		}
		if p.Served = p.Fingerprint == want.Fingerprint && kind == want.KeyType; !p.Served {
			p.Error = "serves " + p.Fingerprint
		}
		out = append(out, p)
	}
	return out
}

// lapsed tells whether a client of name would now see an expired certificate.
func (h *host) lapsed(name string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range h.versions[name] {
		if v.N == h.serving[name] {
			return !h.now().Before(v.NotAfter)
		}
	}
	return h.serving[name] != 0
}

func (h *host) set(change func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change()
}

// shown is what lies at the live link, and what the server has loaded.
func (h *host) shown(name string) (live, serving int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.live[name], h.serving[name]
}

func (h *host) count(name string) (issued, reloads int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.issued[name]), h.reloads[name]
}

func configOf(names ...string) *config.Config {
	cfg := &config.Config{
		Issuers: map[string]config.Issuer{"ca": {Name: "ca", Directory: "https://ca/dir"}},
		Hooks:   map[string]hooks.Hook{"nginx": {Name: "nginx", Timeout: 30 * time.Second}},
	}
	for _, n := range names {
		cfg.Certs = append(cfg.Certs, renew.Cert{
			Name: n, Names: []string{n + ".example.com"}, KeyType: renew.EC256, ARI: true,
			Issuers: []renew.Issuer{{Name: "ca", Directory: "https://ca/dir"}},
			Hooks:   []string{"nginx"}, Endpoints: []renew.Endpoint{{Address: n, Protocol: "tls"}},
		})
	}
	return cfg
}

func (h *host) agent(cfg *config.Config) *Agent {
	return New(Parts{Store: h, Prober: h, Runner: h, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}, cfg, h)
}

var errDown = &renew.Failure{Op: "ordering", Class: renew.Transient, Err: errors.New("connection refused")}
