package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/sim"
)

// Bounds of what is shown of a simulation.
const (
	simulatedShown = 10
	simulatedLines = 60
	simulatedTries = 500 // runs, to shrink the history of a preventable lapse
)

// simulation is what is asked for on the command line.
type simulation struct {
	seeds           int
	first           uint64
	years           float64
	lifetime, model string
}

func simulateCommand(g *globals) *cobra.Command {
	var s simulation
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Live through years of faults with this configuration, in a simulated world",
		Long: `Live through years of faults with this configuration, in a simulated world.

The agent's own decisions and laps run on virtual time, against CAs, DNS, disks,
clocks, servers and hooks that fail at the rates of a fault model. What counts of
the configuration is its certificates: how many names and issuers they have, and
their renew block and rescue. Nothing is asked of anybody, nothing is written.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context(), g, cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVar(&s.seeds, "seeds", 20, "how many fates of this host")
	f.Uint64Var(&s.first, "first", 1, "the first seed: the same one gives the same fate")
	f.Float64Var(&s.years, "years", 5, "how long")
	f.StringVar(&s.lifetime, "lifetime", "90d", "what the CA issues certificates for")
	f.StringVar(&s.model, "model", "", "a fault model, as JSON; default the one that is built in")
	return cmd
}

func (s simulation) run(ctx context.Context, g *globals, w io.Writer) error {
	fleet, err := s.fleet(g)
	if err != nil {
		return &exit{exitUnknown, err}
	}
	names := make([]string, len(fleet.Own.Certs))
	for i, c := range fleet.Own.Certs {
		names[i] = c.Name
		if len(c.Hooks) == 0 {
			fmt.Fprintf(w, "%s has no hook: it is simulated as if its server were reloaded.\n", c.Name)
		}
	}
	r := fleet.Run(ctx, nil)
	fmt.Fprint(w, r.Summary())
	for _, list := range []struct {
		title string
		found []sim.Finding
	}{{"Preventable", r.Harm}, {"Without an alarm in time", r.Unheard}, {"Not to be prevented by this configuration", r.Lapses}} {
		show(w, list.title, list.found, names)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if spare, ok := withSpare(fleet); ok {
		with := spare.Run(ctx, nil)
		fmt.Fprintf(w, "With a second issuer for every certificate: %d lapses in place of %d.\n",
			len(with.Harm)+len(with.Lapses), len(r.Harm)+len(r.Lapses))
	}
	bad := append(slices.Clone(r.Harm), r.Unheard...)
	if prompt, ok := withoutWindows(fleet); ok {
		at := prompt.Run(ctx, nil)
		fmt.Fprintf(w, "Without the windows of hooks: %d lapses in place of %d.\n",
			len(at.Harm)+len(at.Lapses), len(r.Harm)+len(r.Lapses))
		if len(bad) > 0 && ctx.Err() == nil && at.Good() {
			return &exit{exitAttention, errors.New("waiting for the windows of hooks costs lapses: let them open more often, or renew earlier (lifetime_left)")}
		}
	}
	if len(bad) > 0 {
		fmt.Fprintln(w, "\nThe first of these, shrunk:")
		fate := fleet.History(bad[0].Seed, bad[0].Host)
		sim.Tell(w, sim.Shrink(fate, fleet.Options, sim.Harmed, simulatedTries), fleet.Options, simulatedLines)
		return &exit{exitAttention, errors.New("there are lapses that certvigil should have prevented, or told of: please report this history")}
	}
	return nil
}

// fleet is the operator's own host, so many times.
func (s simulation) fleet(g *globals) (sim.Fleet, error) {
	life, err := config.ParseDuration(s.lifetime)
	if err != nil {
		return sim.Fleet{}, fmt.Errorf("--lifetime: %w", err)
	}
	if life < time.Hour || s.seeds < 1 || s.years <= 0 || s.years > 100 {
		return sim.Fleet{}, errors.New("--lifetime is an hour at least, --seeds one, and --years between 0 and 100")
	}
	model := sim.Standard()
	if s.model != "" {
		text, err := os.ReadFile(s.model)
		if err != nil {
			return sim.Fleet{}, err
		}
		if model, err = sim.ParseModel(text); err != nil {
			return sim.Fleet{}, fmt.Errorf("%s: %w", s.model, err)
		}
	}
	cfg, err := g.load()
	if err != nil {
		return sim.Fleet{}, err
	}
	if len(cfg.Certs) == 0 {
		return sim.Fleet{}, errors.New("no certificate is configured")
	}
	return sim.Fleet{
		Model: model, First: s.first, Seeds: s.seeds, Own: sim.Own{Certs: cfg.Certs, Life: life},
		Length: time.Duration(s.years * 365 * 24 * float64(time.Hour)),
	}, nil
}

// withSpare is the fleet with a second issuer for each certificate that has one
// alone; false where all have more.
func withSpare(f sim.Fleet) (sim.Fleet, bool) {
	lacks := func(c renew.Cert) bool { return len(c.Issuers) == 1 }
	if !slices.ContainsFunc(f.Own.Certs, lacks) {
		return f, false
	}
	f.Own.Certs = slices.Clone(f.Own.Certs)
	for i, c := range f.Own.Certs {
		if lacks(c) {
			f.Own.Certs[i].Issuers = append(slices.Clip(c.Issuers), renew.Issuer{Name: "another"})
		}
	}
	return f, true
}

// withoutWindows is the fleet with hooks that wait for nothing; false where none
// waits.
func withoutWindows(f sim.Fleet) (sim.Fleet, bool) {
	waits := func(c renew.Cert) bool { return len(c.HookWindows) > 0 }
	if !slices.ContainsFunc(f.Own.Certs, waits) {
		return f, false
	}
	f.Own.Certs = slices.Clone(f.Own.Certs)
	for i := range f.Own.Certs {
		f.Own.Certs[i].HookWindows = nil
	}
	return f, true
}

func show(w io.Writer, title string, found []sim.Finding, names []string) {
	for i, f := range found {
		if i == 0 {
			fmt.Fprintln(w, title+":")
		}
		if i == simulatedShown {
			fmt.Fprintf(w, "  and %d more\n", len(found)-i)
			return
		}
		fmt.Fprintf(w, "  %s: %s\n", names[f.Cert], f)
	}
}
