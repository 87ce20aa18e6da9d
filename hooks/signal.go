package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxPIDFile is how much of a pid file is read, in bytes: some servers write
// more lines after the number, as PostgreSQL does in postmaster.pid.
const maxPIDFile = 256

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH,
	"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "QUIT": syscall.SIGQUIT,
}

// signal sends the signal to the process that the pid file names.
func signal(how Reload) error {
	sig, ok := signals[how.Signal]
	if !ok {
		return fmt.Errorf("signal %q is not known", how.Signal)
	}
	p, err := target(how)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	return send(p, how, sig)
}

// target returns the process that a signal by way of the pid file is for. The
// process is held by a pidfd where the kernel has them (Linux 5.3): one that
// ends from here on takes its number with it, so that what is looked at is what
// gets the signal.
func target(how Reload) (*os.Process, error) {
	pid, file, err := readPID(how.PIDFile)
	switch {
	case err != nil:
		return nil, err
	case pid == os.Getpid():
		return nil, fmt.Errorf("pid file %s is stale: it names certvigil itself (process %d)", how.PIDFile, pid)
	case pid <= 1:
		return nil, fmt.Errorf("pid file %s names process %d, which gets no signal from a hook", how.PIDFile, pid)
	}
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil, fmt.Errorf("looking for process %d of pid file %s: %w", pid, how.PIDFile, err)
	}
	// Signal 0 asks whether a signal could be sent (kill(2)).
	if err = send(p, how, syscall.Signal(0)); err == nil {
		err = suits(how, pid, file)
	}
	if err != nil {
		_ = p.Release()
		return nil, err
	}
	return p, nil
}

func send(p *os.Process, how Reload, sig syscall.Signal) error {
	switch err := p.Signal(sig); {
	case errors.Is(err, os.ErrProcessDone), errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("pid file %s is stale: there is no process %d", how.PIDFile, p.Pid)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("sending SIG%s to process %d of pid file %s: user %d may not: %w", how.Signal, p.Pid, how.PIDFile, os.Geteuid(), err)
	case err != nil:
		return fmt.Errorf("sending SIG%s to process %d of pid file %s: %w", how.Signal, p.Pid, how.PIDFile, err)
	}
	return nil
}

// youngerBy is how much later than its pid file a process may have begun: a
// server writes the file after its start, but clocks are set.
const youngerBy = time.Minute

// suits tells why the process is not the server that wrote the pid file, or why
// nobody can tell.
func suits(how Reload, pid int, file pidFile) error {
	proc, err := readProcess(pid)
	if err != nil {
		return fmt.Errorf("looking at process %d of pid file %s: %w", pid, how.PIDFile, err)
	}
	for _, owner := range file.owners {
		if owner != 0 && owner != os.Geteuid() && owner != proc.uid {
			return fmt.Errorf("pid file %s belongs to user %d, who is neither root nor the user of process %d that it names: "+
				"who may write it must not choose who gets a signal; chown it to root", how.PIDFile, owner, pid)
		}
	}
	began := proc.began()
	switch {
	case file.anybodys:
		return fmt.Errorf("anybody may write to pid file %s, and so choose who gets a signal: chmod o-w it", how.PIDFile)
	case proc.zombie:
		return fmt.Errorf("pid file %s is stale: process %d has ended", how.PIDFile, pid)
	case how.Process != "" && !proc.is(how.Process):
		return fmt.Errorf("pid file %s is stale: process %d is %s, not %s", how.PIDFile, pid, proc, how.Process)
	case how.Process == "" && began.After(file.written.Add(youngerBy)):
		return fmt.Errorf("pid file %s is stale: it was written %s, and process %d (%s) began %s, after its number had become free; "+
			"if it is the server all the same (the clock was set), write process = %q beside pid_file",
			how.PIDFile, file.written.Format(time.DateTime), pid, proc, began.Format(time.DateTime), proc.comm)
	}
	return nil
}

// pidFile is what a pid file shows beside the number.
type pidFile struct {
	written  time.Time
	owners   []int // of the file, and of the symbolic link that it is reached by
	anybodys bool  // everybody may write to it
}

// readPID returns the number in the first line of the file.
func readPID(file string) (int, pidFile, error) {
	// Without O_NONBLOCK, opening a FIFO at that path would wait for a writer.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, pidFile{}, fmt.Errorf("reading the pid file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, pidFile{}, fmt.Errorf("reading the pid file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, pidFile{}, fmt.Errorf("pid file %s is not a regular file", file)
	}
	shown := pidFile{written: info.ModTime(), owners: []int{ownerOf(info)}, anybodys: info.Mode()&0o002 != 0}
	if link, err := os.Lstat(file); err == nil {
		shown.owners = append(shown.owners, ownerOf(link))
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPIDFile))
	if err != nil {
		return 0, shown, fmt.Errorf("reading the pid file: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	digits := strings.TrimSpace(string(line))
	if digits == "" {
		return 0, shown, fmt.Errorf("pid file %s is empty", file)
	}
	// 31 bits, so that no number turns into a process group (negative) or -1 (everyone).
	pid, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0, shown, fmt.Errorf("pid file %s holds no process number", file)
	}
	return int(pid), shown, nil
}

func ownerOf(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1 // nobody's: it is refused
}
