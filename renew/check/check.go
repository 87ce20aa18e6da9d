package check

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

// Prober looks at what endpoints serve.
type Prober interface {
	Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof
}

// Options say how to look. The zero Options are those of the command.
type Options struct {
	Warning     Threshold     // zero: where renew.Health calls for attention
	Critical    Threshold     // zero: where it calls it critical
	Timeout     time.Duration // of everything; zero means DefaultTimeout
	NoEndpoints bool          // judge endpoints by the journal alone
	Prober      Prober        // nil: handshakes, one for each address and name
}

// DefaultTimeout is what Nagios and NRPE give a plugin.
const DefaultTimeout = 10 * time.Second

// longestHandshake bounds one handshake; half of the timeout, where that is
// shorter.
const longestHandshake = 5 * time.Second

func (o Options) filled() Options {
	attention, critical := renew.Alarms()
	o.Warning = cmp.Or(o.Warning, PartOfSlack(attention))
	o.Critical = cmp.Or(o.Critical, PartOfSlack(critical))
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	if o.Prober == nil {
		o.Prober = &probe.Prober{Timeout: min(longestHandshake, o.Timeout/2), Rounds: 1}
	}
	return o
}

// Run looks at the certificates of cfg. It returns within o.Timeout: a file
// system that does not answer is an error, as is a state directory that can't be
// read. One that does not exist is a finding.
func Run(ctx context.Context, now time.Time, cfg *config.Config, o Options) (Result, error) {
	o = o.filled()
	ctx, cancel := context.WithTimeout(ctx, o.Timeout-o.Timeout/10)
	defer cancel()
	type outcome struct {
		result Result
		err    error
	}
	done := make(chan outcome, 1) // what hangs is left behind
	go func() {
		r, err := look(ctx, now, cfg, o)
		done <- outcome{r, err}
	}()
	// What looks ends with ctx but for the reading of files; the rest of the time is
	// for what was seen by then.
	late := time.NewTimer(o.Timeout)
	defer late.Stop()
	select {
	case out := <-done:
		return out.result, out.err
	case <-late.C:
		return Result{}, fmt.Errorf("reading %s: no end after %s; does a file lie on a file system that does not answer?", cfg.Agent.StateDir, o.Timeout)
	}
}

// look is Run without the bound.
func look(ctx context.Context, now time.Time, cfg *config.Config, o Options) (Result, error) {
	st, err := store.OpenReadOnly(cfg.Agent.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		st = nil
	case err != nil:
		return Result{}, readable(err)
	default:
		defer st.Close()
	}

	var waiting sync.WaitGroup
	var holder store.Holder
	var held error
	if st != nil {
		patience, cancel := context.WithTimeout(ctx, time.Duration(patient*float64(o.Timeout)))
		defer cancel()
		waiting.Go(func() { holder, held = await(patience, st) })
	}
	views := make([]view, len(cfg.Certs))
	configured := configuredAt(now, cfg)
	var looking errgroup.Group
	looking.SetLimit(atOnce * runtime.GOMAXPROCS(0))
	for i, c := range cfg.Certs {
		looking.Go(func() error {
			views[i] = see(ctx, now, st, cfg, c, o)
			views[i].facts.ConfiguredAt = configured
			return nil
		})
	}
	_ = looking.Wait() // each view has its own error
	waiting.Wait()
	if held != nil {
		return Result{}, readable(held)
	}

	r := Result{certs: len(cfg.Certs)}
	problems, began := judgeHolder(now, cfg.Agent.StateDir, holder)
	r.Problems = append(r.Problems, problems...)
	for _, v := range views {
		v.judge(now, cfg, o, &r)
	}
	r.countPromises(now, began, cfg, views)
	r.sort()
	return r, nil
}

// atOnce is how many certificates are looked at at once, for each processor:
// most of the time is spent on waiting for handshakes.
const atOnce = 8

// readable says what to do about a file that may not be read.
func readable(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: run this as the agent's user, or as root", err)
	}
	return err
}

// configuredAt is when the files of the configuration last changed.
func configuredAt(now time.Time, cfg *config.Config) time.Time {
	var last time.Time
	for _, path := range cfg.Sources {
		fi, err := os.Stat(path)
		if err != nil {
			continue // the optional ones
		}
		at := fi.ModTime()
		if sys, ok := fi.Sys().(*syscall.Stat_t); ok {
			at = time.Unix(sys.Ctim.Unix())
		}
		if at.After(last) && !at.After(now) {
			last = at
		}
	}
	return last
}
