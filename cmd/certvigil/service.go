package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/crl"
	"github.com/certvigil/certvigil/renew/discover"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/sockets"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/store"
	"github.com/certvigil/certvigil/renew/watch"
)

// service is a running agent and the configuration that is in force.
type service struct {
	flags     *globals
	store     *store.Store
	responder *issue.Responder
	runner    *hooks.Runner
	watcher   *watch.Watcher
	control   *status.Socket // nil but in a service that listens
	lost      string         // what keeps control from its path; only watch uses it
	notify    *notifier
	log       *slog.Logger
	agent     *agent.Agent

	mu       sync.Mutex // guards what follows
	cfg      *config.Config
	issuer   *issue.Client
	loadedAt time.Time
	broken   *string                // what is wrong with the configuration on disk
	sources  map[string]os.FileInfo // its files as they were when last read
}

// openService takes the state directory and the sockets that systemd passed,
// and makes an agent of them. What parts lacks is filled in.
func openService(g *globals, cfg *config.Config, parts agent.Parts) (*service, error) {
	st, err := store.OpenAround(cfg.Agent.StateDir, g.disk)
	if err != nil {
		return nil, err
	}
	passed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking over systemd's sockets: %w", err), st.Close())
	}
	s := &service{
		flags: g, store: st, responder: issue.NewResponder(passed, parts.Log), runner: hooks.New(parts.Log), log: parts.Log,
	}
	issuer, err := s.issuerFor(cfg)
	if err != nil {
		s.close()
		return nil, &exit{exitUnknown, err}
	}
	parts.Store, parts.Prober, parts.Runner = st, &probe.Prober{}, s.runner
	parts.Lists, parts.Scout = crl.New("certvigil/"+version), &discover.Scout{}
	parts.Sockets = &sockets.Lists{}
	parts.Writer.Around = g.disk
	parts.Built, _ = time.Parse(time.RFC3339, built) // where nobody knows, nothing is ruled out
	s.agent = agent.New(parts, cfg, s.checked(cfg, issuer))
	s.inForce(cfg, issuer, g.readAt)
	return s, nil
}

// close takes the rooms down in the reverse order; the lock goes last.
func (s *service) close() {
	if s.issuer != nil {
		s.issuer.Close()
	}
	s.runner.Close()
	s.responder.Close()
	s.store.Close()
}

// issuerFor does all that a configuration may fail at but the reading of it.
func (s *service) issuerFor(cfg *config.Config) (*issue.Client, error) {
	if err := conflicts(cfg); err != nil {
		return nil, err
	}
	return issue.New(issue.Options{
		Books: s.store, Issuers: cfg.Issuers, Solvers: cfg.Solvers, Responder: s.responder,
		Log: s.log, UserAgent: "certvigil/" + version,
	})
}

// conflicts tells of outputs that are one file under several names: the
// configuration compares what is written, here links are followed.
func conflicts(cfg *config.Config) error {
	var claims []install.Claim
	for _, c := range cfg.Certs {
		for _, o := range c.Outputs {
			claims = append(claims, install.Claim{Cert: c.Name, Output: o})
		}
	}
	return install.Conflicts(cfg.Agent.StateDir, claims)
}

// reload puts the configuration on disk in force. Everything that can fail is
// done before anything that runs is touched: on any error the old stays, and
// status shows both.
func (s *service) reload() {
	s.notify.reloading()
	defer s.notify.ready()
	began := time.Now()
	cfg, paths, diags := config.LoadWithSources(s.flags.config)
	s.mu.Lock()
	old, was := s.issuer, s.cfg
	s.mu.Unlock()
	var issuer *issue.Client
	err := diags.Err()
	if err == nil {
		issuer, err = s.issuerFor(cfg)
	}
	if err != nil {
		s.log.Error("configuration refused, the one before stays in force", "err", err)
		text := err.Error()
		if diags.HasErrors() {
			text = diags.String() // every problem, with its source line
		}
		sources := statSince(paths, began)
		s.mu.Lock()
		s.broken, s.sources = &text, sources
		s.mu.Unlock()
		s.watchFiles(paths, was) // what it lacks may come
		return
	}
	before := was.Agent
	before.Resolver = cfg.Agent.Resolver // in force from now on
	if before != cfg.Agent {
		s.log.Warn("a changed agent block takes a restart", "path", s.path())
	}
	s.agent.Reload(cfg, s.checked(cfg, issuer))
	s.inForce(cfg, issuer, began)
	s.watchFiles(cfg.Sources, cfg)
	old.Close()
	s.log.Info("configuration loaded", "path", s.path(), "certificates", len(cfg.Certs))
}

// coarseClock is more than the file system's clock lags behind ours.
const coarseClock = 10 * time.Millisecond

// inForce notes down which configuration runs; began is when its files began to
// be read.
func (s *service) inForce(cfg *config.Config, issuer *issue.Client, began time.Time) {
	sources := statSince(cfg.Sources, began)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg, s.issuer, s.loadedAt, s.broken, s.sources = cfg, issuer, time.Now(), nil, sources
}

// watchFiles watches the files of the configuration on disk, the pairs that the
// one in force keeps, and the control socket.
func (s *service) watchFiles(sources []string, cfg *config.Config) {
	paths := append(slices.Clone(sources), s.control.Addr().String())
	for _, c := range cfg.Certs {
		live := s.store.LiveDir(c.Name)
		paths = append(paths, live)
		for _, f := range []string{"privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"} {
			paths = append(paths, filepath.Join(live, f))
		}
		for _, o := range c.Outputs {
			paths = append(paths, o.Paths()...)
		}
	}
	s.watcher.Watch(paths)
}

func (s *service) watched() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.sources))
}

// sourcesChanged tells whether a file of the configuration differs from how it
// was when it was last read.
func (s *service) sourcesChanged() bool {
	now := stat(s.watched())
	s.mu.Lock()
	defer s.mu.Unlock()
	return !maps.EqualFunc(now, s.sources, func(a, b os.FileInfo) bool {
		if a == nil || b == nil {
			return a == nil && b == nil
		}
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && changed(a).Equal(changed(b))
	})
}

// statSince is stat for files that were read from began on. One that changed
// since then may not be what was read, so it counts as changed.
func statSince(paths []string, began time.Time) map[string]os.FileInfo {
	sources, now := stat(paths), time.Now()
	for path, fi := range sources {
		if fi != nil && changed(fi).After(began.Add(-coarseClock)) && !changed(fi).After(now) {
			sources[path] = nil
		}
	}
	return sources
}

// changed is when the file's content, owner, mode or name last changed: one that
// was moved here or that was made readable is as new as one that was written.
func changed(fi os.FileInfo) time.Time {
	if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
		return time.Unix(sys.Ctim.Unix())
	}
	return fi.ModTime()
}

func stat(paths []string) map[string]os.FileInfo {
	m := make(map[string]os.FileInfo, len(paths))
	for _, p := range paths {
		fi, err := os.Stat(p)
		if err != nil {
			fi = nil // missing is a state too
		}
		m[p] = fi
	}
	return m
}

func (s *service) path() string {
	if s.flags.config != "" {
		return s.flags.config
	}
	return fmt.Sprintf("%s and %s", config.DefaultFile, config.DefaultFolder)
}
