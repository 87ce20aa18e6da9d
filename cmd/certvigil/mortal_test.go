package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

// errDead is what everything gives after the end.
var errDead = errors.New("the process is dead")

// mortal is the state directory of an agent that dies when it has made so many
// changes to it: the last one is on disk, and nobody ever learns of it.
type mortal struct {
	*store.Store
	die context.CancelFunc

	mu   sync.Mutex // guards what follows
	left int        // changes until the end; negative means none comes
	dead bool
	made []string // the changes, by name
}

func (m *mortal) change(what string, do func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	err := do()
	m.made = append(m.made, what)
	if m.left--; m.left == 0 {
		m.dead = true
		m.die()
		return errDead
	}
	return err
}

func (m *mortal) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return errDead
	}
	return nil
}

func (m *mortal) Link(name string, n int) error {
	return m.change("Link", func() error { return m.Store.Link(name, n) })
}

func (m *mortal) Prune(name string, keep int, spare ...int) error {
	return m.change("Prune", func() error { return m.Store.Prune(name, keep, spare...) })
}

func (m *mortal) Record(name string, j renew.Journal) error {
	return m.change("Record", func() error { return m.Store.Record(name, j) })
}

func (m *mortal) SaveAccount(a store.Account) error {
	return m.change("SaveAccount", func() error { return m.Store.SaveAccount(a) })
}

func (m *mortal) HoldAccount(directory, eab string, until time.Time) error {
	return m.change("HoldAccount", func() error { return m.Store.HoldAccount(directory, eab, until) })
}

func (m *mortal) BeginOrder(name string, o store.Order) error {
	return m.change("BeginOrder", func() error { return m.Store.BeginOrder(name, o) })
}

func (m *mortal) SetOrderURL(name, url string) error {
	return m.change("SetOrderURL", func() error { return m.Store.SetOrderURL(name, url) })
}

func (m *mortal) EndOrder(name string) error {
	return m.change("EndOrder", func() error { return m.Store.EndOrder(name) })
}

func (m *mortal) Ledger(directory, eab string, change func(*renew.Ledger) error) error {
	return m.change("Ledger", func() error { return m.Store.Ledger(directory, eab, change) })
}

func (m *mortal) Commit(name string, b store.Bundle) (n int, err error) {
	err = m.change("Commit", func() (err error) { n, err = m.Store.Commit(name, b); return err })
	return n, err
}

func (m *mortal) Versions(name string) ([]renew.Version, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return m.Store.Versions(name)
}

func (m *mortal) Read(name string, n int) (store.Bundle, error) {
	if err := m.alive(); err != nil {
		return store.Bundle{}, err
	}
	return m.Store.Read(name, n)
}

func (m *mortal) Journal(name string) (renew.Journal, error) {
	if err := m.alive(); err != nil {
		return renew.Journal{}, err
	}
	return m.Store.Journal(name)
}

func (m *mortal) Order(name string) (store.Order, bool, error) {
	if err := m.alive(); err != nil {
		return store.Order{}, false, err
	}
	return m.Store.Order(name)
}

func (m *mortal) Account(directory, eab string) (store.Account, bool, error) {
	if err := m.alive(); err != nil {
		return store.Account{}, false, err
	}
	return m.Store.Account(directory, eab)
}

// prompt runs hooks without waiting for company.
type prompt struct{ *hooks.Runner }

func (p prompt) Run(ctx context.Context, h hooks.Hook, e hooks.Event, _ time.Duration) (hooks.Result, error) {
	return p.Runner.Run(ctx, h, e, 0)
}

// openAlone opens a store, or fails to, as closeAlone closes one.
func openAlone(dir string, around store.Around) (*store.Store, error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return store.OpenAround(dir, around)
}

// closeAlone lets go of the lock while no other test starts a process: until it
// has executed its program, a child of ours holds the lock as well.
func closeAlone(st *store.Store) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	_ = st.Close() // nothing was written through it since
}

// live runs an agent in this process until nothing is left to do, or until it
// has made so many changes; negative means any number. It returns the changes,
// whether it died, and how far the certificate has come.
func live(t *testing.T, cfg *config.Config, force bool, most int) (made []string, died bool, stage renew.Stage) {
	t.Helper()
	return liveIn(t, reopen(t, cfg.Agent.StateDir), cfg, force, most, nil)
}

// liveIn is live in a store that it closes; around stands around the outputs'
// changes.
func liveIn(t *testing.T, st *store.Store, cfg *config.Config, force bool, most int, around store.Around) (made []string, died bool, stage renew.Stage) {
	t.Helper()
	defer closeAlone(st)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	m := &mortal{Store: st, die: cancel, left: most}
	log := slog.New(slog.DiscardHandler)
	responder := issue.NewResponder(nil, log)
	defer responder.Close()
	issuer, err := issue.New(issue.Options{Books: m, Issuers: cfg.Issuers, Solvers: cfg.Solvers, Responder: responder, Log: log})
	must(t, err)
	defer issuer.Close()
	runner := hooks.New(log)
	defer runner.Close()
	a := agent.New(agent.Parts{Store: m, Prober: &probe.Prober{}, Runner: prompt{runner}, Log: log, Writer: install.Writer{Around: around}}, cfg, issuer)
	if force {
		must(t, a.Request("www", true))
	}
	a.Settle(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.made, m.dead, a.Report(time.Now())[0].Stage
}

// serveLive is a TLS server that reads the live pair for every handshake.
func serveLive(t *testing.T, dir func() string) (address string) {
	t.Helper()
	return serve(t, func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return loadPair(dir()) })
}

func loadPair(dir string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem"))
	return &pair, err
}

// serve is a TLS server that shows what pair gives.
func serve(t *testing.T, pair func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: pair})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				defer conn.Close()
				_ = conn.(*tls.Conn).HandshakeContext(context.Background()) // the client judges
			}(conn)
		}
	}()
	return l.Addr().String()
}

// reopen opens a state directory that this process has just closed. A child that
// another test starts at that moment has a copy of the lock's descriptor until
// it executes its program, and with it the lock (flock(2)).
func reopen(t *testing.T, dir string) *store.Store {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		st, err := store.Open(dir)
		if !errors.Is(err, store.ErrLocked) || time.Since(began) > patience {
			must(t, err)
			return st
		}
	}
}
