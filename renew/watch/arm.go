package watch

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// maxSettle bounds how often a path is routed anew while directories on its way
// come and go; the rescan catches what a faster stream of changes hides.
const maxSettle = 8

// settle routes a path and arms the directories on its way, until the route is
// the same after arming as it was before: something that appeared in between
// would otherwise be watched by nobody. The caller holds w.mu.
func (w *Watcher) settle(p *path) {
	for range maxSettle {
		spots := route(p.name)
		if slices.Equal(spots, p.spots) {
			w.retry(spots)
			return
		}
		w.reroute(p, spots)
	}
}

// retry arms what could not be armed: a directory that was gone for a moment
// leaves the route as it was. The caller holds w.mu.
func (w *Watcher) retry(spots []spot) {
	for _, s := range spots {
		if a := w.dirs[s.dir]; a.fault != nil {
			w.arm(s.dir, a)
		}
	}
}

// reroute makes spots those of the path. The caller holds w.mu.
func (w *Watcher) reroute(p *path, spots []spot) {
	for _, s := range spots {
		w.use(s.dir) // before the old ones go, so that a directory in both keeps its watch
		w.spots[s] = append(w.spots[s], p)
	}
	for _, s := range p.spots {
		at := slices.Index(w.spots[s], p)
		if w.spots[s] = slices.Delete(w.spots[s], at, at+1); len(w.spots[s]) == 0 {
			delete(w.spots, s)
		}
		w.release(s.dir)
	}
	p.spots = spots
}

func (w *Watcher) use(dir string) {
	a := w.dirs[dir]
	if a == nil {
		a = &armed{}
		w.dirs[dir] = a
		w.arm(dir, a)
	}
	a.uses++
}

func (w *Watcher) release(dir string) {
	a := w.dirs[dir]
	if a.uses--; a.uses > 0 {
		return
	}
	delete(w.dirs, dir)
	if w.notes != nil {
		_ = w.notes.Remove(dir) // it may be gone with its directory
	}
}

// arm sets the inotify watch of one directory. It does no harm where there is
// one already.
func (w *Watcher) arm(dir string, a *armed) {
	if w.notes == nil {
		return
	}
	// Where a symlink has taken the place of dir, the watch would be that of
	// another directory, and that one's would go when dir's is removed: inotify
	// has one watch for an inode, whatever it is called.
	if real, err := filepath.EvalSymlinks(dir); err != nil || real != dir {
		a.inode, a.fault = 0, cmp.Or(err, error(syscall.ENOTDIR))
		return
	}
	a.inode = inode(dir)
	a.fault = w.add(w.notes, dir)
	if errors.Is(a.fault, syscall.ENOSPC) {
		a.fault = errors.Join(a.fault, errors.New("fs.inotify.max_user_watches is used up"))
	}
}

// rearm arms every directory anew: its watch may have gone with an inode that
// stood there before. The caller holds w.mu.
func (w *Watcher) rearm() {
	if w.notes == nil {
		w.reopen()
	}
	if w.notes == nil {
		return
	}
	for dir, a := range w.dirs {
		if a.inode == inode(dir) {
			w.arm(dir, a)
		} else {
			w.replace(dir, a)
		}
	}
}

// replace arms a directory that another one has taken the place of, or may
// have. The old watch is removed first: the client knows it by its path, and
// would otherwise leave it with an inode that concerns nobody.
func (w *Watcher) replace(dir string, a *armed) {
	if w.notes == nil {
		return
	}
	_ = w.notes.Remove(dir)
	w.arm(dir, a)
}

func inode(dir string) uint64 {
	if info, err := os.Stat(dir); err == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			return sys.Ino
		}
	}
	return 0
}

// reopen tries to have inotify. The caller holds w.mu.
func (w *Watcher) reopen() {
	w.notes, w.fault = w.open()
	if errors.Is(w.fault, syscall.EMFILE) {
		w.fault = errors.Join(w.fault, errors.New("fs.inotify.max_user_instances or the limit on open files is used up"))
	}
	if w.fault != nil {
		w.notes = nil
	}
}
