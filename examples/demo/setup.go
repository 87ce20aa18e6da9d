package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// site is the certificate that is shown, and the name of its site.
const site = "www"

// demo is one demonstration, set up.
type demo struct {
	options
	*screen
	host     *stage.Host
	dir      string
	at       int                    // how far the agent's log was shown
	told     map[string]bool        // lines that are not worth repeating
	lap      int                    // laps done
	shown    int                    // the version that was last proved
	served   map[string]prober.Seen // by name: what our own handshakes saw last
	watch    *prober.Prober         // judges the whole time, from the first lap on
	endWatch context.CancelFunc     // ends the watch
	report   <-chan prober.Report   // what it counted, once it has ended
}

// setUp builds the agent and starts all but it.
func setUp(ctx context.Context, o options, s *screen) (*demo, error) {
	dir, err := os.MkdirTemp("", "certvigil-demo-")
	if err != nil {
		return nil, fmt.Errorf("creating the demonstration's folder: %w", err)
	}
	d := &demo{options: o, screen: s, dir: dir, served: make(map[string]prober.Seen), told: make(map[string]bool)}
	if d.host, err = d.start(ctx); err != nil {
		return nil, errors.Join(err, d.tearDown(true))
	}
	return d, nil
}

func (d *demo) start(ctx context.Context) (*stage.Host, error) {
	if d.binary == "" {
		d.say("demo", "building", "the agent, from this checkout")
		binary, err := stage.Build(ctx, d.dir)
		if err != nil {
			return nil, err
		}
		d.binary = binary
	}
	if d.fault == "disk" {
		if err := mountSmall(filepath.Join(d.dir, "state")); err != nil {
			return nil, err
		}
	}
	return stage.NewHost(ctx, stage.Plan{
		Dir: d.dir, Binary: d.binary, Lifetime: d.lifetime, Page: true,
		Certs: map[string][]string{site: {"example.test", "www.example.test", "shop.example.test"}},
	})
}

// title begins a new part, after what the agent has said so far.
func (d *demo) title(format string, args ...any) {
	d.catchUp()
	d.screen.title(format, args...)
}

// introduce says what runs where, and shows the configuration.
func (d *demo) introduce() {
	h := d.host
	d.title("certvigil: certificates of %s under a real nginx", d.lifetime)
	d.fact("folder", "%s", d.dir)
	d.fact("CA", "%s (Pebble, in this process)", h.CA.DirectoryURL())
	d.fact("nginx", "%s, master %d, configuration %s", h.Nginx.Address, h.Nginx.PID(), h.Nginx.Conf())
	d.fact("status page", "http://%s/", h.Config.Listen)
	d.fact("ask it", "%s status --config %s --socket %s", d.binary, h.Agent.Config, h.Agent.Socket)
	d.fact("agent's log", "%s", h.AgentLog())
	d.fact("configuration", "%s:", h.Agent.Config)
	if text, err := h.Config.Text(); err == nil {
		d.text(string(text))
	}
	d.title("nginx runs, the site waits for its first certificate; now the agent starts")
}

// tearDown ends everything that was started, and removes the folder where
// nothing in it is needed to find out what went wrong.
func (d *demo) tearDown(clean bool) error {
	var errs []error
	if d.endWatch != nil {
		d.endWatch()
		<-d.report
	}
	if d.host != nil {
		errs = append(errs, d.host.Close())
	}
	if d.fault == "disk" {
		errs = append(errs, unmountSmall(filepath.Join(d.dir, "state")))
	}
	if !clean || d.keep {
		d.say("demo", "kept", "%s", d.dir)
		return errors.Join(errs...)
	}
	return errors.Join(append(errs, os.RemoveAll(d.dir))...)
}
