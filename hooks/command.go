package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// exTempFail is EX_TEMPFAIL of sysexits.h: run me again soon.
const exTempFail = 75

// Bounds of what comes after a program has ended, or should have.
const (
	defaultGrace = 5 * time.Second        // from SIGTERM to SIGKILL
	closeGrace   = 2 * time.Second        // the same while the Runner is closed
	reapWait     = time.Second            // from SIGKILL to giving up on a process stuck in the kernel
	leftoverWait = 500 * time.Millisecond // for output, when a left-over process holds it open
	groupPoll    = 10 * time.Millisecond  // how often the process group is looked at
)

// command runs one program to its end, or to the end of ctx.
func (r *Runner) command(ctx context.Context, argv []string, events []Event) error {
	p, err := r.start(argv, events)
	if err != nil {
		return err
	}
	waited := make(chan error, 1)
	go func() { waited <- p.cmd.Wait() }()

	var ended error // why it did not end by itself
	select {
	case err = <-waited:
	case <-ctx.Done():
		ended = context.Cause(ctx)
		if !r.end(p.cmd.Process.Pid, waited) {
			ended = fmt.Errorf("still there after SIGKILL: %w", ended)
		}
	}
	output := p.drain()
	if ended != nil {
		return &Error{ExitCode: -1, Output: output, Err: ended}
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code := exit.ExitCode()
		return &Error{ExitCode: code, Temporary: code == exTempFail, Output: output, Err: err}
	}
	if err != nil {
		return fmt.Errorf("waiting for %s: %w", argv[0], err)
	}
	r.log.DebugContext(ctx, "program ended", "argv0", argv[0], "output", output)
	return nil
}

// program is one that was started, with our ends of its pipes. They are ours
// rather than os/exec's, because a process left behind may keep the other ends
// open for ever, and must cost neither the whole grace nor the verdict.
type program struct {
	cmd    *exec.Cmd
	stdin  *os.File
	output *os.File
	tail   tail
	copied chan struct{}  // closed at the end of output
	copies sync.WaitGroup // both directions
}

func (r *Runner) start(argv []string, events []Event) (*program, error) {
	file, err := findProgram(argv[0], r.path)
	if err != nil {
		return nil, err
	}
	event, err := message(events)
	if err != nil {
		return nil, err
	}
	childIn, stdin, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making the standard input of %s: %w", file, err)
	}
	defer childIn.Close()
	output, childOut, err := os.Pipe()
	if err != nil {
		stdin.Close()
		return nil, fmt.Errorf("making the standard output of %s: %w", file, err)
	}
	defer childOut.Close()

	cmd := &exec.Cmd{
		Path: file, Args: argv, Dir: "/", Env: environ(r.path, r.lang, events),
		Stdin: childIn, Stdout: childOut, Stderr: childOut,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	keepDescriptors()
	if err := cmd.Start(); err != nil {
		stdin.Close()
		output.Close()
		return nil, startError(file, err)
	}
	p := &program{cmd: cmd, stdin: stdin, output: output, copied: make(chan struct{})}
	p.copies.Go(func() {
		_, _ = stdin.Write(event) // a program need not read it: a broken pipe is no fault
		stdin.Close()
	})
	p.copies.Go(func() {
		_, _ = io.Copy(&p.tail, output)
		close(p.copied)
	})
	return p, nil
}

// keepDescriptors makes sure that a child gets none of our descriptors. Go
// opens all with O_CLOEXEC; those that the agent was itself started with (a
// socket passed in, whatever a shell left open) are not. Linux 5.11 knows the
// flag; an older kernel refuses it, and then only such inherited ones leak.
func keepDescriptors() {
	const firstOfOurs = 3
	_ = unix.CloseRange(firstOfOurs, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC)
}

// drain returns the output once it is complete, or once leftoverWait has passed
// with some other process still holding it open.
func (p *program) drain() string {
	timer := time.NewTimer(leftoverWait)
	defer timer.Stop()
	select {
	case <-p.copied:
	case <-timer.C:
	}
	p.output.Close()
	p.stdin.Close()
	p.copies.Wait()
	return p.tail.String()
}

// end asks the whole process group to go, makes it go after the grace, and
// reports whether the program itself is gone.
func (r *Runner) end(pid int, waited <-chan error) bool {
	_ = syscall.Kill(-pid, syscall.SIGTERM)
	grace := time.NewTimer(r.Grace)
	defer grace.Stop()
	poll := time.NewTicker(groupPoll)
	defer poll.Stop()
	closing := r.closing
	exited := false
	for {
		select {
		case <-waited:
			exited, waited = true, nil
		case <-closing:
			closing = nil
			grace.Reset(min(r.Grace, closeGrace))
		case <-grace.C:
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return exited || reaped(waited)
		case <-poll.C:
		}
		// The program's children have the same right to the grace as it has.
		if exited && errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) {
			return true
		}
	}
}

func reaped(waited <-chan error) bool {
	timer := time.NewTimer(reapWait)
	defer timer.Stop()
	select {
	case <-waited:
		return true
	case <-timer.C:
		return false
	}
}
