package disktest

import (
	"os"
	"slices"
	"sync"
	"syscall"
)

// Around is what stands around a change of the disk, as store.Around says.
type Around = func(op, path string, do func() error) error

// Fault fails changes, from the first-th on (the first is 1), so many of them.
type Fault struct {
	First, Count int   // a Count of 0 is all that come
	Err          error // syscall.ENOSPC fails only what needs room; anything else fails everything

	mu     sync.Mutex // guards what follows
	seen   int
	failed int
}

// Around makes a change or fails it. It is a store.Around. What it counts are
// the changes that the error can meet.
func (f *Fault) Around(op, path string, do func() error) error {
	if f.Err == syscall.ENOSPC && !needsRoom(op) {
		return do()
	}
	f.mu.Lock()
	f.seen++
	met := f.seen >= f.First && (f.Count == 0 || f.failed < f.Count)
	if met {
		f.failed++
	}
	f.mu.Unlock()
	if !met {
		return do()
	}
	if op == "write" {
		tear(path, do)
	}
	return f.Err
}

// Failed is how many changes were failed.
func (f *Fault) Failed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func needsRoom(op string) bool {
	return slices.Contains([]string{"create", "write", "mkdir", "symlink"}, op)
}

// tear writes a half of a file, as a disk does on which there is room for that.
func tear(path string, do func() error) {
	if do() != nil {
		return
	}
	if st, err := os.Stat(path); err == nil {
		_ = os.Truncate(path, st.Size()/2) // an error leaves it whole: that can be as well
	}
}

// Skip leaves changes out and says that they were made: a program that forgets
// them. It is how a test of crashes is put to the test.
func Skip(forgets func(op, path string) bool, around Around) Around {
	return func(op, path string, do func() error) error {
		if forgets(op, path) {
			return nil
		}
		return around(op, path, do)
	}
}
