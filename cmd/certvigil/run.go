package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/watch"
)

func runCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Run the agent in the foreground: what the systemd service does",
		Long: `Run the agent in the foreground: what the systemd service does.

SIGHUP, and a change of the configuration on disk, load the configuration
anew; where it has an error the one in force stays in force. SIGTERM ends the
agent within five seconds.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := g.logger(os.Stderr)
			if err != nil {
				return err
			}
			return run(cmd.Context(), g, log)
		},
	}
}

// run wires the rooms in the order in which they depend on each other, serves
// until ctx ends, and takes them down in reverse.
func run(ctx context.Context, g *globals, log *slog.Logger) error {
	debug.SetGCPercent(gcPercent)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP) // first of all: it ends a process that does not handle it
	defer signal.Stop(hup)
	cfg, err := g.load()
	if err != nil {
		return err
	}
	n := newNotifier(log)
	var s *service
	var memory ease
	alive := func(status func() string) {
		n.alive(status)
		s.beat()
		memory.turn(time.Now())
	}
	s, err = openService(g, cfg, agent.Parts{Log: log, Alive: alive, Turn: n.turn()})
	if err != nil {
		return err
	}
	defer s.close()
	s.control, err = status.Listen(g.controlSocket(cfg))
	if err != nil {
		return err
	}
	defer s.control.Close()
	page, err := listenPage(cfg)
	if err != nil {
		return err
	}
	s.notify = n
	s.watcher = watch.New(log, 0, 0)
	defer s.watcher.Close()
	s.watchFiles(cfg.Sources, cfg)

	var running sync.WaitGroup
	running.Go(func() { s.watch(ctx, hup) })
	running.Go(func() { s.served(status.ServeControl(ctx, s.control, s, log), "control socket") })
	if page != nil {
		log.Info("status page", "address", "http://"+page.Addr().String()+"/")
		running.Go(func() { s.served(status.ServePage(ctx, page, s), "status page") })
	}
	log.Info("agent started", "version", version, "state_dir", cfg.Agent.StateDir, "certificates", len(cfg.Certs))
	n.ready()
	s.agent.Run(ctx)
	n.stopping()
	log.Info("agent stopped")
	return nil
}

// beat leaves a sign for certvigil check that the lap goes round. A disk that
// takes none is told by whatever else is written to it, and by check.
func (s *service) beat() {
	if err := s.store.Beat(time.Now()); err != nil {
		s.log.Debug("no sign of life left", "err", err)
	}
}

func listenPage(cfg *config.Config) (net.Listener, error) {
	if cfg.Agent.Listen == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", cfg.Agent.Listen)
	if err != nil {
		return nil, fmt.Errorf("opening the status page's listener: %w", err)
	}
	return l, nil
}

// How often the control socket is looked after where the watcher says nothing,
// and how long after a reload its files are compared once more.
const (
	socketEvery = time.Minute
	secondLook  = 2 * coarseClock
)

// watch wakes the agent when a file changed, loads the configuration anew when
// its files changed or hup says so, and keeps the control socket.
func (s *service) watch(ctx context.Context, hup <-chan os.Signal) {
	socket := time.NewTicker(socketEvery)
	defer socket.Stop()
	// A file that changed after it was read and before it was watched wakes
	// nobody.
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		load := false
		select {
		case <-ctx.Done():
			return
		case <-hup:
			load = true
		case <-again.C:
			load = s.sourcesChanged()
		case <-s.watcher.C():
			s.keepControl()
			load = s.sourcesChanged()
			s.agent.Wake()
		case <-socket.C:
			s.keepControl()
		}
		if load {
			s.reload()
			again.Reset(secondLook)
		}
	}
}

// keepControl opens the control socket again where somebody removed or replaced
// it. What keeps it from that is said once; the socket is nothing that a
// certificate waits for.
func (s *service) keepControl() {
	anew, err := s.control.Keep()
	if anew {
		s.log.Warn("control socket was gone, opened again", "path", s.control.Addr().String())
	}
	lost := ""
	if err != nil {
		lost = err.Error()
	}
	if lost != "" && lost != s.lost {
		s.log.Error("control socket lost", "path", s.control.Addr().String(), "err", err)
	}
	s.lost = lost
}

// served says why one of the listeners ended, which it only does on an error.
func (s *service) served(err error, what string) {
	if err != nil {
		s.log.Error("listener failed", "listener", what, "err", err)
	}
}

// Report implements status.Source.
func (s *service) Report() agent.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return agent.Report{
		Version: version, Running: true, Watched: []struct{}{},
		Config:       agent.ConfigReport{Path: s.path(), LoadedAt: s.loadedAt, Error: s.broken},
		Certificates: s.agent.Report(time.Now()),
	}
}

// Plan implements status.Source.
func (s *service) Plan(until time.Time) []agent.Planned { return s.agent.Plan(time.Now(), until) }

// Request implements status.Source.
func (s *service) Request(name string, force bool) error { return s.agent.Request(name, force) }

// Preflight implements status.Source.
func (s *service) Preflight(ctx context.Context, name string) (agent.CertReport, error) {
	return s.agent.Preflight(ctx, name)
}
