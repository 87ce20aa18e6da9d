package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// file is one file of an output.
type file struct {
	path string // as the output names it
	form form
}

// files lists the files of an output in the order in which they are switched.
// It refuses paths that can't be meant, whatever stands there.
func files(o renew.Output, stateDir string) ([]file, error) {
	all, err := formed(o)
	if err != nil {
		return nil, err
	}
	for _, path := range switched(o) {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("%q is not an absolute path", path)
		}
		if name := filepath.Base(path); strings.HasPrefix(name, ".") && strings.HasSuffix(name, ".tmp") {
			return nil, fmt.Errorf("%s has the name of a temporary file: what is written beside a file, before it is switched, is named like that", filepath.Clean(path))
		}
	}
	var found []file
	for _, f := range all {
		if f.path != "" {
			f.path = filepath.Clean(f.path)
			found = append(found, f)
		}
	}
	return found, apart(switched(o), stateDir)
}

// switched lists the paths that get a new file or link: in place of the files in
// a directory, the directory.
func switched(o renew.Output) []string {
	if o.Directory != "" {
		return []string{filepath.Clean(o.Directory)}
	}
	return o.Paths()
}

// look compares a file in folder with what it is to be.
func (f file) look(folder store.Folder, want access, b store.Bundle) finding {
	name := filepath.Base(f.path)
	st, err := folder.Root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return finding{otherContent, f.path + " does not exist"}
	}
	if err != nil {
		return f.unknown(err)
	}
	if err := replaceable(folder, f.path, st); err != nil {
		return finding{otherContent, err.Error()}
	}
	if f.form.sealed { // to look into it may be costly, for whom nobody trusts
		if err := trustedThere(folder, f.path, st, want.uid); err != nil {
			return finding{otherContent, err.Error()}
		}
	}
	opened, err := folder.Root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return f.unknown(err)
	}
	defer opened.Close() // nothing was written
	same, err := f.same(opened, st, b)
	if err != nil {
		return f.unknown(err)
	}
	if !same {
		return finding{otherContent, f.path + " has another content"}
	}
	differs, err := want.differs(st, opened)
	if err != nil {
		return f.unknown(err)
	}
	if differs != "" {
		return finding{otherAccess, f.path + " has " + differs}
	}
	return finding{}
}

func (f file) same(opened *os.File, st fs.FileInfo, b store.Bundle) (bool, error) {
	if f.form.sealed {
		data, err := io.ReadAll(io.LimitReader(opened, maxForeign))
		if err != nil {
			return false, err
		}
		return f.form.holds(data, b)
	}
	want, err := f.form.encode(b)
	if err != nil || st.Size() != int64(len(want)) {
		return false, err
	}
	got, err := io.ReadAll(io.LimitReader(opened, int64(len(want))+1))
	return bytes.Equal(got, want), err
}

// unknown names the path, which the errors of os.Root do not.
func (f file) unknown(err error) finding {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = &fs.PathError{Op: inner.Op, Path: f.path, Err: inner.Err}
	}
	return finding{otherContent, err.Error()}
}

// replaceable refuses what is not a plain file. A symlink is somebody's
// arrangement: to replace it would leave its target old, to follow it would
// write where the configuration doesn't say.
func replaceable(folder store.Folder, path string, st fs.FileInfo) error {
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		target, _ := folder.Root.Readlink(filepath.Base(path)) // for the message only
		return fmt.Errorf("%s is a symlink to %q: name the target itself, or remove the link", path, target)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
}

// trustedThere refuses a file of a user who is trusted neither with the path nor
// with its directory. Who only looks may be root, and the directory the agent's:
// whose hands that is in, [Write] judges.
func trustedThere(folder store.Folder, path string, st fs.FileInfo, owner int) error {
	if dir, err := folder.Root.Stat("."); err == nil && ownerOf(dir).UID == ownerOf(st).UID {
		return nil
	}
	return trustedOwner(path, st, owner)
}

// folders are the directories of an output's files, each opened once. Who is to
// write there opens them after the way was found to be in good hands.
type folders struct {
	owner   int // the output's; -1 is nobody
	reading bool
	around  store.Around
	opened  map[string]store.Folder
}

func (d *folders) open(dir string) (store.Folder, error) {
	if folder, ok := d.opened[dir]; ok {
		return folder, nil
	}
	var root *os.Root
	var err error
	if d.reading {
		root, err = os.OpenRoot(dir)
	} else {
		root, err = openParent(dir, d.owner)
	}
	if err != nil {
		return store.Folder{}, err
	}
	if d.opened == nil {
		d.opened = map[string]store.Folder{}
	}
	d.opened[dir] = store.Folder{Root: root, Around: d.around}
	return d.opened[dir], nil
}

func (d *folders) close() {
	for _, folder := range d.opened {
		_ = folder.Root.Close() // a directory that was only held
	}
}
