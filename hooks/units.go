package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// Units is what a hook needs of systemd. Its methods return when the job is
// done, with an error that says how it ended otherwise: a [*jobFault] where
// systemd took the job.
type Units interface {
	Reload(ctx context.Context, unit string) error
	ReloadOrTryRestart(ctx context.Context, unit string) error
	Start(ctx context.Context, unit string) error
}

// bus is systemd over the system's D-Bus. It connects anew for each job: jobs
// are rare, and a connection kept for weeks would have to survive restarts of
// the bus.
type bus struct {
	dial func(ctx context.Context) (*systemd.Conn, error)
}

// systemBus reaches systemd over the system's bus, as root also without one.
func systemBus() bus { return bus{dial: systemd.NewWithContext} }

// The verbs, as polkit and systemctl have them.
const (
	verbReload             = "reload"
	verbReloadOrTryRestart = "reload-or-try-restart"
	verbStart              = "start"
)

func (b bus) Reload(ctx context.Context, unit string) error {
	return b.job(ctx, verbReload, unit, (*systemd.Conn).ReloadUnitContext)
}

func (b bus) ReloadOrTryRestart(ctx context.Context, unit string) error {
	return b.job(ctx, verbReloadOrTryRestart, unit, (*systemd.Conn).ReloadOrTryRestartUnitContext)
}

func (b bus) Start(ctx context.Context, unit string) error {
	return b.job(ctx, verbStart, unit, (*systemd.Conn).StartUnitContext)
}

type enqueue func(c *systemd.Conn, ctx context.Context, unit, mode string, result chan<- string) (int, error)

// job enqueues one job and waits for its result: the call itself returns before
// anything has happened.
func (b bus) job(ctx context.Context, verb, unit string, enqueue enqueue) error {
	conn, err := b.connect(ctx)
	if err != nil {
		return fmt.Errorf("asking systemd to %s %s: %w", verb, unit, err)
	}
	defer conn.Close()
	// Looked at before: to reload-or-try-restart a unit that does not run succeeds
	// and does nothing, and a reload of one that is not there is refused as if it
	// had no ExecReload=.
	state, err := stateOf(ctx, conn, unit)
	if err != nil {
		return fmt.Errorf("asking systemd for %s: %w", unit, err)
	}
	if err := state.refuses(verb, unit); err != nil {
		return err
	}
	result := make(chan string, 1) // buffered: nobody may be waiting any more
	if _, err := enqueue(conn, ctx, unit, "replace", result); err != nil {
		return callError(verb, unit, err)
	}
	select {
	case how := <-result:
		err = resultError(verb, unit, how)
	case <-ctx.Done():
		err = fmt.Errorf("waiting for systemd to %s %s: %w", verb, unit, ctx.Err())
	}
	if err == nil {
		return nil
	}
	return &jobFault{Err: err, State: stateAfter(ctx, conn, unit)}
}

// connect bounds the dialling by ctx, which the client itself does not do.
func (b bus) connect(ctx context.Context) (*systemd.Conn, error) {
	type dialled struct {
		conn *systemd.Conn
		err  error
	}
	done := make(chan dialled, 1)
	go func() {
		conn, err := b.dial(ctx)
		done <- dialled{conn, err}
	}()
	select {
	case d := <-done:
		if d.err != nil {
			return nil, fmt.Errorf("reaching it over D-Bus (is systemd running here, and the system bus?): %w", d.err)
		}
		return d.conn, nil
	case <-ctx.Done():
		go func() {
			if d := <-done; d.err == nil {
				d.conn.Close()
			}
		}()
		return nil, fmt.Errorf("reaching it over D-Bus: %w", ctx.Err())
	}
}

// callError explains why systemd did not take the job.
func callError(verb, unit string, err error) error {
	var refusal dbus.Error
	if !errors.As(err, &refusal) {
		return fmt.Errorf("asking systemd to %s %s: %w", verb, unit, err)
	}
	switch refusal.Name {
	case "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
		"org.freedesktop.DBus.Error.AccessDenied",
		"org.freedesktop.PolicyKit1.Error.NotAuthorized":
		return fmt.Errorf("systemd may not %s %s for user %s: a polkit rule in /etc/polkit-1/rules.d must allow this user "+
			"the action org.freedesktop.systemd1.manage-units with verb %q and unit %q: %w",
			verb, unit, username(), verb, unit, err)
	case "org.freedesktop.systemd1.NoSuchUnit":
		return fmt.Errorf("systemd knows no unit %s: %w", unit, err)
	case "org.freedesktop.systemd1.JobTypeNotApplicable":
		return fmt.Errorf("%w: %w", cannotReload(unit), err)
	default:
		return fmt.Errorf("asking systemd to %s %s: %w", verb, unit, err)
	}
}

// jobFault is a job that systemd took and that did not succeed.
type jobFault struct {
	Err   error
	State string // of the unit afterwards, as systemctl show has it; may be empty
}

func (f *jobFault) Error() string {
	if f.State == "" {
		return f.Err.Error()
	}
	return f.Err.Error() + " (" + f.State + ")"
}

func (f *jobFault) Unwrap() error { return f.Err }

// resultError explains the result of a job, as JobRemoved reports it
// (org.freedesktop.systemd1(5)).
func resultError(verb, unit, result string) error {
	why := ""
	switch result {
	case "done":
		return nil
	case "failed":
		return fmt.Errorf("systemd could not %s %s (job result %q)", verb, unit, result)
	case "timeout":
		why = "the job took longer than systemd lets it (JobTimeoutSec=)"
	case "canceled":
		why = "another job took its place, such as a stop or a restart by somebody else"
	case "dependency":
		why = "a unit that it depends on failed"
	case "skipped", "invalid":
		why = "the unit is not in a state to do it: is it active?"
	case "assert", "unsupported":
		why = "the unit cannot run on this host: see systemctl status " + unit
	default:
		return fmt.Errorf("systemd did not %s %s (job result %q)", verb, unit, result)
	}
	return fmt.Errorf("systemd did not %s %s (job result %q): %s", verb, unit, result, why)
}

func username() string {
	if u, err := user.Current(); err == nil {
		return strings.TrimSpace(u.Username)
	}
	return fmt.Sprint(os.Geteuid())
}
