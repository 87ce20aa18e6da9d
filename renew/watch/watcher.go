package watch

import (
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// What New takes for zero.
const (
	defaultDebounce = 200 * time.Millisecond
	defaultRescan   = 5 * time.Minute
)

// stream is how many debounce times a stream of events that never pauses is
// held back at most.
const stream = 10

// Watcher watches one set of paths until Close.
type Watcher struct {
	log      *slog.Logger
	debounce time.Duration
	rescan   time.Duration
	changed  chan struct{} // capacity 1: a wake that nobody has taken yet stands for all after it
	closing  chan struct{}
	closed   sync.Once
	done     chan struct{} // the loop has ended
	seed     maphash.Seed

	// Seams: what inotify can refuse.
	open func() (*fsnotify.Watcher, error)
	add  func(*fsnotify.Watcher, string) error

	mu    sync.Mutex // guards what follows
	notes *fsnotify.Watcher
	paths map[string]*path
	spots map[spot][]*path
	dirs  map[string]*armed
	dirty map[*path]bool // to be looked at and routed anew before the next wake
	all   bool           // all are dirty, and inotify is to be armed anew
	fault error          // why inotify as a whole is not in use
	told  string         // of Degraded in the log
}

// path is one of the set.
type path struct {
	name  string
	spots []spot
	seen  uint64 // the last look
}

// armed is a directory that has, or should have, an inotify watch.
type armed struct {
	uses  int    // by the spots of paths
	inode uint64 // that it had then
	fault error  // why it has none
}

// New returns a Watcher of nothing yet. A change is reported once nothing more
// has happened for debounce, and after ten times that at the latest; rescan is
// how long a change that inotify did not report can go unnoticed. Zero means
// 200 ms and 5 min.
func New(log *slog.Logger, debounce, rescan time.Duration) *Watcher {
	return start(&Watcher{
		log: log, debounce: debounce, rescan: rescan,
		open: fsnotify.NewWatcher, add: (*fsnotify.Watcher).Add,
	})
}

func start(w *Watcher) *Watcher {
	if w.debounce <= 0 {
		w.debounce = defaultDebounce
	}
	if w.rescan <= 0 {
		w.rescan = defaultRescan
	}
	w.changed, w.closing, w.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	w.seed = maphash.MakeSeed()
	w.paths, w.spots = make(map[string]*path), make(map[spot][]*path)
	w.dirs, w.dirty = make(map[string]*armed), make(map[*path]bool)
	w.mu.Lock()
	w.reopen()
	w.report()
	w.mu.Unlock()
	go w.loop()
	return w
}

// C delivers when something may have changed. It carries no data, is never
// closed, and holds at most one wake.
func (w *Watcher) C() <-chan struct{} { return w.changed }

// Watch makes paths the whole set. A path need not exist; one that is a
// directory stands for all directly in it. From its return on every change
// wakes, so a reader calls it first and looks at the files then.
func (w *Watcher) Watch(paths []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wanted := make(map[string]bool, len(paths))
	for _, name := range paths {
		if abs, err := filepath.Abs(name); err == nil {
			name = abs
		}
		wanted[filepath.Clean(name)] = true
	}
	for name, p := range w.paths {
		if !wanted[name] {
			delete(w.paths, name)
			delete(w.dirty, p)
			w.reroute(p, nil)
		}
	}
	for name := range wanted {
		if w.paths[name] != nil {
			continue // its last look stays: a change since then is not forgotten
		}
		p := &path{name: name}
		w.paths[name] = p
		w.settle(p)
		p.seen = look(w.seed, name)
	}
	w.report()
}

// Degraded tells why inotify is not in use, or not for some directory; nil when
// it is. Changes are then noticed by the rescan alone.
func (w *Watcher) Degraded() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.degraded()
}

func (w *Watcher) degraded() error {
	if w.fault != nil {
		return fmt.Errorf("starting inotify: %w", w.fault)
	}
	count, first := 0, ""
	var fault error
	for dir, a := range w.dirs {
		if a.fault != nil {
			count++
			if first == "" || dir < first {
				first, fault = dir, a.fault
			}
		}
	}
	switch count {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("watching %s: %w", first, fault)
	default:
		return fmt.Errorf("watching %s and %d more directories: %w", first, count-1, fault)
	}
}

// Close ends the Watcher and all that it started. Nothing wakes from then on.
func (w *Watcher) Close() error {
	w.closed.Do(func() { close(w.closing) })
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notes == nil {
		return nil
	}
	notes := w.notes
	w.notes = nil
	if err := notes.Close(); err != nil && !errors.Is(err, fsnotify.ErrClosed) {
		return fmt.Errorf("closing inotify: %w", err)
	}
	return nil
}
