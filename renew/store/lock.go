package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrLocked is in the error of [Open] while another process has the directory.
var ErrLocked = errors.New("another process has it open for writing")

const (
	lockFile = "lock"
	// lockMode keeps others out: flock(2) asks for no more than a file that can be
	// opened, and whoever holds this one keeps the agent from starting.
	lockMode = 0o600
)

// acquire takes the lock. It is the kernel's and dies with the process; what is
// in the file is for whoever looks, and a leftover of it locks nobody out.
func acquire(f Folder) (*os.File, error) {
	file, err := f.Root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, lockMode)
	if err != nil {
		return nil, f.failed("open", lockFile, err)
	}
	if err := takeLock(file); err != nil {
		holder := whoIs(readPID(file))
		_ = file.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrLocked, holder)
		}
		return nil, f.failed("flock", lockFile, err)
	}
	// The lock is held all the same: a full disk has no room for a pid.
	_ = label(file, f.Owner)
	_ = noteStart(f, time.Now())
	return file, nil
}

// A look at the lock ([Store.Holder]) has it for some microseconds; who starts
// at that moment is not to be turned away.
const (
	lockTries = 10
	lockPause = 10 * time.Millisecond
)

func takeLock(file *os.File) error {
	for try := 1; ; try++ {
		err := flock(file, syscall.LOCK_EX)
		if try == lockTries || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		time.Sleep(lockPause)
	}
}

// flock takes the lock, shared or exclusive, or fails at once.
func flock(file *os.File, how int) error {
	return onFile(file, func(fd int) error { return syscall.Flock(fd, how|syscall.LOCK_NB) })
}

func onFile(file *os.File, do func(fd int) error) error {
	conn, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) { failed = do(int(fd)) })
	return errors.Join(err, failed)
}

// label writes the pid.
func label(file *os.File, owner *Owner) error {
	return rewrite(file, strconv.Itoa(os.Getpid())+"\n", owner)
}

// rewrite replaces a text that is for whoever looks and for nobody to rely on: a
// crash in the middle leaves one that tells less.
func rewrite(file *os.File, text string, owner *Owner) error {
	_, err := file.WriteAt([]byte(text), 0)
	err = errors.Join(err, file.Truncate(int64(len(text))), file.Chmod(lockMode))
	if owner != nil {
		err = errors.Join(err, file.Chown(owner.UID, owner.GID))
	}
	return err
}

func readPID(file *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, 32))
	pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil {
		return 0
	}
	return pid
}
