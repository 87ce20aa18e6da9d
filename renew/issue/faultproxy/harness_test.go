package faultproxy_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
	"github.com/certvigil/certvigil/renew/store"
)

// The long forms of the tests: make faults.
var (
	sparse   = flag.Int("faults.sparse", 3, "of all pairs of a fault and an endpoint, one in so many")
	rounds   = flag.Int("faults.rounds", 2, "how often each lie is told")
	restarts = flag.Int("faults.restarts", 50, "restarts in the loop of restarts")
	bodies   = flag.Int("faults.bodies", 300, "altered answers about renewal over the wire")
)

// town is a CA, and what answers its challenges.
type town struct {
	t         *testing.T
	ca        *acmetest.CA
	responder *issue.Responder
}

func newTown(t *testing.T, o acmetest.Options) *town {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.HTTPPort = l.Addr().(*net.TCPAddr).Port
	ca, err := acmetest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	responder := issue.NewResponder(map[string][]net.Listener{"main": {l}}, nil)
	t.Cleanup(func() {
		_ = responder.Close()
		_ = ca.Close()
	})
	return &town{t: t, ca: ca, responder: responder}
}

// proxy puts a proxy before the CA.
func (w *town) proxy(o faultproxy.Options) *faultproxy.Proxy {
	w.t.Helper()
	p, err := faultproxy.Start(w.ca, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = p.Close() })
	return p
}

// host is an agent's host: a state directory, and the process that has it open.
type host struct {
	t       *testing.T
	town    *town
	proxy   *faultproxy.Proxy
	dir     string
	public  bool          // the CA is one whose root must be trusted
	timeout time.Duration // of a request
	order   time.Duration // of an attempt

	store  *store.Store
	client *issue.Client
}

func (w *town) host(p *faultproxy.Proxy) *host {
	w.t.Helper()
	h := &host{t: w.t, town: w, proxy: p, dir: stateDir(w.t)}
	w.t.Cleanup(h.stop)
	return h
}

// stateDir is a new directory, in memory where there is such a file system:
// thousands of attempts sync a dozen files each, and no power fails here.
func stateDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "certvigil-faults-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// start is the start of a process: nothing but the disk is there from before.
func (h *host) start() {
	h.t.Helper()
	var err error
	if h.store, err = store.Open(h.dir); err != nil {
		h.t.Fatal(err)
	}
	issuer := config.Issuer{
		Name: "test", Directory: h.proxy.DirectoryURL(), AgreeTerms: true, TrustRoots: h.proxy.TrustPEM(),
	}
	if h.public {
		issuer.WellKnown = "letsencrypt"
	}
	h.client, err = issue.New(issue.Options{
		Books: h.store, Issuers: map[string]config.Issuer{"test": issuer},
		Solvers:   map[string]config.Solver{"http.main": {Type: "http", Name: "main"}},
		Responder: h.town.responder, Log: slog.New(slog.DiscardHandler), RequestTimeout: h.timeout, OrderTimeout: h.order,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) stop() {
	if h.client != nil {
		h.client.Close()
		h.proxy.ClientDied()
		_ = h.store.Close()
	}
	h.client = nil
}

func (h *host) restart() { h.t.Helper(); h.stop(); h.start() }

func (h *host) cert(name string, names ...string) renew.Cert {
	return renew.Cert{
		Name: name, Names: names, KeyType: renew.EC256, Solver: "http.main", ARI: true,
		Issuers: []renew.Issuer{{Name: "test", Directory: h.proxy.DirectoryURL()}},
	}
}

// issue makes one attempt. One that is slow is told of: none waits for long here,
// but where the CA itself is stuck.
func (h *host) issue(ctx context.Context, cert renew.Cert, held renew.Version) error {
	began := time.Now()
	_, err := h.client.Issue(ctx, cert, held, renew.Missing)
	if took := time.Since(began); took > time.Minute {
		h.t.Logf("an attempt took %s, and ended with %v", took, err)
	}
	return err
}

// issued makes attempts, each in a new process, until one succeeds, and returns
// what came of it. An attempt that may not be made yet is made all the same: the
// wait of the account is taken off.
func (h *host) issued(cert renew.Cert, held renew.Version, most int) (renew.Version, error) {
	var errs []error
	for range most {
		h.restart()
		h.forgive()
		err := h.issue(h.t.Context(), cert, held)
		if err == nil {
			return h.newest(cert.Name)
		}
		errs = append(errs, err)
	}
	return renew.Version{}, fmt.Errorf("%d attempts: %w", most, errors.Join(errs...))
}

// forgive lets the time pass that the CA asked for.
func (h *host) forgive() {
	directory := h.proxy.DirectoryURL()
	if a, found, _ := h.store.Account(directory, ""); found && !a.HoldUntil.IsZero() {
		_ = h.store.HoldAccount(directory, "", time.Time{})
	}
}

// newest returns the newest version of a certificate, which must be whole.
func (h *host) newest(name string) (renew.Version, error) {
	versions, err := h.store.Versions(name)
	if err != nil || len(versions) == 0 {
		return renew.Version{}, fmt.Errorf("no version of %s (%v)", name, err)
	}
	last := slices.MaxFunc(versions, func(a, b renew.Version) int { return a.N - b.N })
	if !last.Usable() {
		return last, fmt.Errorf("version %d of %s is %s", last.N, name, last.Fault)
	}
	return last, nil
}

// held counts the versions of a certificate, whole or not.
func (h *host) held(name string) int {
	h.t.Helper()
	versions, err := h.store.Versions(name)
	if err != nil {
		h.t.Fatal(err)
	}
	return len(versions)
}

// classes are all that a failure may be of but ours.
var classes = []renew.Class{renew.Transient, renew.Limited, renew.Refused, renew.Config, renew.Local}

// failure checks that err is what Issue promises, and no defect.
func failure(err error) (*renew.Failure, error) {
	f, ok := err.(*renew.Failure) //nolint:errorlint // the promise is about the outermost
	switch {
	case err == nil:
		return nil, errors.New("it succeeded")
	case !ok:
		return nil, fmt.Errorf("the error is a %T: %w", err, err)
	case !slices.Contains(classes, f.Class):
		return f, fmt.Errorf("class %q: %w", f.Class, err)
	case len(f.Error()) > 4<<10:
		return f, fmt.Errorf("a message of %d bytes", len(f.Error()))
	}
	return f, nil
}

// side does f for 0 to n-1, so many of them side by side: most of the time is
// spent waiting.
func side(at int, n int, f func(i int)) {
	var running sync.WaitGroup
	places := make(chan struct{}, at)
	for i := range n {
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	running.Wait()
}
