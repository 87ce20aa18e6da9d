// The demo shows certvigil at work: a CA in this process, a real nginx and the
// real agent, with certificates that last a minute. Each stage is printed as it
// happens, with --break the same under a fault: what the agent says, and how it
// heals. What is shown is checked by handshakes of its own; where it is not so,
// the exit code is 1.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The faults that --break knows.
var faults = []string{"reload", "ca", "disk"}

// options are the flags.
type options struct {
	rounds   int
	lifetime time.Duration
	fault    string
	binary   string
	keep     bool
}

// endless tells whether ctrl-C is how the demonstration ends.
func (o options) endless() bool { return o.rounds == 0 && o.fault == "" }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run returns the exit code: 0 where all that was shown was so, 1 where it was
// not, 2 for flags that make no sense.
func run(args []string, out, errs io.Writer) int {
	o, err := parse(args, errs)
	if err != nil {
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err = demonstrate(ctx, o, newScreen(out))
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil && o.endless() && errors.Is(err, context.Canceled):
		return 0 // before there was anything to judge
	default:
		fmt.Fprintln(errs, "demo:", err)
		return 1
	}
}

func parse(args []string, errs io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(errs)
	f.IntVar(&o.rounds, "rounds", 0, "end after this many laps; 0 runs until ctrl-C")
	f.DurationVar(&o.lifetime, "lifetime", time.Minute, "how long a certificate lasts")
	f.StringVar(&o.fault, "break", "", "show a fault, its alarm and the healing: "+strings.Join(faults, ", "))
	f.StringVar(&o.binary, "binary", "", "an agent that is built already")
	f.BoolVar(&o.keep, "keep", false, "leave the folder in place at the end")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	switch {
	case f.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 0:
		err = errors.New("--rounds must not be negative")
	case o.lifetime < 10*time.Second:
		err = errors.New("--lifetime must be 10s or more")
	case o.fault != "" && !slices.Contains(faults, o.fault):
		err = fmt.Errorf("--break %s: there are %s", o.fault, strings.Join(faults, ", "))
	}
	if err != nil {
		fmt.Fprintln(errs, "demo:", err)
	}
	return o, err
}

// demonstrate is the whole of it, in order.
func demonstrate(ctx context.Context, o options, s *screen) error {
	if o.fault == "disk" {
		if err := ownMounts(); err != nil {
			return err
		}
	}
	if err := ensureNginx(ctx, s); err != nil {
		return err
	}
	d, err := setUp(ctx, o, s)
	if err != nil {
		return err
	}
	err = d.perform(ctx)
	if ctx.Err() != nil && o.endless() && d.watch != nil {
		err = d.judged()
	}
	return errors.Join(err, d.tearDown(err == nil || ctx.Err() != nil))
}

// perform starts the agent, shows what was asked for and judges it.
func (d *demo) perform(ctx context.Context) error {
	d.introduce()
	if err := d.host.Agent.Start(); err != nil {
		return err
	}
	rounds := d.rounds
	if d.fault != "" {
		rounds = max(1, rounds)
	}
	if err := d.laps(ctx, rounds); err != nil {
		return err
	}
	var err error
	switch d.fault {
	case "reload":
		err = d.breakReload(ctx)
	case "ca":
		err = d.breakCA(ctx)
	case "disk":
		err = d.breakDisk(ctx)
	}
	if err != nil {
		return err
	}
	return d.judged()
}
