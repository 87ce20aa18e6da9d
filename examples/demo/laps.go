package main

import (
	"context"
	"fmt"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// firstLap is how long the first certificate may take, a slow machine included.
const firstLap = 45 * time.Second

// laps shows n laps, or laps until ctx ends where n is 0.
func (d *demo) laps(ctx context.Context, n int) error {
	for goal := d.lap + n; n == 0 || d.lap < goal; {
		begun := time.Now()
		if err := d.oneLap(ctx); err != nil {
			return err
		}
		of := ""
		if n > 0 {
			of = fmt.Sprintf(" of %d", goal)
		}
		d.title("lap %d%s done in %s", d.lap, of, time.Since(begun).Round(100*time.Millisecond))
	}
	return nil
}

// oneLap waits for the agent to say that a new version is served, and proves it
// with handshakes of our own. From the second lap on it has to come within the
// lifetime of the certificate before.
func (d *demo) oneLap(ctx context.Context) error {
	limit := d.lifetime
	if d.lap == 0 {
		limit = max(limit, firstLap)
	}
	e, err := d.until(ctx, limit, "a new version to be served", func(e stage.Event) bool {
		return e.Msg == "served" && e.Text("cert") == site && e.Number("version") > d.shown
	})
	if err != nil {
		return err
	}
	if err := d.proveNew(ctx); err != nil {
		return err
	}
	d.shown = e.Number("version")
	d.lap++
	if d.watch == nil {
		if err := d.startWatch(ctx); err != nil {
			return err
		}
	}
	if next := e.When("next"); !next.IsZero() {
		d.say(site, "next", "renews at %s (%s)", clock(next), e.Text("next_reason"))
	}
	return nil
}

// look handshakes with every name and shows what it is answered with.
func (d *demo) look(ctx context.Context) (map[string]prober.Seen, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	seen := make(map[string]prober.Seen)
	for _, t := range d.host.Targets() {
		s, err := prober.Handshake(ctx, t, d.host.CA.Roots())
		if err != nil {
			return seen, err
		}
		verdict := "a client accepts it"
		if s.Kind != "" {
			verdict = fmt.Sprintf("%s: %s", s.Kind, s.Detail)
		}
		d.say("client", "sees", "%-17s serial %s sha256 %s… until %s: %s", t.Name, s.Serial, s.Fingerprint[:16], clock(s.NotAfter), verdict)
		seen[t.Name] = s
	}
	return seen, nil
}

// proveNew looks, and fails where a name is answered with the certificate that
// was served before, or with one that a client refuses.
func (d *demo) proveNew(ctx context.Context) error {
	seen, err := d.look(ctx)
	if err != nil {
		return err
	}
	for name, s := range seen {
		if s.Kind != "" {
			return fmt.Errorf("%s is said to be served, but %s", name, s.Detail)
		}
		if s.Fingerprint == d.served[name].Fingerprint {
			return fmt.Errorf("%s is said to be renewed, but serial %s is still served", name, s.Serial)
		}
	}
	d.served = seen
	return nil
}

// startWatch begins to judge, for as long as the demonstration runs. It returns
// once every name was seen: a name that never is is no name without a lapse.
func (d *demo) startWatch(ctx context.Context) error {
	p, err := prober.New(prober.Options{Targets: d.host.Targets(), Roots: d.host.CA.Roots()})
	if err != nil {
		return err
	}
	watching, cancel := context.WithCancel(ctx)
	report := make(chan prober.Report, 1)
	go func() { report <- p.Run(watching) }()
	d.endWatch, d.report = cancel, report
	soon, cancelSoon := context.WithTimeout(ctx, 10*time.Second)
	defer cancelSoon()
	if r, err := p.Await(soon, func(r prober.Report) bool { return len(r.Blind()) == 0 }); err != nil {
		return fmt.Errorf("the prober does not reach %v: %w", r.Blind(), err)
	}
	d.watch = p
	return nil
}

// judged shows what the prober counted, and fails on any lapse.
func (d *demo) judged() error {
	r := d.watch.Report()
	d.say("prober", "counted", "%d handshakes, %d lapses, %d failed", r.Handshakes(), r.Lapses(), r.Failed())
	if r.Lapses() > 0 {
		_, _ = r.WriteTo(d.out)
		return fmt.Errorf("%d handshakes showed a lapse", r.Lapses())
	}
	return nil
}
