package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// warmUp is how long all certificates may take to be served for the first time.
const warmUp = 2 * time.Minute

// storm runs the chaos and judges.
func storm(ctx context.Context, o options, h *stage.Host, s *screen) error {
	s.say("%d certificates of %s, %d names, nginx at %s, seed %d", o.certs, o.lifetime, len(h.Targets()), h.Nginx.Address, o.seed)
	if err := h.Agent.Start(); err != nil {
		return err
	}
	warm, cancel := context.WithTimeout(ctx, warmUp)
	defer cancel()
	if _, err := h.AwaitServed(warm, 0); err != nil {
		return err
	}
	s.say("all are served; now for %s: the agent is killed, nginx restarted, and the CA fails %.0f %% of its requests", o.duration, 100*o.share)

	watch, err := prober.New(prober.Options{Targets: h.Targets(), Roots: h.CA.Roots()})
	if err != nil {
		return err
	}
	notes, err := os.Create(filepath.Join(h.Dir, "chaos.log"))
	if err != nil {
		return fmt.Errorf("opening the chaos log: %w", err)
	}
	defer notes.Close()
	c := &chaos{host: h, watch: watch, lifetime: o.lifetime, seed: o.seed, say: s.say, note: (&screen{out: notes}).say}
	begun := time.Now()
	counted, err := c.rage(ctx, o, s)
	issued := c.summary(s, counted, time.Since(begun))
	if err != nil {
		return err
	}
	return c.verdict(counted, issued, time.Since(begun))
}

// rage runs the chaos for its time, then lets the host come to rest, and returns
// what the prober counted over both.
func (c *chaos) rage(ctx context.Context, o options, s *screen) (prober.Report, error) {
	watching, endWatch := context.WithCancel(ctx)
	defer endWatch()
	counted := make(chan prober.Report, 1)
	go func() { counted <- c.watch.Run(watching) }()

	c.host.CA.Faults.Set(o.share)
	timed, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	actors, acting := errgroup.WithContext(timed)
	actors.Go(func() error { return c.kill(acting) })
	actors.Go(func() error { return c.restart(acting) })
	actors.Go(func() error { c.progress(acting, s); return nil })
	err := actors.Wait()
	c.host.CA.Faults.Set(0)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		s.say("the chaos is over; all must be well within %s", c.lifetime)
		err = c.rest(ctx)
	}
	endWatch()
	return <-counted, err
}

// rest waits until the agent says that all is well.
func (c *chaos) rest(ctx context.Context) error {
	if !c.host.Agent.Running() {
		if err := c.host.Agent.Start(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.lifetime)
	defer cancel()
	for {
		status, err := c.host.Agent.Status(ctx)
		if err == nil && status.Running && status.Code == stage.CodeOK {
			return nil
		}
		if !pause(ctx, 250*time.Millisecond) {
			return fmt.Errorf("not well within %s after the chaos: %+v, %v", c.lifetime, status, err)
		}
	}
}

// progress says every half minute how it goes.
func (c *chaos) progress(ctx context.Context, s *screen) {
	for pause(ctx, 30*time.Second) {
		r, n := c.watch.Report(), c.snapshot()
		s.say("%d handshakes, %d lapses, %d failed; %d kills, %d restarts", r.Handshakes(), r.Lapses(), r.Failed(), n.kills, n.restarts)
	}
}

// summary prints the numbers and returns how many certificates were issued.
func (c *chaos) summary(s *screen, r prober.Report, took time.Duration) int {
	n := c.snapshot()
	asked, failed := c.host.CA.Faults.Count()
	faults := 0
	for _, k := range failed {
		faults += k
	}
	ca := c.host.CA.Counts()
	_, _ = r.WriteTo(s.out)
	s.say("took          %s, load average %s on %d CPUs", took.Round(time.Second), load(), runtime.NumCPU())
	s.say("issued        %d certificates, %d orders, %d accounts", ca.Finalized, ca.NewOrders, ca.Accounts)
	s.say("agent         %d times killed, %d times ended by itself", n.kills, n.crashes)
	s.say("nginx         %d restarts, %d refused starts", n.restarts, n.refused)
	s.say("CA            %d of %d requests failed: %v", faults, asked, failed)
	s.say("handshakes    %d, of which failed %d, while nginx was down %d", r.Handshakes(), r.Failed(), r.Down())
	s.say("torn pairs    %d", n.torn)
	s.say("lapses        %d", r.Lapses())
	return ca.Finalized
}

// load is the system's load average: a host that is starved of CPU can't keep
// certificates of a minute, and whoever reads the numbers has to know.
func load() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// verdict is what the exit code follows. Apart from lapses it fails where the
// soak did not test what it claims to.
func (c *chaos) verdict(r prober.Report, issued int, took time.Duration) error {
	var errs []error
	fail := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	n := c.snapshot()
	fail(r.Lapses() > 0, "%d lapses", r.Lapses())
	fail(len(r.Blind()) > 0, "never seen: %v", r.Blind())
	fail(n.torn > 0, "%d torn pairs", n.torn)
	fail(n.crashes > 0, "the agent ended by itself %d times", n.crashes)
	fail(n.kills == 0, "the agent was never killed")
	fail(n.restarts == 0, "nginx was never restarted")
	fail(c.host.CA.Counts().Accounts != 1, "%d accounts were created", c.host.CA.Counts().Accounts)
	renewals := max(1, int(took/c.lifetime))
	fail(issued < renewals*len(c.host.Config.Certs), "only %d certificates were issued", issued)
	for _, t := range r.Records {
		fail(t.Leaves < renewals, "%s: only %d certificates in %s", t.Target, t.Leaves, took)
	}
	return errors.Join(errs...)
}
