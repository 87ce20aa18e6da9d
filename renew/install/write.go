package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// Writer writes outputs. The zero Writer is ready for use.
type Writer struct {
	Around store.Around // stands around each change of the disk, where it is not nil
}

// Write puts a pair in place at an output. Files that are as they should be are
// left alone; nothing is switched unless every file could be written.
//
// It refuses a directory on the way that anyone may write to (but for a sticky
// one, such as /tmp), or that belongs to another user than root, this process's
// own and the output's owner. What a group may do is taken to be the operator's
// own grant. It refuses files of the state directory, and one file for two of
// the parts. At the end everything is read back: that it returns nil means that
// [Check] found the output in place. The error names the path.
func (w Writer) Write(o renew.Output, b store.Bundle) error {
	t, err := begin(o, b, w.Around)
	if err != nil {
		return fmt.Errorf("installing the certificate: %w", err)
	}
	defer t.close()
	if err := t.run(); err != nil {
		return fmt.Errorf("installing the certificate: %w", err)
	}
	if err := readBack(o, b); err != nil {
		return fmt.Errorf("installing the certificate: %w", err)
	}
	return nil
}

// Write is [Writer.Write] of the zero Writer.
func Write(o renew.Output, b store.Bundle) error { return Writer{}.Write(o, b) }

// readBack tells what every call's success does not: that the output holds the
// pair. There are file systems that ignore owners and modes without an error.
func readBack(o renew.Output, b store.Bundle) error {
	switch found := Check(o, b); {
	case found.InPlace:
		return nil
	case found.Reason == renew.Drift:
		return fmt.Errorf("written, but %s: does this file system keep owners and modes?", found.Detail)
	default:
		return fmt.Errorf("written, but %s: does another program write there?", found.Detail)
	}
}

// task is the files of one output that are to be written.
type task struct {
	access  access
	files   []file
	folders map[string]store.Folder // by the directory of a file's path
}

func begin(o renew.Output, b store.Bundle, around store.Around) (*task, error) {
	all, err := files(o, b)
	if err != nil {
		return nil, err
	}
	t := &task{folders: map[string]store.Folder{}}
	if t.access, err = accessOf(o); err != nil {
		return nil, err
	}
	for _, f := range all {
		dir := filepath.Dir(f.path)
		if _, opened := t.folders[dir]; !opened {
			root, err := openParent(dir, t.access.uid)
			if err != nil {
				t.close()
				return nil, err
			}
			t.folders[dir] = store.Folder{Root: root, Around: around}
		}
		if f.look(t.access).state != inPlace {
			t.files = append(t.files, f)
		}
	}
	return t, nil
}

func (t *task) close() {
	for _, folder := range t.folders {
		_ = folder.Root.Close() // a directory that was only held
	}
}

// run writes all of the files beside their destinations, then renames them back
// to back. After a crash before the first rename all is as it was; after the
// last, all is new; in between, see the package's documentation.
func (t *task) run() error {
	for i, f := range t.files {
		if err := t.stage(f); err != nil {
			t.discard(t.files[:i])
			return err
		}
	}
	for i, f := range t.files {
		if err := t.folder(f).Publish(filepath.Base(f.path)); err != nil {
			t.discard(t.files[i+1:])
			return err
		}
	}
	var failed []error // also where nothing was written: it may have been the sync that failed last time
	for _, folder := range t.folders {
		failed = append(failed, folder.SyncDir("."))
	}
	return errors.Join(failed...)
}

func (t *task) folder(f file) store.Folder { return t.folders[filepath.Dir(f.path)] }

func (t *task) discard(files []file) {
	for _, f := range files {
		t.folder(f).Discard(filepath.Base(f.path))
	}
}

// stage writes one file beside its destination.
func (t *task) stage(f file) error {
	folder, name := t.folder(f), filepath.Base(f.path)
	mode, was := f.newMode, store.Owner{UID: -1, GID: -1}
	old, err := folder.Root.Lstat(name)
	switch {
	case err == nil:
		if err := replaceable(f.path, old); err != nil {
			return err
		}
		mode, was = old.Mode().Perm(), ownerOf(old)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if t.access.mode != 0 {
		mode = t.access.mode
	}
	for _, owner := range t.access.owners(was) {
		err = folder.Stage(name, f.data, mode, &owner)
		if !errors.Is(err, syscall.EPERM) {
			break
		}
	}
	return err
}

// owners lists whom the new file is to belong to, in order of preference: what
// is configured must be, what is taken over from the old file need not. Only
// root may give a file away; others may give it to a group of theirs.
func (a access) owners(was store.Owner) []store.Owner {
	must := store.Owner{UID: a.uid, GID: a.gid}
	all, group := must, must
	if a.gid < 0 {
		all.GID, group.GID = was.GID, was.GID
	}
	if a.uid < 0 {
		all.UID = was.UID
	}
	return []store.Owner{all, group, must}
}

func ownerOf(st fs.FileInfo) store.Owner {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return store.Owner{UID: int(sys.Uid), GID: int(sys.Gid)}
	}
	return store.Owner{UID: -1, GID: -1}
}

// replaceable refuses what is not a plain file. A symlink is somebody's
// arrangement: to replace it would leave its target old, to follow it would
// write where the configuration doesn't say.
func replaceable(path string, st fs.FileInfo) error {
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		target, _ := os.Readlink(path) // for the message only
		return fmt.Errorf("%s is a symlink to %q: name the target itself, or remove the link", path, target)
	case !st.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
}
