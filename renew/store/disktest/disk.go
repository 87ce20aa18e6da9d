// Package disktest pulls the plug. A [Disk] watches what a program changes below
// a directory, and knows at any moment what of it would survive a loss of power:
// what was synced, and any part of what was not. It makes a copy of the
// directory as the next start may find it.
//
// The model is stricter than any file system in use: of each directory, every
// change since it was last synced (a new name, a rename, a removal) survives or
// not for itself, whatever came before it; of a file that was not synced since
// it was written, anything up to its size is there. Only a rename is one change,
// as POSIX has it, and what a sync covers has come to stay. The idea is that of
// CockroachDB's Pebble, whose in-memory file system makes such crash clones.
package disktest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// Disk is a directory whose changes are watched. Its methods may be called at
// the same time; changes wait for each other.
type Disk struct {
	mu   sync.Mutex // guards what follows, and is held over each change
	base string
	root *node
}

// node is a file, a directory or a symlink: what has an inode.
type node struct {
	inode   uint64
	kind    fs.FileMode // its type bits
	mode    fs.FileMode // the permissions that are durable
	synced  bool        // a file's data is on disk as it stands in data
	data    []byte      // a file's durable content
	target  string      // a symlink's
	now     map[string]*node
	durable map[string]*node
	pending []change // of a directory, since it was synced
}

// change is one change of a directory. Where both are set, it is a rename.
type change struct {
	gone string // a name that was taken away
	name string // a name that was given
	to   *node
}

// Watch begins to watch a directory. What is there counts as durable.
func Watch(base string) (*Disk, error) {
	base, err := filepath.Abs(base)
	if err != nil {
		return nil, err
	}
	root, err := adopt(base)
	if err != nil {
		return nil, fmt.Errorf("watching %s: %w", base, err)
	}
	return &Disk{base: base, root: root}, nil
}

// adopt reads what is at path as durable.
func adopt(path string) (*node, error) {
	n, err := newNode(path)
	if err != nil {
		return nil, err
	}
	switch {
	case n.kind.IsDir():
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if n.now[e.Name()], err = adopt(filepath.Join(path, e.Name())); err != nil {
				return nil, err
			}
		}
		n.durable = maps.Clone(n.now)
	case n.kind.IsRegular():
		n.synced = true
		n.data, err = os.ReadFile(path)
	}
	return n, err
}

// newNode looks at what was just made at path.
func newNode(path string) (*node, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	n := &node{kind: st.Mode().Type(), mode: st.Mode().Perm(), inode: inodeOf(st)}
	switch {
	case n.kind.IsDir():
		n.now, n.durable = map[string]*node{}, map[string]*node{}
	case n.kind&fs.ModeSymlink != 0:
		n.target, err = os.Readlink(path)
	}
	return n, err
}

func inodeOf(st fs.FileInfo) uint64 {
	sys, _ := st.Sys().(*syscall.Stat_t)
	return sys.Ino
}

// Around makes a change and notes what it means for a loss of power. It is a
// store.Around.
func (d *Disk) Around(op, path string, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := do(); err != nil {
		return err
	}
	if err := d.note(op, path); err != nil {
		return fmt.Errorf("disktest: noting a %s: %w", op, err)
	}
	return nil
}

func (d *Disk) note(op, path string) error {
	if op == "syncdir" || op == "sync" {
		n, err := d.find(path)
		if err != nil {
			return err
		}
		return n.sync(path)
	}
	dir, err := d.find(filepath.Dir(path))
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	switch op {
	case "create", "mkdir", "symlink":
		n, err := newNode(path)
		if err != nil {
			return err
		}
		dir.change(change{name: name, to: n})
	case "rename":
		return dir.renamed(path)
	case "remove":
		dir.now[name].emptied()
		dir.change(change{gone: name})
	case "write":
		dir.now[name].synced = false
	}
	return nil
}

// sync notes that all of a file, or the names in a directory, are durable.
func (n *node) sync(path string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	n.mode = st.Mode().Perm()
	if n.kind.IsDir() {
		n.durable, n.pending = maps.Clone(n.now), nil
		return nil
	}
	n.synced = true
	n.data, err = os.ReadFile(path)
	return err
}

func (n *node) change(c change) {
	if c.gone != "" {
		delete(n.now, c.gone)
	}
	if c.name != "" {
		n.now[c.name] = c.to
	}
	n.pending = append(n.pending, c)
}

// renamed finds out which name of the directory became that of path: all the
// renames that the store makes stay in a directory.
func (n *node) renamed(path string) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	for was, child := range n.now {
		if was == name || child.inode != inodeOf(st) {
			continue
		}
		if _, err := os.Lstat(filepath.Join(filepath.Dir(path), was)); err != nil {
			n.change(change{gone: was, name: name, to: child})
			return nil
		}
	}
	return fmt.Errorf("no name of its directory became %s", path)
}

// emptied notes that everything below a directory was removed.
func (n *node) emptied() {
	if n == nil {
		return
	}
	for name, child := range n.now {
		child.emptied()
		n.change(change{gone: name})
	}
}

// find returns the node at a path; one that was made behind the disk's back
// counts as durable.
func (d *Disk) find(path string) (*node, error) {
	rel, err := filepath.Rel(d.base, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return nil, fmt.Errorf("%s is not below %s", path, d.base)
	}
	n, at := d.root, d.base
	for _, name := range strings.Split(rel, "/") {
		if name == "." {
			break
		}
		at = filepath.Join(at, name)
		child := n.now[name]
		if child == nil {
			if child, err = adopt(at); err != nil {
				return nil, err
			}
			n.now[name], n.durable[name] = child, child
		}
		n = child
	}
	return n, nil
}
