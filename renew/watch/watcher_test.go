package watch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	testDebounce = 20 * time.Millisecond
	never        = time.Hour              // a rescan that plays no part
	deadline     = 10 * time.Second       // for what must happen
	quiet        = 250 * time.Millisecond // for what must not
)

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

func watcher(t *testing.T, rescan time.Duration, paths ...string) *Watcher {
	t.Helper()
	w := New(discard, testDebounce, rescan)
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	w.Watch(paths)
	return w
}

func mustWake(t *testing.T, w *Watcher, after string) {
	t.Helper()
	select {
	case <-w.C():
	case <-time.After(deadline):
		t.Fatalf("no wake after: %s", after)
	}
}

func mustNotWake(t *testing.T, w *Watcher, after string) {
	t.Helper()
	select {
	case <-w.C():
		t.Fatalf("woken by: %s", after)
	case <-time.After(quiet):
	}
}

// calm takes the wakes of one change, all of them: one that is still to come
// would pass for the next change's.
func calm(t *testing.T, w *Watcher) {
	t.Helper()
	for {
		select {
		case <-w.C():
		case <-time.After(quiet):
			return
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// change is one way in which a watched path comes to show something else.
type change struct {
	name string
	// before makes the path, apply changes it. Both work below dir.
	before, apply func(t *testing.T, dir string)
	path          string
}

func in(dir, name string) string { return filepath.Join(dir, name) }

func file(t *testing.T, dir string) { write(t, in(dir, "f.pem"), "old") }

// version makes versions/n with a file in it.
func version(t *testing.T, dir, n string) {
	must(t, os.MkdirAll(in(dir, "versions/"+n), 0o700))
	write(t, in(dir, "versions/"+n+"/f.pem"), n)
}

func live(t *testing.T, dir string) {
	version(t, dir, "1")
	version(t, dir, "2")
	must(t, os.Mkdir(in(dir, "live"), 0o700), os.Symlink("../versions/1", in(dir, "live/www")))
}

func tls(t *testing.T, dir string) {
	must(t, os.Mkdir(in(dir, "tls"), 0o700))
	write(t, in(dir, "tls/f.pem"), "old")
}

func dataDir(t *testing.T, dir string) {
	must(t, os.Mkdir(in(dir, "..one"), 0o700), os.Mkdir(in(dir, "..two"), 0o700))
	write(t, in(dir, "..one/f.pem"), "one")
	write(t, in(dir, "..two/f.pem"), "two")
	must(t, os.Symlink("..one", in(dir, "..data")), os.Symlink("..data/f.pem", in(dir, "f.pem")))
}

var changes = []change{
	{"truncated and written", file, func(t *testing.T, dir string) { write(t, in(dir, "f.pem"), "new") }, "f.pem"},
	{"written beside and renamed over, as a durable write or sed -i does", file, func(t *testing.T, dir string) {
		write(t, in(dir, ".f.tmp"), "new")
		must(t, os.Rename(in(dir, ".f.tmp"), in(dir, "f.pem")))
	}, "f.pem"},
	{"renamed to a backup and written anew, as vim does", file, func(t *testing.T, dir string) {
		must(t, os.Rename(in(dir, "f.pem"), in(dir, "f.pem~")))
		write(t, in(dir, "f.pem"), "new")
		must(t, os.Remove(in(dir, "f.pem~")))
	}, "f.pem"},
	{"hard-linked to a backup and renamed over, as emacs does", file, func(t *testing.T, dir string) {
		must(t, os.Link(in(dir, "f.pem"), in(dir, "f.pem~")))
		write(t, in(dir, "#f.pem#"), "new")
		must(t, os.Rename(in(dir, "#f.pem#"), in(dir, "f.pem")))
	}, "f.pem"},
	{"appended to", file, func(t *testing.T, dir string) {
		f, err := os.OpenFile(in(dir, "f.pem"), os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString("more")
		must(t, err, f.Close())
	}, "f.pem"},
	{"deleted", file, func(t *testing.T, dir string) { must(t, os.Remove(in(dir, "f.pem"))) }, "f.pem"},
	{"moved away", file, func(t *testing.T, dir string) {
		must(t, os.Rename(in(dir, "f.pem"), in(dir, "elsewhere")))
	}, "f.pem"},
	{"made unreadable", file, func(t *testing.T, dir string) { must(t, os.Chmod(in(dir, "f.pem"), 0)) }, "f.pem"},
	{"created", func(*testing.T, string) {}, file, "f.pem"},
	{"created with its directories", func(*testing.T, string) {}, func(t *testing.T, dir string) {
		must(t, os.MkdirAll(in(dir, "a/b/c"), 0o700))
		write(t, in(dir, "a/b/c/f.pem"), "new")
	}, "a/b/c/f.pem"},
	{"replaced by a symlink", file, func(t *testing.T, dir string) {
		write(t, in(dir, "other"), "new")
		must(t, os.Symlink("other", in(dir, "link")), os.Rename(in(dir, "link"), in(dir, "f.pem")))
	}, "f.pem"},
	{"live symlink flipped by a rename", live, func(t *testing.T, dir string) {
		must(t, os.Symlink("../versions/2", in(dir, "live/.www")), os.Rename(in(dir, "live/.www"), in(dir, "live/www")))
	}, "live/www"},
	{"live symlink deleted and made anew", live, func(t *testing.T, dir string) {
		must(t, os.Remove(in(dir, "live/www")), os.Symlink("../versions/2", in(dir, "live/www")))
	}, "live/www"},
	{"live symlink flipped, with a file behind it watched", live, func(t *testing.T, dir string) {
		must(t, os.Symlink("../versions/2", in(dir, "live/.www")), os.Rename(in(dir, "live/.www"), in(dir, "live/www")))
	}, "live/www/f.pem"},
	{"file truncated behind the live symlink", live, func(t *testing.T, dir string) {
		must(t, os.Truncate(in(dir, "versions/1/f.pem"), 0))
	}, "live/www"},
	{"key deleted behind the live symlink", live, func(t *testing.T, dir string) {
		must(t, os.Remove(in(dir, "versions/1/f.pem")))
	}, "live/www/f.pem"},
	{"..data flipped, as Kubernetes does", dataDir, func(t *testing.T, dir string) {
		must(t, os.Symlink("..two", in(dir, "..tmp")), os.Rename(in(dir, "..tmp"), in(dir, "..data")), os.RemoveAll(in(dir, "..one")))
	}, "f.pem"},
	{"directory exchanged by renames", tls, func(t *testing.T, dir string) {
		must(t, os.Mkdir(in(dir, "tls.new"), 0o700))
		write(t, in(dir, "tls.new/f.pem"), "new")
		must(t, os.Rename(in(dir, "tls"), in(dir, "tls.old")), os.Rename(in(dir, "tls.new"), in(dir, "tls")))
	}, "tls/f.pem"},
	{"directory deleted and made anew", tls, func(t *testing.T, dir string) {
		must(t, os.RemoveAll(in(dir, "tls")))
		tls(t, dir)
	}, "tls/f.pem"},
	{"directory renamed away", tls, func(t *testing.T, dir string) {
		must(t, os.Rename(in(dir, "tls"), in(dir, "gone")))
	}, "tls/f.pem"},
	{"file added to a watched directory", tls, func(t *testing.T, dir string) { write(t, in(dir, "tls/20.hcl"), "new") }, "tls"},
	{"file written in a watched directory", tls, func(t *testing.T, dir string) { write(t, in(dir, "tls/f.pem"), "new") }, "tls"},
}

func TestEveryWayOfReplacingAFileWakes(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.before(t, dir)
			w := watcher(t, never, in(dir, c.path))
			if err := w.Degraded(); err != nil {
				t.Fatalf("inotify is not in use: %v", err)
			}
			c.apply(t, dir)
			mustWake(t, w, c.name)
			calm(t, w)

			// What stands there now is watched as what stood there before.
			at := in(dir, c.path)
			if info, err := os.Stat(at); err == nil && info.IsDir() {
				at = in(at, "f.pem")
			}
			must(t, os.MkdirAll(filepath.Dir(at), 0o700))
			write(t, at, "newer still")
			mustWake(t, w, c.name+", and a second change")
			if err := w.Degraded(); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func TestEveryWayOfReplacingAFileIsFoundByTheRescanAlone(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.before(t, dir)
			w := start(&Watcher{
				log: discard, debounce: testDebounce, rescan: 10 * time.Millisecond,
				open: func() (*fsnotify.Watcher, error) { return nil, syscall.EMFILE },
			})
			defer w.Close()
			w.Watch([]string{in(dir, c.path)})
			if err := w.Degraded(); !errors.Is(err, syscall.EMFILE) {
				t.Fatalf("Degraded() = %v, want EMFILE", err)
			}
			c.apply(t, dir)
			mustWake(t, w, c.name)
		})
	}
}

func TestOtherFilesInABusyDirectoryDoNotWake(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	w := watcher(t, never, in(dir, "f.pem"))
	for i := range 200 {
		write(t, in(dir, fmt.Sprintf("access.log.%d", i)), "a request")
	}
	mustNotWake(t, w, "other files")
	write(t, in(dir, "f.pem"), "new")
	mustWake(t, w, "the watched file")
}

func TestAnUnchangedSetDoesNotWakeByTheRescan(t *testing.T) {
	dir := t.TempDir()
	live(t, dir)
	w := watcher(t, 5*time.Millisecond, in(dir, "live/www"), in(dir, "missing"), in(dir, "versions"))
	mustNotWake(t, w, "nothing at all")
}

func TestABurstIsOneWake(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	w := New(discard, 200*time.Millisecond, never)
	defer w.Close()
	w.Watch([]string{in(dir, "f.pem")})
	for range 20 {
		write(t, in(dir, "f.pem"), "new")
	}
	mustWake(t, w, "a burst")
	select {
	case <-w.C():
		t.Fatal("a second wake for one burst")
	case <-time.After(600 * time.Millisecond):
	}
}

func TestAStreamWithoutAPauseWakesAllTheSame(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	w := New(discard, 300*time.Millisecond, never) // no pause of the stream is as long as that
	defer w.Close()
	w.Watch([]string{in(dir, "f.pem")})
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = os.WriteFile(in(dir, "f.pem"), []byte("again"), 0o600)
			<-tick.C
		}
	}()
	mustWake(t, w, "a stream of changes")
	cancel()
	<-stopped
}

func TestASecondSetReplacesTheFirst(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	tls(t, dir)
	w := watcher(t, never, in(dir, "f.pem"))
	w.Watch([]string{in(dir, "tls/f.pem")})
	write(t, in(dir, "f.pem"), "new")
	mustNotWake(t, w, "a file of the first set")
	write(t, in(dir, "tls/f.pem"), "new")
	mustWake(t, w, "a file of the second set")
	w.Watch(nil)
	if len(w.spots) != 0 || len(w.dirs) != 0 || len(w.notes.WatchList()) != 0 {
		t.Errorf("left over after an empty set: %v, %v, %v", w.spots, w.dirs, w.notes.WatchList())
	}
}

func TestEachDirectoryHasOneWatch(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for i := range 50 {
		paths = append(paths, in(dir, fmt.Sprintf("%d.pem", i)))
		write(t, paths[i], "x")
	}
	w := watcher(t, never, paths...)
	if list := w.notes.WatchList(); len(list) != 1 {
		t.Errorf("watches = %v, want one", list)
	}
}

func TestWatchesThatRunOutAreReportedAndTheRescanDelivers(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	w := start(&Watcher{
		log: discard, debounce: testDebounce, rescan: 10 * time.Millisecond, open: fsnotify.NewWatcher,
		add: func(*fsnotify.Watcher, string) error { return syscall.ENOSPC },
	})
	defer w.Close()
	w.Watch([]string{in(dir, "f.pem")})
	err := w.Degraded()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "max_user_watches") || !strings.Contains(err.Error(), dir) {
		t.Errorf("Degraded() = %v, want the directory and what ran out", err)
	}
	write(t, in(dir, "f.pem"), "new")
	mustWake(t, w, "a change without inotify")
}

func TestInotifyIsTakenUpAgainWhenItComesBack(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	tries := 0
	w := start(&Watcher{
		log: discard, debounce: testDebounce, rescan: 10 * time.Millisecond, add: (*fsnotify.Watcher).Add,
		open: func() (*fsnotify.Watcher, error) {
			if tries++; tries < 3 {
				return nil, syscall.EMFILE
			}
			return fsnotify.NewWatcher()
		},
	})
	defer w.Close()
	w.Watch([]string{in(dir, "f.pem")})
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); w.Degraded() != nil; <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still degraded: %v", w.Degraded())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if list := w.notes.WatchList(); len(list) != 1 {
		t.Errorf("watches = %v, want one", list)
	}
}

func TestAQueueThatRanOverArmsEverythingAnewAndWakes(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	var works atomic.Bool // until then a watch is set only in name, as one that was lost
	w := start(&Watcher{
		log: discard, debounce: testDebounce, rescan: never, open: fsnotify.NewWatcher,
		add: func(notes *fsnotify.Watcher, dir string) error {
			if works.Load() {
				return notes.Add(dir)
			}
			return nil
		},
	})
	defer w.Close()
	w.Watch([]string{in(dir, "f.pem")})
	works.Store(true)
	w.notes.Errors <- fsnotify.ErrEventOverflow
	mustWake(t, w, "an overflow")
	write(t, in(dir, "f.pem"), "new")
	mustWake(t, w, "a change after it")
}

func TestWhatAnEventHasToldIsNoNewsToTheRescan(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	w := watcher(t, never, in(dir, "f.pem"))
	write(t, in(dir, "f.pem"), "new")
	mustWake(t, w, "a change")
	calm(t, w)
	if w.rescanned() {
		t.Error("the rescan takes a change for new that has woken already")
	}
}

func TestADirectoryFurtherUpThatIsExchangedIsFoundByTheRescan(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(in(dir, "a/b"), 0o700), os.MkdirAll(in(dir, "x/b"), 0o700))
	write(t, in(dir, "a/b/f.pem"), "old")
	write(t, in(dir, "x/b/f.pem"), "new")
	w := watcher(t, 10*time.Millisecond, in(dir, "a/b/f.pem"))
	must(t, os.Rename(in(dir, "a"), in(dir, "gone")), os.Rename(in(dir, "x"), in(dir, "a")))
	mustWake(t, w, "an exchange two directories up")
	calm(t, w)

	w.mu.Lock()
	defer w.mu.Unlock()
	if got, want := w.dirs[in(dir, "a/b")].inode, inode(in(dir, "a/b")); got != want {
		t.Errorf("inode %d is watched, the directory now has %d", got, want)
	}
}

func TestSymlinkLoopsEnd(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink("b", in(dir, "a")), os.Symlink("a", in(dir, "b")))
	w := watcher(t, never, in(dir, "a/f.pem"))
	must(t, os.Remove(in(dir, "b")), os.Mkdir(in(dir, "b"), 0o700))
	mustWake(t, w, "a loop that was resolved")
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	file(t, dir)
	w := New(discard, testDebounce, 10*time.Millisecond)
	w.Watch([]string{in(dir, "f.pem")})
	write(t, in(dir, "f.pem"), "new")
	mustWake(t, w, "a change")
	must(t, w.Close(), w.Close())

	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); ; <-tick.C {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "watch.(*Watcher).loop") && !strings.Contains(string(stacks), "fsnotify.(*inotify).readEvents") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("goroutines are left:\n%s", stacks)
		}
	}
}
