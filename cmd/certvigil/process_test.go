package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// process is one run of the agent.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it was waited for
}

// start starts `certvigil run`; change may alter the command first.
func (h *host) start(change ...func(*exec.Cmd)) {
	h.t.Helper()
	argv := append([]string{"run", "--config", h.config, "--log-format", "json"}, h.flags...)
	cmd := exec.Command("certvigil", argv...)
	cmd.Stderr = h.log
	cmd.Env = append(os.Environ(), h.env...)
	// The agent goes with the test, however that ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	for _, c := range change {
		c(cmd)
	}
	h.at = h.log.End()
	p := &process{cmd, make(chan struct{})}
	started := make(chan error)
	go func() {
		// Pdeathsig comes when the thread ends that started it (prctl(2)).
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in ProcessState
			close(p.ended)
		}
	}()
	must(h.t, <-started)
	h.run = p
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// kill ends it as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have gone by itself
	<-p.ended
}

// code is its exit code once it has ended; -1 where a signal ended it.
func (p *process) code() int {
	<-p.ended
	return p.cmd.ProcessState.ExitCode()
}

// stop asks the agent to end, and returns how long that took and its exit code.
func (h *host) stop() (took time.Duration, code int) {
	h.t.Helper()
	began := time.Now()
	must(h.t, h.run.cmd.Process.Signal(syscall.SIGTERM))
	h.gone()
	return time.Since(began), h.run.code()
}

// gone waits until the agent has ended by itself.
func (h *host) gone() {
	h.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-h.run.ended:
	case <-late.C:
		h.t.Fatalf("the agent still runs after %s", patience)
	}
}

func (h *host) hangUp() {
	h.t.Helper()
	must(h.t, h.run.cmd.Process.Signal(syscall.SIGHUP))
}

// await returns the next line of the log with that message; of the certificate,
// where cert is not empty.
func (h *host) await(msg, cert string) stage.Event {
	h.t.Helper()
	return h.awaitEvent(msg, stage.Message(msg, cert))
}

func (h *host) awaitEvent(what string, match func(stage.Event) bool) stage.Event {
	h.t.Helper()
	ctx, cancel := context.WithTimeoutCause(h.t.Context(), patience, fmt.Errorf("not within %s", patience))
	defer cancel()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	p := h.run
	go func() {
		select {
		case <-p.ended:
			cut(fmt.Errorf("the agent ended: exit code %d", p.code()))
		case <-ctx.Done():
		}
	}()
	e, next, err := h.log.Await(ctx, h.at, match)
	if err != nil {
		h.t.Fatalf("waiting for the log to say %q: %v", what, err)
	}
	h.at = next
	return e
}

// logged counts the lines of the log with that message, of all runs.
func (h *host) logged(msg, cert string) int {
	events, _, _ := h.log.Since(0)
	n := 0
	for _, e := range events {
		if stage.Message(msg, cert)(e) {
			n++
		}
	}
	return n
}

// answer is what a subcommand said.
type answer struct {
	code        int
	stdout, all string
}

// ask runs another subcommand with the host's configuration.
func (h *host) ask(argv ...string) answer {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "certvigil", append(argv, "--config", h.config)...)
	var stdout, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &all
	cmd.Env = append(os.Environ(), h.env...)
	err := cmd.Run()
	if cmd.ProcessState == nil || !cmd.ProcessState.Exited() {
		h.t.Fatalf("certvigil %v: %v", argv, err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stdout.String() + all.String()}
}
