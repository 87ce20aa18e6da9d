package stage

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// process is a child that was started here and is ended here, by its id.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it was waited for
	err   error         // what Wait returned; read it after ended is closed
}

// launch starts cmd in a process group of its own, so that ctrl-C on a terminal
// reaches its owner alone, which then ends it in order. Where the owner dies
// without doing so, the kernel sends death.
func launch(cmd *exec.Cmd, death syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Pdeathsig = true, death
	cmd.WaitDelay = time.Second // a grandchild that holds its output doesn't hold us
	p := &process{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the starting thread ends, not the process
		// (prctl(2)): this goroutine keeps the thread for as long as the child
		// lives.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) error {
	if !p.running() {
		return fmt.Errorf("signalling %s: it has ended: %w", p.cmd.Path, p.outcome())
	}
	return p.cmd.Process.Signal(s)
}

// end sends s, waits for the process to go, and kills it where it does not go
// within the grace; that is an error.
func (p *process) end(s syscall.Signal, grace time.Duration) error {
	if !p.running() {
		return nil
	}
	if err := p.cmd.Process.Signal(s); err != nil && p.running() {
		return fmt.Errorf("ending %s: %w", p.cmd.Path, err)
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case <-p.ended:
		return nil
	case <-late.C:
	}
	_ = p.cmd.Process.Kill()
	<-p.ended
	return fmt.Errorf("ending %s: still there %s after %s; killed", p.cmd.Path, grace, s)
}

// up waits until ready says nil, and returns what it said last where ctx ends or
// the process does before.
func (p *process) up(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-p.ended:
			return p.outcome()
		case <-tick.C:
		}
	}
}

// outcome returns how the process ended, an error even where it returned 0.
func (p *process) outcome() error {
	<-p.ended
	if p.err != nil {
		return p.err
	}
	return errors.New("exit status 0")
}
