package hooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"
)

// defaultTimeout is that of a hook which names none.
const defaultTimeout = 30 * time.Second

// errClosed is what a run gets that is cut short by Close.
var errClosed = errors.New("hooks are being shut down")

// Result tells what a run took and whom it served.
type Result struct {
	Test   time.Duration // zero where the hook has no test
	Reload time.Duration // zero where the test failed
	Certs  []string      // every certificate that this run served
	Shared bool          // more than one call to Run was answered by it
}

// Runner runs hooks. It owns the processes that it starts, until Close.
type Runner struct {
	Grace time.Duration // from SIGTERM to SIGKILL; New sets 5 s. Not to be changed once Run was called
	Units Units         // systemd; New sets the one on the system's D-Bus, reached when first needed

	log  *slog.Logger
	path string // PATH and LANG of every program
	lang string

	places  chan struct{} // capacity mostAtOnce; each run holds one
	closing chan struct{}
	live    sync.WaitGroup // batches that are being served

	mu     sync.Mutex // guards what follows, and all batches
	closed bool
	lines  map[string]*line // by Hook.action
}

// New returns a Runner. Programs get the PATH and LANG that the agent has now.
func New(log *slog.Logger) *Runner {
	r := &Runner{
		Grace: defaultGrace, Units: systemBus(), log: log,
		path: os.Getenv("PATH"), lang: os.Getenv("LANG"),
		places: make(chan struct{}, mostAtOnce), closing: make(chan struct{}), lines: make(map[string]*line),
	}
	if r.path == "" {
		r.path = defaultPath
	}
	if r.lang == "" {
		r.lang = defaultLang
	}
	return r
}

// Run has the hook run for ev, perhaps together with other events of the same
// hook: where the last run of the hook ended less than spacing ago, it waits for
// that. The error is an [*Error] where the hook itself failed, and wraps
// the context's cause where ctx ended first; the run then goes on for those who
// shared it, and is ended when there is nobody left.
func (r *Runner) Run(ctx context.Context, h Hook, ev Event, spacing time.Duration) (Result, error) {
	if ctx.Err() != nil {
		return Result{}, fmt.Errorf("running hook %s: %w", h.Name, context.Cause(ctx))
	}
	b, seat, err := r.join(ctx, h, ev, spacing)
	if err != nil {
		return Result{}, fmt.Errorf("running hook %s: %w", h.Name, err)
	}
	select {
	case <-b.done:
		res := b.result
		res.Certs = slices.Clone(res.Certs)
		return res, own(b.err, h.Name)
	case <-ctx.Done():
		r.leave(b, seat)
		return Result{}, fmt.Errorf("running hook %s: %w", h.Name, context.Cause(ctx))
	}
}

// own is the error of a run as the one of its hooks sees it that has that name.
func own(err error, hook string) error {
	fault, ok := errors.AsType[*Error](err)
	if !ok || fault.Hook == hook {
		return err
	}
	mine := *fault
	mine.Hook = hook
	return &mine
}

// Close ends every run (SIGTERM, SIGKILL 2 s later) and waits until all are
// gone. Run fails from then on.
func (r *Runner) Close() {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.closing)
	}
	r.mu.Unlock()
	r.live.Wait()
}

// execute is one run: the test, then the reload. A panic is a failure of the run: in
// a goroutine of its own it would end the process.
func (r *Runner) execute(ctx context.Context, h Hook, events []Event) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("hook panicked", "hook", h.Name, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("running hook %s: panic: %v", h.Name, p)
		}
	}()
	res.Certs = certs(events)
	if len(h.Test) > 0 || h.TestUnit != "" {
		if res.Test, err = r.timed(ctx, h, phaseTest, events, r.test); err != nil {
			return res, err
		}
	}
	for _, ev := range events {
		if ev.Reloading != nil {
			ev.Reloading()
		}
	}
	res.Reload, err = r.timed(ctx, h, phaseReload, events, r.reload)
	return res, err
}

func (h Hook) limit() time.Duration {
	if h.Timeout <= 0 {
		return defaultTimeout
	}
	return h.Timeout
}

type phase func(ctx context.Context, h Hook, events []Event) error

// timed runs one phase under the hook's timeout, and makes an *Error of
// whatever error it has.
func (r *Runner) timed(ctx context.Context, h Hook, name string, events []Event, do phase) (time.Duration, error) {
	limit := h.limit()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	err := do(ctx, h, events)
	took := time.Since(began)
	if err == nil {
		return took, nil
	}
	fault, ok := errors.AsType[*Error](err)
	if !ok {
		fault = &Error{ExitCode: -1, Err: err}
	}
	fault.Hook, fault.Phase = h.Name, name
	if errors.Is(fault.Err, context.DeadlineExceeded) {
		fault.TimedOut = true
		fault.Err = fmt.Errorf("not done after %s, ended: %w", limit, fault.Err)
	}
	return took, fault
}

func (r *Runner) test(ctx context.Context, h Hook, events []Event) error {
	if len(h.Test) > 0 {
		return r.command(ctx, h.Test, events)
	}
	return r.unit(ctx, h.TestUnit, r.Units.Start)
}

func (r *Runner) reload(ctx context.Context, h Hook, events []Event) error {
	switch {
	case len(h.Reload.Command) > 0:
		return r.command(ctx, h.Reload.Command, events)
	case h.Reload.PIDFile != "":
		return signal(h.Reload)
	case h.Reload.HAProxy != "":
		return exchange(ctx, h.Reload, events)
	case h.Reload.Unit != "" && h.Reload.TryRestart:
		return r.unit(ctx, h.Reload.Unit, r.Units.ReloadOrTryRestart)
	case h.Reload.Unit != "":
		return r.unit(ctx, h.Reload.Unit, r.Units.Reload)
	default:
		return errors.New("the hook names no command, no pid file, no unit and no socket of HAProxy")
	}
}
