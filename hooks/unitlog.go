package hooks

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"
)

// What is read of a unit's log after its job has failed.
const (
	logWait  = 2 * time.Second        // for journalctl, all looks together
	logLines = "5"                    // the last ones
	logLooks = 5                      // journald writes down what it was told a moment later
	logPause = 200 * time.Millisecond // between two looks
)

// unit has systemd do something to a unit. The error of a job that failed quotes
// what the unit itself has logged since.
func (r *Runner) unit(ctx context.Context, name string, do func(context.Context, string) error) error {
	began := time.Now()
	err := do(ctx, name)
	if _, ran := errors.AsType[*jobFault](err); !ran {
		return err
	}
	if errors.Is(context.Cause(ctx), errClosed) {
		return err // nobody waits for a quotation
	}
	said, why := r.logOf(context.WithoutCancel(ctx), name, began)
	if said == "" {
		err = fmt.Errorf("%w; its log can't be quoted: %s", err, why)
	}
	return &Error{ExitCode: -1, Output: said, Err: err}
}

// logOf returns the last lines that the unit has logged since, or why there are
// none. Best effort: it says why something failed, and fails nothing.
func (r *Runner) logOf(ctx context.Context, unit string, since time.Time) (lines, why string) {
	file, err := findProgram("journalctl", r.path)
	if err != nil {
		return "", err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, logWait)
	defer cancel()
	for look := range logLooks {
		// What the unit's processes said tells more than what systemd says of them;
		// where they said nothing, systemd's own lines are better than none.
		for _, of := range []string{"_SYSTEMD_UNIT=" + unit, "--unit=" + unit} {
			if of[0] == '-' && look < logLooks-1 {
				continue
			}
			if lines, err = r.journal(ctx, file, of, since); err != nil {
				return "", err.Error()
			}
			if lines != "" {
				return lines, ""
			}
		}
		select {
		case <-time.After(logPause):
		case <-ctx.Done():
			return "", "no line of it came in time"
		case <-r.closing:
			return "", "certvigil is being stopped"
		}
	}
	return "", fmt.Sprintf("there is no line of it that user %s may see; members of the group systemd-journal see all", username())
}

func (r *Runner) journal(ctx context.Context, file, of string, since time.Time) (string, error) {
	cmd := exec.CommandContext(ctx, file, "--quiet", "--no-pager", "--output=cat", "--lines="+logLines,
		fmt.Sprintf("--since=@%d", since.Unix()), of)
	cmd.Env, cmd.Dir, cmd.WaitDelay = []string{"PATH=" + r.path, "LANG=" + r.lang}, "/", leftoverWait
	var said, complaint tail
	cmd.Stdout, cmd.Stderr = &said, &complaint
	keepDescriptors()
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", errors.New("journalctl gave no answer in time")
	}
	complained := quote(complaint.String())
	if err != nil && complained != "" {
		return "", fmt.Errorf("journalctl: %w: %s", err, complained)
	}
	return said.String(), nil // some versions exit with 1 where nothing matches
}
