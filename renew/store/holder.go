package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Holder is what the lock tells of the process that may write.
type Holder struct {
	Held   bool        // false: nobody has it, and the rest is about who had it last
	PID    int         // 0 where it is not known
	Starts []time.Time // when it took the lock, and those before it; the newest first, at most five
	Sign   time.Time   // its last sign of life: its start, or the last [Store.Beat]
}

func whoIs(pid int) string {
	if pid <= 0 {
		return "its process id is not known"
	}
	return "process " + strconv.Itoa(pid)
}

const (
	startsFile = "starts"
	keepStarts = 5       // how many of the last ones are noted down
	maxStarts  = 1 << 10 // bytes; five lines never come near
)

// noteStart puts the time before those of the starts before. Only who holds the
// lock writes it.
func noteStart(f Folder, now time.Time) error {
	file, err := f.Root.OpenFile(startsFile, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, lockMode)
	if err != nil {
		return f.failed("open", startsFile, err)
	}
	starts := append([]time.Time{now}, readStarts(file)...)
	text := ""
	for _, at := range starts[:min(len(starts), keepStarts)] {
		text += at.UTC().Format(time.RFC3339Nano) + "\n"
	}
	return errors.Join(rewrite(file, text, f.Owner), file.Close())
}

// readStarts leaves out what is no time: that is no start which counts.
func readStarts(file *os.File) []time.Time {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, maxStarts))
	if err != nil {
		return nil
	}
	var starts []time.Time
	for line := range strings.Lines(string(text)) {
		if at, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(line)); err == nil {
			starts = append(starts, at)
		}
	}
	return starts
}

// Holder looks at the lock without keeping anybody from it: one that starts
// meanwhile tries again. A directory without a lock file is held by nobody.
func (s *Store) Holder() (Holder, error) {
	file, err := s.folder.Root.OpenFile(lockFile, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return Holder{}, nil
	}
	if err != nil {
		return Holder{}, s.folder.failed("open", lockFile, err)
	}
	defer file.Close() // lets go of the lock, where this took it
	h := Holder{PID: readPID(file)}
	if starts, err := s.folder.Root.OpenFile(startsFile, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0); err == nil {
		h.Starts = readStarts(starts)
		_ = starts.Close() // nothing was written
	}
	st, err := file.Stat()
	if err != nil {
		return Holder{}, s.folder.failed("stat", lockFile, err)
	}
	h.Sign = st.ModTime()
	// Shared, so that two who look don't see each other.
	err = flock(file, syscall.LOCK_SH)
	if h.Held = errors.Is(err, syscall.EWOULDBLOCK); h.Held {
		err = nil
	}
	return h, s.folder.failed("flock", lockFile, err)
}

// BeatEvery is how often [Store.Beat] leaves a sign.
const BeatEvery = 10 * time.Minute

// Beat leaves a sign of life where the last is older than [BeatEvery]: the date
// of the lock file, and nothing else. An agent whose certificates want nothing
// for weeks writes nothing else either.
func (s *Store) Beat(now time.Time) error {
	if s.lock == nil {
		return ErrReadOnly
	}
	s.mu.Lock()
	due := now.Sub(s.beat).Abs() >= BeatEvery
	if due {
		s.beat = now
	}
	s.mu.Unlock()
	if !due {
		return nil
	}
	stamp := syscall.NsecToTimeval(now.UnixNano())
	err := onFile(s.lock, func(fd int) error { return syscall.Futimes(fd, []syscall.Timeval{stamp, stamp}) })
	return s.folder.failed("futimes", lockFile, err)
}
