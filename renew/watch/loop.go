package watch

import (
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// loop turns events, and what the rescan finds, into wakes.
func (w *Watcher) loop() {
	defer close(w.done)
	rescan := time.NewTicker(w.rescan)
	defer rescan.Stop()
	settled := time.NewTimer(time.Hour)
	settled.Stop()
	defer settled.Stop()
	var first time.Time // of the events that no wake stands for yet; zero: none
	for {
		events, faults := w.channels()
		concerned := false
		select {
		case <-w.closing:
			return
		case ev, ok := <-events:
			concerned = w.event(ev, ok)
		case _, ok := <-faults:
			// The queue ran over (inotify(7), IN_Q_OVERFLOW), or the client
			// could not keep up otherwise: anything may have been lost.
			concerned = w.lost(ok)
		case <-settled.C:
			first = time.Time{}
			w.flush()
			w.wake()
		case <-rescan.C:
			if w.rescanned() {
				w.wake()
			}
		}
		if concerned {
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			// A stream of events without a pause must not keep the wake back.
			settled.Reset(min(w.debounce, first.Add(stream*w.debounce).Sub(now)))
		}
	}
}

func (w *Watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default: // one is waiting to be taken, and stands for this too
	}
}

// channels returns those of inotify, or nil ones while there is none.
func (w *Watcher) channels() (<-chan fsnotify.Event, <-chan error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notes == nil {
		return nil, nil
	}
	return w.notes.Events, w.notes.Errors
}

// event marks the paths that an event concerns, and reports whether there are any.
func (w *Watcher) event(ev fsnotify.Event, ok bool) (concerned bool) {
	if !ok {
		return w.lost(false)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	full := filepath.Clean(ev.Name) // below "/" it has two slashes
	for _, s := range []spot{{filepath.Dir(full), filepath.Base(full)}, {filepath.Dir(full), ""}, {full, ""}} {
		concerned = w.mark(w.spots[s]) || concerned
	}
	if a := w.dirs[full]; a != nil {
		// A watched directory itself was moved, deleted or changed. All that
		// lies in it is concerned, and its watch may have gone with it.
		for s, paths := range w.spots {
			if s.dir == full {
				concerned = w.mark(paths) || concerned
			}
		}
		w.replace(full, a)
	}
	return concerned
}

// mark reports whether there was anything to mark.
func (w *Watcher) mark(paths []*path) bool {
	for _, p := range paths {
		w.dirty[p] = true
	}
	return len(paths) > 0
}

// lost marks everything. open tells whether inotify is still there.
func (w *Watcher) lost(open bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !open {
		w.notes = nil // its channels are closed; rearm tries again
	}
	w.all = true
	return true
}

// flush looks at what is marked and watches where it leads now. It does so
// before the wake: what changes during it is either seen by the reader, or is
// an event of its own.
func (w *Watcher) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all {
		w.sweep()
		w.report()
	}
	for p := range w.dirty {
		w.settle(p)
		p.seen = look(w.seed, p.name)
	}
	clear(w.dirty)
}

// rescanned is the contract: it looks at every path, whatever inotify said, and
// reports whether any differs from its last look.
func (w *Watcher) rescanned() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := w.sweep()
	w.report()
	return changed
}

// sweep arms everything anew, then looks at it, in that order, so that nothing
// falls in between. The caller holds w.mu.
func (w *Watcher) sweep() (changed bool) {
	w.all = false
	w.rearm()
	for _, p := range w.paths {
		w.settle(p)
		if seen := look(w.seed, p.name); seen != p.seen {
			p.seen, changed = seen, true
		}
	}
	return changed
}

// report logs when Degraded begins, changes or ends. The caller holds w.mu.
func (w *Watcher) report() {
	err := w.degraded()
	switch {
	case err == nil && w.told != "":
		w.told = ""
		w.log.Info("inotify in use again")
	case err != nil && err.Error() != w.told:
		w.told = err.Error()
		w.log.Warn("inotify not fully in use: changes are noticed by the rescan", "err", err, "next", w.rescan)
	}
}
