package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// agentStop is how long a SIGTERM may take; the agent promises five seconds.
const agentStop = 10 * time.Second

// Exit codes of the command line.
const (
	CodeOK        = 0
	CodeAttention = 1
	CodeCritical  = 2
	CodeUnknown   = 3
)

// Agent is the real agent binary with one configuration, through all of its
// restarts. Start, Kill and Stop are not for concurrent use.
type Agent struct {
	Binary string
	Config string   // the configuration file
	Socket string   // its control socket
	Flags  []string // more flags of the run command
	Log    *Log     // what it wrote

	child *process
}

// Start starts `certvigil run`. What becomes of it is seen in the Log.
func (a *Agent) Start() error {
	if a.Running() {
		return errors.New("starting the agent: it runs already")
	}
	argv := append([]string{"run", "--config", a.Config, "--socket", a.Socket, "--log-format", "json"}, a.Flags...)
	cmd := exec.Command(a.Binary, argv...)
	cmd.Stderr = a.Log
	child, err := launch(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	a.child = child
	return nil
}

// Running tells whether the process is there.
func (a *Agent) Running() bool { return a.child != nil && a.child.running() }

// PID is the id of the process; 0 when it is not running.
func (a *Agent) PID() int {
	if !a.Running() {
		return 0
	}
	return a.child.pid()
}

// Kill ends the agent as a crash would, at whatever it is doing.
func (a *Agent) Kill() error { return a.end(syscall.SIGKILL) }

// Stop asks the agent to end and waits until it has; an error where it had to be
// killed in the end.
func (a *Agent) Stop() error { return a.end(syscall.SIGTERM) }

func (a *Agent) end(s syscall.Signal) error {
	if a.child == nil {
		return nil
	}
	return a.child.end(s, agentStop)
}

// Reload makes the agent read its configuration again.
func (a *Agent) Reload() error {
	if a.child == nil {
		return errors.New("reloading the agent: it was not started")
	}
	return a.child.signal(syscall.SIGHUP)
}

// Await returns the first line of the log from position from on that matches,
// and the position after it. It fails as soon as the agent has ended.
func (a *Agent) Await(ctx context.Context, from int, match func(Event) bool) (Event, int, error) {
	if a.child == nil {
		return Event{}, from, errors.New("waiting for the agent: it was not started")
	}
	child := a.child
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-ctx.Done():
		case <-child.ended:
			cancel(fmt.Errorf("the agent ended: %w: %s", child.outcome(), a.lastWords(5)))
		}
	}()
	return a.Log.Await(ctx, from, match)
}

func (a *Agent) lastWords(n int) string {
	events, _, _ := a.Log.Since(a.Log.End() - n)
	var words []byte
	for _, e := range events {
		words = append(words, '\n')
		words = append(words, e.Line...)
	}
	return string(words)
}

// Result is what a subcommand said.
type Result struct {
	Code   int
	Stdout []byte
	Stderr []byte
}

// Command runs another subcommand of the same binary against the same
// configuration and socket. An exit code other than 0 is no error: it is the
// answer.
func (a *Agent) Command(ctx context.Context, argv ...string) (Result, error) {
	cmd := exec.CommandContext(ctx, a.Binary, append(argv, "--config", a.Config, "--socket", a.Socket)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil { // killed half-way: its code is no answer
		return Result{}, fmt.Errorf("running certvigil %v: %w", argv, context.Cause(ctx))
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, fmt.Errorf("running certvigil %v: %w", argv, err)
	}
	return Result{Code: cmd.ProcessState.ExitCode(), Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, nil
}

// Status asks the running agent how it is: `certvigil status --json`.
func (a *Agent) Status(ctx context.Context) (Status, error) {
	r, err := a.Command(ctx, "status", "--json")
	if err != nil {
		return Status{}, err
	}
	s := Status{Code: r.Code}
	if err := json.Unmarshal(r.Stdout, &s); err != nil {
		return s, fmt.Errorf("reading the status (exit code %d): %w: %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	return s, nil
}
