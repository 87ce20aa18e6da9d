// The soak is the proof of certvigil's promise under fire: certificates of a
// minute under one nginx, while the agent is killed at random, nginx is
// restarted at random and the CA fails a third of its requests. A prober that
// shares no code with the agent handshakes with every name ten times a second
// and counts lapses: there must be none, or the exit code is 1.
//
// With --megaphone it plays the outage that certvigil is named after in three
// acts: the host without the agent lapses; with it, it does not; with a CA that
// is down for good, a human hears of it before half of the slack is gone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

type options struct {
	duration  time.Duration
	lifetime  time.Duration
	certs     int
	share     float64
	seed      uint64
	megaphone bool
	binary    string
	keep      bool
}

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 where the promise held, 1 where it did not, 2 for
// flags that make no sense.
func run(args []string, out, errs io.Writer) int {
	o, err := parse(args, errs)
	if err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := soak(ctx, o, &screen{out: out}); err != nil {
		fmt.Fprintln(errs, "soak:", err)
		return 1
	}
	return 0
}

func parse(args []string, errs io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(errs)
	f.DurationVar(&o.duration, "duration", 10*time.Minute, "how long the chaos lasts")
	f.DurationVar(&o.lifetime, "lifetime", time.Minute, "how long a certificate lasts")
	f.IntVar(&o.certs, "certs", 20, "how many certificates")
	f.Float64Var(&o.share, "ca-faults", 1.0/3, "share of the CA's requests that fail")
	f.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "of everything that happens at random")
	f.BoolVar(&o.megaphone, "megaphone", false, "play the three acts instead")
	f.StringVar(&o.binary, "binary", "", "an agent that is built already")
	f.BoolVar(&o.keep, "keep", false, "leave the folder in place at the end")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.certs < 1 || o.certs > 1000:
		err = errors.New("--certs must be 1 to 1000")
	case o.lifetime < 10*time.Second:
		err = errors.New("--lifetime must be 10s or more")
	case o.share < 0 || o.share >= 1:
		err = errors.New("--ca-faults must be 0 or more and below 1")
	case o.duration < o.lifetime:
		err = errors.New("--duration must be --lifetime or more: nothing is proved before a certificate would have ended")
	}
	if err != nil {
		fmt.Fprintln(errs, "soak:", err)
	}
	return o, err
}

// soak sets up the host, runs what was asked for and takes the host down. The
// folder stays where something went wrong.
func soak(ctx context.Context, o options, s *screen) (err error) {
	dir, err := os.MkdirTemp("", "certvigil-soak-")
	if err != nil {
		return fmt.Errorf("creating the soak's folder: %w", err)
	}
	defer func() {
		if err != nil || o.keep {
			s.say("kept %s: agent.log, chaos.log, state, nginx", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if o.binary == "" {
		s.say("building the agent from this checkout")
		if o.binary, err = stage.Build(ctx, dir); err != nil {
			return err
		}
	}
	certs := make(map[string][]string)
	for i := range o.certs {
		name := fmt.Sprintf("site%02d", i)
		certs[name] = []string{name + ".example.test"}
		if i%2 == 1 {
			certs[name] = append(certs[name], "www."+name+".example.test")
		}
	}
	h, err := stage.NewHost(ctx, stage.Plan{Dir: dir, Binary: o.binary, Lifetime: o.lifetime, Certs: certs, Seed: o.seed})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if o.megaphone {
		return megaphone(ctx, h, s)
	}
	return storm(ctx, o, h, s)
}

// screen writes plain lines, each with the time.
type screen struct {
	mu  sync.Mutex // guards out: lines are never mixed
	out io.Writer
}

func (s *screen) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, "%s  %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
}
