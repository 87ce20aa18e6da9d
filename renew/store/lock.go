package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ErrLocked is in the error of [Open] while another process has the directory.
var ErrLocked = errors.New("another process has it open for writing")

// acquire takes the lock. It is the kernel's and dies with the process; what is
// in the file is for the message only, and a leftover of it locks nobody out.
func acquire(f Folder) (*os.File, error) {
	file, err := f.Root.OpenFile("lock", os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, f.failed("open", "lock", err)
	}
	if err := flock(file); err != nil {
		holder := readPID(file)
		_ = file.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrLocked, holder)
		}
		return nil, f.failed("flock", "lock", err)
	}
	_ = label(file, f.Owner) // the lock is held all the same: a full disk has no room for a pid
	return file, nil
}

// label writes the pid, and lets everybody read it.
func label(file *os.File, owner *Owner) error {
	err := errors.Join(file.Truncate(0), writePID(file), file.Chmod(0o644))
	if owner != nil {
		err = errors.Join(err, file.Chown(owner.UID, owner.GID))
	}
	return err
}

func flock(file *os.File) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var locked error
	err = conn.Control(func(fd uintptr) { locked = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB) })
	return errors.Join(err, locked)
}

func writePID(file *os.File) error {
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(file *os.File) string {
	text, err := io.ReadAll(io.LimitReader(file, 32))
	pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil {
		return "its process id is not known"
	}
	return "process " + strconv.Itoa(pid)
}
