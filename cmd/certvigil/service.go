package main

import (
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/store"
	"github.com/certvigil/certvigil/renew/watch"
)

// service is a running agent and the configuration that is in force.
type service struct {
	flags     *globals
	store     *store.Store
	responder *issue.Responder
	watcher   *watch.Watcher
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

func (s *service) issuerFor(cfg *config.Config) (*issue.Client, error) {
	return issue.New(issue.Options{
		Books: s.store, Issuers: cfg.Issuers, Solvers: cfg.Solvers, Responder: s.responder,
		Log: s.log, UserAgent: "certvigil/" + version,
	})
}

// reload puts the configuration on disk in force. Everything that can fail is
// done before anything that runs is touched: on any error the old stays, and
// status shows both.
func (s *service) reload() {
	s.notify.reloading()
	defer s.notify.ready()
	seen := stat(s.watched())
	cfg, diags := config.Load(s.flags.config)
	var issuer *issue.Client
	var err error = diags
	if cfg != nil && !diags.HasErrors() {
		issuer, err = s.issuerFor(cfg)
	}
	if err != nil && issuer == nil {
		s.log.Error("configuration refused, the one before stays in force", "err", err)
		text := err.Error()
		s.mu.Lock()
		s.broken, s.sources = &text, seen
		s.mu.Unlock()
		return
	}
	s.mu.Lock()
	old, was := s.issuer, s.cfg
	s.mu.Unlock()
	if was.Agent != cfg.Agent {
		s.log.Warn("a changed agent block takes a restart", "path", s.path())
	}
	s.agent.Reload(cfg, issuer)
	s.inForce(cfg, issuer)
	old.Close()
	s.log.Info("configuration loaded", "path", s.path(), "certificates", len(cfg.Certs))
}

// inForce notes down which configuration runs, and watches its files and the
// pairs that it keeps.
func (s *service) inForce(cfg *config.Config, issuer *issue.Client) {
	s.mu.Lock()
	s.cfg, s.issuer, s.loadedAt, s.broken = cfg, issuer, time.Now(), nil
	s.sources = stat(cfg.Sources)
	s.mu.Unlock()
	paths := slices.Clone(cfg.Sources)
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
		return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
	})
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
