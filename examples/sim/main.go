// Sim lives through years of a simulated fleet with the agent's own code, and
// says how many lapses could have been prevented. Where there is one, the
// history that leads to it is shrunk and told.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/certvigil/certvigil/renew/sim"
)

const (
	year = 365 * 24 * time.Hour
	// The garbage collector runs when so much memory is in use, not before: next to
	// nothing of what a simulation allocates is kept.
	memory      = 1 << 30
	shrinkTries = 2000
	mostShown   = 20
	mostTold    = 60 // lines of a history
)

type flags struct {
	seeds, certs   int
	first          uint64
	years          float64
	host           int
	model, profile string
	thorough       bool
}

func main() {
	var f flags
	flag.IntVar(&f.seeds, "seeds", 10, "how many fleets")
	flag.Uint64Var(&f.first, "first", 1, "the first seed")
	flag.IntVar(&f.certs, "certs", 100, "certificates of a fleet")
	flag.Float64Var(&f.years, "years", 5, "how long")
	flag.IntVar(&f.host, "host", -1, "tell all that happens on this host of the first seed")
	flag.StringVar(&f.model, "model", "", "a fault model in the form of renew/sim/model.json")
	flag.StringVar(&f.profile, "profile", "", "write a CPU profile here")
	flag.BoolVar(&f.thorough, "thorough", false, "make every proof and every poll, also those that can see no change")
	flag.Parse()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memory)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := run(ctx, f, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sim:", err)
	}
	if !ok {
		os.Exit(1)
	}
}

func run(ctx context.Context, f flags, w io.Writer) (ok bool, err error) {
	model := sim.Standard()
	if f.model != "" {
		text, err := os.ReadFile(f.model)
		if err != nil {
			return false, err
		}
		if model, err = sim.ParseModel(text); err != nil {
			return false, err
		}
	}
	if f.profile != "" {
		file, err := os.Create(f.profile)
		if err != nil {
			return false, err
		}
		defer func() { pprof.StopCPUProfile(); _ = file.Close() }() // a diagnostic
		if err := pprof.StartCPUProfile(file); err != nil {
			return false, err
		}
	}
	length := time.Duration(f.years * float64(year))
	opts := sim.Options{Thorough: f.thorough}
	if f.host >= 0 {
		return tell(model, f, length, opts, w)
	}
	return fleet(ctx, model, f, length, opts, w), nil
}

func tell(model sim.Model, f flags, length time.Duration, opts sim.Options, w io.Writer) (bool, error) {
	all := model.Histories(f.first, f.certs, length)
	if f.host >= len(all) {
		return false, fmt.Errorf("the fleet has %d hosts", len(all))
	}
	r := sim.Tell(w, all[f.host], opts, math.MaxInt)
	return r.Good(), nil
}

func fleet(ctx context.Context, model sim.Model, f flags, length time.Duration, opts sim.Options, w io.Writer) bool {
	begun, said := time.Now(), time.Now()
	all := sim.Fleet{Model: model, First: f.first, Seeds: f.seeds, Certs: f.certs, Length: length, Options: opts}
	r := all.Run(ctx, func(r sim.Result) {
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			fmt.Fprintf(os.Stderr, "%.0f certificate-years, %d preventable lapses, %d unheard\n", r.Years, len(r.Harm), len(r.Unheard))
		}
	})
	took := time.Since(begun)
	fmt.Fprint(w, r.Summary())
	fmt.Fprintf(w, "%.0f certificate-years in %s: %.0f a minute\n", r.Years, took.Round(time.Millisecond), r.Years/took.Minutes())
	for _, call := range r.Impolite {
		fmt.Fprintln(w, call)
	}
	for _, spin := range r.Spins {
		fmt.Fprintln(w, spin)
	}
	bad := append(r.Harm, r.Unheard...)
	for i, found := range bad {
		if i == mostShown {
			fmt.Fprintf(w, "and %d more\n", len(bad)-i)
			break
		}
		fmt.Fprintln(w, found)
	}
	if len(bad) == 0 {
		return r.Good()
	}
	fate := all.History(bad[0].Seed, bad[0].Host)
	fmt.Fprintln(w, "\nThe first of these, shrunk:")
	sim.Tell(w, sim.Shrink(fate, opts, sim.Harmed, shrinkTries), opts, mostTold)
	return false
}
