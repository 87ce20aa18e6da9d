package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// maxPIDFile is how much of a pid file is read, in bytes: some servers write
// more lines after the number.
const maxPIDFile = 256

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "WINCH": syscall.SIGWINCH,
	"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "QUIT": syscall.SIGQUIT,
}

// signal sends the signal to the process that the pid file names.
func signal(pidFile, name string) error {
	sig, ok := signals[name]
	if !ok {
		return fmt.Errorf("signal %q is not known", name)
	}
	pid, err := target(pidFile)
	if err != nil {
		return err
	}
	switch err := syscall.Kill(pid, sig); {
	case errors.Is(err, syscall.ESRCH):
		return fmt.Errorf("pid file %s is stale: there is no process %d", pidFile, pid)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("sending SIG%s to process %d of %s: user %d may not: %w", name, pid, pidFile, os.Geteuid(), err)
	case err != nil:
		return fmt.Errorf("sending SIG%s to process %d of %s: %w", name, pid, pidFile, err)
	}
	return nil
}

// target returns the process that a signal by way of the pid file is for.
func target(pidFile string) (int, error) {
	pid, err := readPID(pidFile)
	switch {
	case err != nil:
		return 0, err
	case pid == os.Getpid():
		return 0, fmt.Errorf("pid file %s is stale: it names certvigil itself (process %d)", pidFile, pid)
	case pid <= 1:
		return 0, fmt.Errorf("pid file %s names process %d, which gets no signal from a hook", pidFile, pid)
	case zombie(pid):
		return 0, fmt.Errorf("pid file %s is stale: process %d has ended", pidFile, pid)
	}
	return pid, nil
}

// readPID returns the number in the first line of the file.
func readPID(file string) (int, error) {
	// Without O_NONBLOCK, opening a FIFO at that path would wait for a writer.
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, fmt.Errorf("pid file %s is not a regular file", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPIDFile))
	if err != nil {
		return 0, fmt.Errorf("reading the pid file: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	digits := strings.TrimSpace(string(line))
	if digits == "" {
		return 0, fmt.Errorf("pid file %s is empty", file)
	}
	// 31 bits, so that no number turns into a process group (negative) or -1 (everyone).
	pid, err := strconv.ParseUint(digits, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("pid file %s holds no process number", file)
	}
	return int(pid), nil
}

// zombie tells whether the process has ended and only waits for its parent: a
// signal to it succeeds and does nothing.
func zombie(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	// proc(5): "pid (comm) state …", and comm may hold anything, parentheses too.
	after := bytes.TrimSpace(stat[bytes.LastIndexByte(stat, ')')+1:])
	return bytes.HasPrefix(after, []byte("Z"))
}
