package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// poll is how often the status is asked for while something is expected of it.
const poll = 250 * time.Millisecond

// alarm waits until `certvigil status` raises an alarm for the site, with one of
// the reasons where any are given, and shows it. It fails where none is raised
// before the deadline.
func (d *demo) alarm(ctx context.Context, before time.Time, reasons ...string) error {
	c, err := d.awaitStatus(ctx, before, "an alarm", func(s stage.Status, c stage.CertificateStatus) bool {
		return s.Code != stage.CodeOK && c.Health != "ok" && (len(reasons) == 0 || slices.Contains(reasons, c.Reason))
	})
	if err != nil {
		return err
	}
	if c.Failure != nil {
		d.say("status", "failure", "%s, %s, %d times, again at %s: %s", c.Failure.Stage, c.Failure.Class, c.Failure.Count, clock(c.Failure.Next), brief(c.Failure.Message))
	}
	return nil
}

// calm waits until the status is all well again.
func (d *demo) calm(ctx context.Context) error {
	_, err := d.awaitStatus(ctx, time.Now().Add(15*time.Second), "all to be well", func(s stage.Status, c stage.CertificateStatus) bool {
		return s.Code == stage.CodeOK && c.Health == "ok" && c.Stage == "served"
	})
	return err
}

// awaitStatus asks for the status until it is as wanted, and shows it. The log
// goes on being shown meanwhile.
func (d *demo) awaitStatus(ctx context.Context, before time.Time, what string, ok func(stage.Status, stage.CertificateStatus) bool) (stage.CertificateStatus, error) {
	ctx, cancel := context.WithDeadlineCause(ctx, before, fmt.Errorf("it did not happen before %s", clock(before)))
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		s, err := d.host.Agent.Status(ctx)
		c, found := s.Certificate(site)
		d.catchUp()
		if err == nil && found && s.Running && ok(s, c) {
			d.say("status", "answers", "exit code %d; %s is %s, health %s %s", s.Code, site, c.Stage, c.Health, c.Reason)
			return c, nil
		}
		select {
		case <-ctx.Done():
			return c, fmt.Errorf("waiting for %s: %w; the status is %+v, %v", what, context.Cause(ctx), s, err)
		case <-tick.C:
		}
	}
}

// catchUp shows what the agent has logged so far, without waiting for more.
func (d *demo) catchUp() {
	events, next, _ := d.host.Agent.Log.Since(d.at)
	for _, e := range events {
		d.tell(e)
	}
	d.at = next
}

// proveOld looks, and fails where a name is answered with anything but the
// certificate that was served before the fault.
func (d *demo) proveOld(ctx context.Context) error {
	seen, err := d.look(ctx)
	if err != nil {
		return err
	}
	for name, s := range seen {
		if s.Fingerprint != d.served[name].Fingerprint || s.Kind != "" {
			return fmt.Errorf("%s: expected the certificate from before the fault, saw serial %s: %s", name, s.Serial, s.Detail)
		}
	}
	return nil
}
