package hooks

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// loader is what Ready needs of systemd beside [Units], whose own bus has it.
type loader interface {
	Loaded(ctx context.Context, unit string, reloads bool) error
}

// Ready tells what would keep the hook from being run now: a program that is not
// there or not executable for this process's user, a pid file of nobody, a unit
// that systemd does not know. Nothing is run, and no signal is sent.
func (r *Runner) Ready(ctx context.Context, h Hook) error {
	return errors.Join(r.runnable(ctx, h.Test, h.TestUnit, false), r.reloadable(ctx, h.Reload))
}

func (r *Runner) reloadable(ctx context.Context, how Reload) error {
	switch {
	case how.HAProxy != "":
		return loaded(ctx, how)
	case how.PIDFile == "":
		return r.runnable(ctx, how.Command, how.Unit, !how.TryRestart)
	}
	p, err := target(how)
	if err != nil {
		return err
	}
	return p.Release()
}

// runnable looks at one phase: a program, or a unit. Neither is none.
func (r *Runner) runnable(ctx context.Context, argv []string, unit string, reloads bool) error {
	if len(argv) > 0 {
		file, err := findProgram(argv[0], r.path)
		if err != nil {
			return err
		}
		// As the kernel judges it: also for a user, and on a file system without exec.
		if err := unix.Faccessat(unix.AT_FDCWD, file, unix.X_OK, unix.AT_EACCESS); err != nil {
			return startError(file, err)
		}
		return nil
	}
	units, ok := r.Units.(loader)
	if unit == "" || !ok {
		return nil
	}
	return units.Loaded(ctx, unit, reloads)
}

// Loaded tells whether systemd has read the unit without fault, and, with
// reloads, whether it has a way to reload it (org.freedesktop.systemd1(5)).
func (b bus) Loaded(ctx context.Context, unit string, reloads bool) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return fmt.Errorf("asking systemd for %s: %w", unit, err)
	}
	defer conn.Close()
	state, err := stateOf(ctx, conn, unit)
	if err != nil {
		return fmt.Errorf("asking systemd for %s: %w", unit, err)
	}
	if err := state.usable(unit); err != nil {
		return err
	}
	if reloads && state.known && !state.canReload {
		return cannotReload(unit)
	}
	return nil
}
