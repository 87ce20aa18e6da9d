package hooks

import (
	"context"
	"errors"
	"fmt"
	"syscall"

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
	if how.PIDFile == "" {
		return r.runnable(ctx, how.Command, how.Unit, true)
	}
	pid, err := target(how.PIDFile)
	if err != nil {
		return err
	}
	// Signal 0 asks whether a signal could be sent (kill(2)).
	if err := syscall.Kill(pid, 0); err != nil {
		return fmt.Errorf("pid file %s names process %d, which no signal reaches: %w", how.PIDFile, pid, err)
	}
	return nil
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
	all, err := conn.GetUnitPropertiesContext(ctx, unit)
	if err != nil {
		return fmt.Errorf("asking systemd for %s: %w", unit, err)
	}
	state, _ := all["LoadState"].(string)
	can, _ := all["CanReload"].(bool)
	switch {
	case state == "not-found":
		return fmt.Errorf("systemd knows no unit %s", unit)
	case state != "loaded":
		return fmt.Errorf("systemd can't use the unit %s (load state %q): see systemctl status %s", unit, state, unit)
	case reloads && !can:
		return fmt.Errorf("systemd cannot reload %s: the unit has no way of it (a reload needs ExecReload=)", unit)
	}
	return nil
}
