package stage

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
)

// Plan says what host to set up.
type Plan struct {
	Dir      string // a folder of its own, which is there
	Binary   string // the agent's
	Lifetime time.Duration
	Certs    map[string][]string // names by certificate; each is a site of nginx
	Page     bool                // the agent serves its status page
	Seed     uint64              // of the CA's faults
}

// Host is a CA, an nginx and an agent that know each other. NewHost leaves the
// CA and nginx running and the agent ready to be started.
type Host struct {
	Dir      string
	Lifetime time.Duration
	CA       *CA
	Nginx    *Nginx
	Agent    *Agent
	Config   Config

	log *os.File // the copy of the agent's log
}

// NewHost sets up a host: a CA, a running nginx whose sites wait for their
// first certificate, and the agent's configuration. Close ends all of it.
func NewHost(ctx context.Context, p Plan) (*Host, error) {
	ports, err := FreePorts(5)
	if err != nil {
		return nil, err
	}
	h := &Host{Dir: p.Dir, Lifetime: p.Lifetime}
	if h.CA, err = StartCA(p.Lifetime, ports[0], ports[1], p.Seed); err != nil {
		return nil, err
	}
	h.configure(p, ports)
	if err := errors.Join(h.prepare(p, ports), h.startNginx(ctx)); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// configure fills in what the agent is told.
func (h *Host) configure(p Plan, ports []int) {
	h.Config = Config{
		StateDir:   filepath.Join(p.Dir, "state"),
		Socket:     filepath.Join(p.Dir, "control.sock"),
		Directory:  h.CA.DirectoryURL(),
		TrustRoots: filepath.Join(p.Dir, "ca.pem"),
		HTTP:       loopback(ports[1]),
		HTTPPort:   ports[1],
		Resolver:   h.CA.DNS().Addr(),
	}
	if p.Page {
		h.Config.Listen = loopback(ports[2])
	}
	for _, name := range slices.Sorted(maps.Keys(p.Certs)) {
		h.Config.Certs = append(h.Config.Certs, ConfigCert{Name: name, Names: p.Certs[name], Endpoint: loopback(ports[3])})
	}
	h.Agent = &Agent{Binary: p.Binary, Config: filepath.Join(p.Dir, "certvigil.hcl"), Socket: h.Config.Socket, Log: &Log{}}
}

// prepare writes every file that is there before anything runs.
func (h *Host) prepare(p Plan, ports []int) error {
	nginxDir := filepath.Join(p.Dir, "nginx")
	for _, d := range []string{nginxDir, h.Config.StateDir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("preparing the host: %w", err)
		}
	}
	if err := os.WriteFile(h.Config.TrustRoots, h.CA.TrustPEM(), 0o644); err != nil {
		return fmt.Errorf("writing the CA's roots: %w", err)
	}
	var err error
	h.log, err = os.OpenFile(h.AgentLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the agent's log: %w", err)
	}
	h.Agent.Log.Copy = h.log
	if h.Nginx, err = NewNginx(nginxDir, ports[3], ports[4]); err != nil {
		return err
	}
	h.Config.Test, h.Config.Reload = h.Nginx.TestCommand(), h.Nginx.ReloadCommand()
	return h.Config.WriteFile(h.Agent.Config)
}

func (h *Host) startNginx(ctx context.Context) error {
	if h.Nginx == nil {
		return nil // prepare said why
	}
	if err := h.Nginx.Start(ctx); err != nil {
		return err
	}
	for _, c := range h.Config.Certs {
		s := Site{Name: c.Name, Names: c.Names, Fullchain: h.live(c.Name, "fullchain.pem"), Key: h.live(c.Name, "privkey.pem")}
		if err := h.Nginx.Enable(s); err != nil {
			return err
		}
	}
	return nil
}

func (h *Host) live(cert, file string) string {
	return filepath.Join(h.Config.StateDir, "live", cert, file)
}

// AgentLog is the file that the agent's log is kept in.
func (h *Host) AgentLog() string { return filepath.Join(h.Dir, "agent.log") }

// Pair reads the pair that live/<cert> points at, as a server would: it fails
// where the key is not the certificate's.
func (h *Host) Pair(cert string) (tls.Certificate, error) {
	return tls.LoadX509KeyPair(h.live(cert, "fullchain.pem"), h.live(cert, "privkey.pem"))
}

// Targets lists every name of every site, for the prober.
func (h *Host) Targets() []prober.Target {
	var targets []prober.Target
	for _, c := range h.Config.Certs {
		for _, n := range c.Names {
			targets = append(targets, prober.Target{Address: c.Endpoint, Name: n})
		}
	}
	return targets
}

// Reconfigure changes the agent's configuration file. The agent is not told.
func (h *Host) Reconfigure(change func(*Config)) error {
	change(&h.Config)
	return h.Config.WriteFile(h.Agent.Config)
}

// AwaitServed waits until the agent has said of every certificate that it is
// served, from position from of its log on, and returns those lines.
func (h *Host) AwaitServed(ctx context.Context, from int) ([]Event, error) {
	var served []Event
	for _, c := range h.Config.Certs {
		e, _, err := h.Agent.Await(ctx, from, Message("served", c.Name))
		if err != nil {
			return served, fmt.Errorf("waiting for %s to be served: %w", c.Name, err)
		}
		served = append(served, e)
	}
	return served, nil
}

// Close ends the agent, nginx and the CA, in this order.
func (h *Host) Close() error {
	var errs []error
	if h.Agent != nil {
		errs = append(errs, h.Agent.Stop())
	}
	if h.Nginx != nil {
		errs = append(errs, h.Nginx.Stop())
	}
	errs = append(errs, h.CA.Close())
	if h.log != nil {
		errs = append(errs, h.log.Close())
	}
	return errors.Join(errs...)
}
