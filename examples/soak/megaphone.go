package main

import (
	"context"
	"fmt"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// megaphone plays the three acts. On 30 May 2022 one certificate of Megaphone
// expired, since nothing renewed it and nobody heard of it.
func megaphone(ctx context.Context, h *stage.Host, s *screen) error {
	if err := actWithout(ctx, h, s); err != nil {
		return fmt.Errorf("act one, without the agent: %w", err)
	}
	if err := actWith(ctx, h, s); err != nil {
		return fmt.Errorf("act two, with the agent: %w", err)
	}
	if err := actAlarm(ctx, h, s); err != nil {
		return fmt.Errorf("act three, with a CA that is down for good: %w", err)
	}
	return nil
}

// actWithout has the certificates issued once and the agent stopped: every name
// must lapse, or the prober sees nothing.
func actWithout(ctx context.Context, h *stage.Host, s *screen) error {
	s.say("act one: certificates of %s, issued once; then nobody is there", h.Lifetime)
	if err := h.Agent.Start(); err != nil {
		return err
	}
	warm, cancel := context.WithTimeout(ctx, warmUp)
	defer cancel()
	if _, err := h.AwaitServed(warm, 0); err != nil {
		return err
	}
	if err := h.Agent.Stop(); err != nil {
		return err
	}
	watch, stop, err := watching(ctx, h)
	if err != nil {
		return err
	}
	defer stop()
	late, cancel := context.WithTimeout(ctx, h.Lifetime+10*time.Second)
	defer cancel()
	r, err := watch.Await(late, func(r prober.Report) bool {
		for _, t := range r.Records {
			if t.Lapses[prober.Expired] == 0 {
				return false
			}
		}
		return true
	})
	if err != nil {
		return fmt.Errorf("not every name lapsed: %w: %+v", err, r.Records)
	}
	s.say("act one: all %d names lapsed, the first: %s", len(r.Records), r.Records[0].First.Detail)
	return nil
}

// actWith starts the agent on the lapsed host, and after it has healed it, two
// and a half lifetimes must pass without a lapse.
func actWith(ctx context.Context, h *stage.Host, s *screen) error {
	from := h.Agent.Log.End()
	if err := h.Agent.Start(); err != nil {
		return err
	}
	warm, cancel := context.WithTimeout(ctx, warmUp)
	defer cancel()
	if _, err := h.AwaitServed(warm, from); err != nil {
		return err
	}
	span := h.Lifetime * 5 / 2
	s.say("act two: the agent is back, every name is served again; watching for %s", span)
	watch, stop, err := watching(ctx, h)
	if err != nil {
		return err
	}
	if !pause(ctx, span) {
		return ctx.Err()
	}
	stop()
	r := watch.Report()
	if r.Lapses() > 0 || len(r.Blind()) > 0 {
		_, _ = r.WriteTo(s.out)
		return fmt.Errorf("%d lapses, never seen %v", r.Lapses(), r.Blind())
	}
	for _, t := range r.Records {
		if t.Leaves < 3 {
			return fmt.Errorf("%s: only %d certificates in %s", t.Target, t.Leaves, span)
		}
	}
	s.say("act two: %d handshakes, 0 lapses", r.Handshakes())
	return nil
}

// actAlarm takes the CA away for good: for every certificate the alarm must be
// visible in the status, its exit code and the log before half of the slack is
// gone.
func actAlarm(ctx context.Context, h *stage.Host, s *screen) error {
	from := h.Agent.Log.End()
	if err := h.CA.Stop(); err != nil {
		return err
	}
	s.say("act three: the CA is gone")
	pending := make(map[string]bool)
	for _, c := range h.Config.Certs {
		pending[c.Name] = true
	}
	for len(pending) > 0 {
		status, err := h.Agent.Status(ctx)
		if err != nil {
			return err
		}
		for cert := range pending {
			heard, err := alarmed(ctx, h, s, status, cert, from)
			if err != nil {
				return err
			}
			if heard {
				delete(pending, cert)
			}
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// alarmed tells whether the status raises the alarm for one certificate, and
// then that the log does too; an error where half of the slack is gone first.
func alarmed(ctx context.Context, h *stage.Host, s *screen, status stage.Status, cert string, from int) (bool, error) {
	c, ok := status.Certificate(cert)
	if !ok || c.NotAfter.IsZero() {
		return false, fmt.Errorf("%s is not in the status: %+v", cert, status)
	}
	// Certificates this short are due with half of their lifetime left.
	half := c.NotAfter.Add(-h.Lifetime / 4)
	if !time.Now().Before(half) {
		return false, fmt.Errorf("%s: half of the slack is gone, and its health is %s, the exit code %d", cert, c.Health, status.Code)
	}
	if !status.Running || status.Code == stage.CodeOK || c.Health == "ok" {
		return false, nil
	}
	return true, logged(ctx, h, s, c, status.Code, from, half)
}

// logged waits for the line of the log that belongs to the alarm.
func logged(ctx context.Context, h *stage.Host, s *screen, c stage.CertificateStatus, code, from int, half time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, half)
	defer cancel()
	e, _, err := h.Agent.Await(ctx, from, func(e stage.Event) bool {
		return e.Msg == "health changed" && e.Text("cert") == c.Name && e.Text("health") != "ok"
	})
	if err != nil {
		return fmt.Errorf("%s: the status is %s, and the log does not say so: %w", c.Name, c.Health, err)
	}
	s.say("act three: %s: %s (%s), exit code %d, logged %s at %s: %s before half of the slack is gone",
		c.Name, c.Health, c.Reason, code, e.Level, e.Time.Local().Format(time.TimeOnly), time.Until(half).Round(time.Second))
	return nil
}

// watching runs a prober until stop is called.
func watching(ctx context.Context, h *stage.Host) (*prober.Prober, func(), error) {
	p, err := prober.New(prober.Options{Targets: h.Targets(), Roots: h.CA.Roots()})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); p.Run(ctx) }()
	return p, func() { cancel(); <-ended }, nil
}
