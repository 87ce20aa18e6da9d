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

const lockFile = "lock"

// acquire takes the lock. It is the kernel's and dies with the process; what is
// in the file is for whoever looks, and a leftover of it locks nobody out.
func acquire(f Folder) (*os.File, error) {
	file, err := f.Root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return nil, f.failed("open", lockFile, err)
	}
	if err := takeLock(file); err != nil {
		text, _ := readHolder(file) // for the message only
		_ = file.Close()            // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrLocked, text.who())
		}
		return nil, f.failed("flock", lockFile, err)
	}
	_ = label(file, f.Owner) // the lock is held all the same: a full disk has no room for a pid
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

// label writes the pid and the times of the last starts, and lets everybody
// read them. A crash in the middle leaves a text that tells less.
func label(file *os.File, owner *Owner) error {
	before, _ := readHolder(file) // what can't be read is no start that counts
	starts := append([]time.Time{time.Now()}, before.Starts...)
	text := strconv.Itoa(os.Getpid()) + "\n"
	for _, at := range starts[:min(len(starts), keepStarts)] {
		text += at.UTC().Format(time.RFC3339Nano) + "\n"
	}
	_, err := file.WriteAt([]byte(text), 0)
	err = errors.Join(err, file.Truncate(int64(len(text))), file.Chmod(0o644))
	if owner != nil {
		err = errors.Join(err, file.Chown(owner.UID, owner.GID))
	}
	return err
}

// keepStarts is how many of the last starts the lock file tells of.
const keepStarts = 5

// maxLock is what is read of the lock file; it never comes near.
const maxLock = 1 << 10

func readHolder(file *os.File) (Holder, error) {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxLock))
	if err != nil {
		return Holder{}, err
	}
	var h Holder
	lines := strings.Fields(string(text))
	for i, line := range lines {
		if i == 0 {
			h.PID, _ = strconv.Atoi(line) // 0: not known
			continue
		}
		if at, err := time.Parse(time.RFC3339Nano, line); err == nil {
			h.Starts = append(h.Starts, at)
		}
	}
	return h, nil
}
