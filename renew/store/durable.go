package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Around stands around one change of the disk: it makes the change by calling
// do, and what it returns is what became of it. Op is create, chown, chmod,
// setxattr, write, sync, mkdir, syncdir, symlink, rename or remove; path is
// absolute, for rename the new one.
type Around func(op, path string, do func() error) error

// Owner is who a file is to belong to; -1 leaves the user or the group as it is.
type Owner struct{ UID, GID int }

// Access is who may do what with a new file.
type Access struct {
	Mode  fs.FileMode
	Owner *Owner // nil is the folder's
	Attrs []Attr // set after the mode, which an access control list has a part in
}

// Attr is an extended attribute, xattr(7).
type Attr struct {
	Name  string
	Value []byte
}

// Folder makes changes below one directory that outlive a loss of power once
// they are reported done. Names are slash-separated and relative; os.Root
// keeps all of them inside. An error is a [*fs.PathError] with the absolute
// path, and leaves what was there as it was.
type Folder struct {
	Root  *os.Root
	Owner *Owner // of all that is made here; nil is this process's own

	// Around, where set, stands around each change: a folder that is for
	// reading only, or a test that pulls the plug.
	Around Around

	places chan struct{} // each change takes one while it is made; nil: without bounds
}

// WriteFile replaces a file. A reader sees the old content or the new one, at
// any moment, after a crash too.
func (f Folder) WriteFile(name string, data []byte, a Access) error {
	if err := f.Stage(name, data, a); err != nil {
		return err
	}
	if err := f.Publish(name); err != nil {
		return err
	}
	return f.SyncDir(path.Dir(name))
}

// Stage writes what is to become the file name into a temporary file beside
// it, with all of its access, and syncs it. A crash leaves a temporary file,
// which the next Stage of that name removes.
func (f Folder) Stage(name string, data []byte, a Access) error {
	tmp := temporary(name)
	if err := f.Remove(tmp); err != nil {
		return err
	}
	return f.Create(tmp, data, a)
}

// Publish puts what was staged in place. The change is visible from here on,
// and durable after SyncDir: a crash between the two gives the one or the other.
func (f Folder) Publish(name string) error {
	if err := f.rename(temporary(name), name); err != nil {
		f.Discard(name)
		return err
	}
	return nil
}

// Discard removes what was staged.
func (f Folder) Discard(name string) { _ = f.Remove(temporary(name)) } // the next Stage does it otherwise

// SyncDir makes durable which files a directory has.
func (f Folder) SyncDir(name string) error {
	return f.do("syncdir", name, func() error {
		dir, err := f.Root.Open(name)
		if err != nil {
			return err
		}
		return errors.Join(dir.Sync(), dir.Close())
	})
}

// Create writes a new file and syncs it; one that can't be completed is
// removed. Its directory is not synced.
func (f Folder) Create(name string, data []byte, a Access) error {
	if a.Owner == nil {
		a.Owner = f.Owner
	}
	var file *os.File
	err := f.do("create", name, func() (err error) {
		// O_EXCL follows no symlink and opens nothing that is there already.
		file, err = f.Root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	err = f.fill(file, name, data, a)
	if closing := file.Close(); err == nil {
		err = f.failed("close", name, closing)
	}
	if err != nil {
		_ = f.Remove(name) // what failed is what is told; Stage and Commit remove it next time
	}
	return err
}

// fill gives the file its owner, mode and attributes while it is empty: nobody
// can have opened it who may not read what comes next.
func (f Folder) fill(file *os.File, name string, data []byte, a Access) error {
	if a.Owner != nil {
		if err := f.do("chown", name, func() error { return file.Chown(a.Owner.UID, a.Owner.GID) }); err != nil {
			return err
		}
	}
	if err := f.do("chmod", name, func() error { return file.Chmod(a.Mode) }); err != nil {
		return err
	}
	for _, attr := range a.Attrs {
		if err := f.do("setxattr", name, func() error { return attr.set(file) }); err != nil {
			return fmt.Errorf("%s: %w", attr.Name, err)
		}
	}
	if err := f.do("write", name, func() error { _, err := file.Write(data); return err }); err != nil {
		return err
	}
	return f.do("sync", name, file.Sync)
}

// set leaves alone what the file system has given to the file by itself: a
// security label that is right already may be one that nobody may set.
func (a Attr) set(file *os.File) error {
	have := make([]byte, len(a.Value)+1)
	fd := int(file.Fd())
	if n, err := unix.Fgetxattr(fd, a.Name, have); err == nil && bytes.Equal(have[:n], a.Value) {
		return nil
	}
	return unix.Fsetxattr(fd, a.Name, a.Value, 0)
}

// mkdir makes a directory, if it isn't there. It gets its mode and owner before
// it gets its name; those of one that is there are left to the operator.
func (f Folder) mkdir(name string, mode fs.FileMode) error {
	st, err := f.Root.Lstat(name)
	if err == nil && !st.IsDir() {
		err = syscall.ENOTDIR
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f.failed("mkdir", name, err)
	}
	tmp := temporary(name)
	if err := f.Remove(tmp); err != nil {
		return err
	}
	if err := f.MakeDir(tmp, mode); err != nil {
		return err
	}
	if err := f.SyncDir(tmp); err != nil { // its mode and owner
		return err
	}
	if err := f.Publish(name); err != nil {
		return err
	}
	return f.SyncDir(path.Dir(name))
}

// MakeDir makes a directory of which nothing is synced yet.
func (f Folder) MakeDir(name string, mode fs.FileMode) error {
	if err := f.do("mkdir", name, func() error { return f.Root.Mkdir(name, 0o700) }); err != nil {
		return err
	}
	if f.Owner != nil {
		if err := f.do("chown", name, func() error { return f.Root.Chown(name, f.Owner.UID, f.Owner.GID) }); err != nil {
			return err
		}
	}
	return f.chmod(name, mode) // whatever the umask is
}

func (f Folder) chmod(name string, mode fs.FileMode) error {
	return f.do("chmod", name, func() error { return f.Root.Chmod(name, mode) })
}

// Symlink makes name a link to target, whatever file or link was there. A reader
// finds the one or the other, after a crash too.
func (f Folder) Symlink(target, name string) error {
	tmp := temporary(name)
	if err := f.Remove(tmp); err != nil {
		return err
	}
	if err := f.do("symlink", tmp, func() error { return f.Root.Symlink(target, tmp) }); err != nil {
		return err
	}
	if f.Owner != nil {
		if err := f.do("chown", tmp, func() error { return f.Root.Lchown(tmp, f.Owner.UID, f.Owner.GID) }); err != nil {
			return err
		}
	}
	if err := f.Publish(name); err != nil {
		return err
	}
	return f.SyncDir(path.Dir(name))
}

func (f Folder) rename(from, to string) error {
	return f.do("rename", to, func() error { return f.Root.Rename(from, to) })
}

// Remove removes a file, a link or a tree; that there is none is no error. It is
// not synced.
func (f Folder) Remove(name string) error {
	if _, err := f.Root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return f.do("remove", name, func() error { return f.Root.RemoveAll(name) })
}

func (f Folder) do(op, name string, change func() error) error {
	if f.places != nil {
		f.places <- struct{}{}
		defer func() { <-f.places }()
	}
	if f.Around == nil {
		return f.failed(op, name, change())
	}
	return f.failed(op, name, f.Around(op, f.full(name), change))
}

// failed names the absolute path: the errors of os.Root know only what is
// relative to it.
func (f Folder) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	} else if inner, ok := errors.AsType[*os.LinkError](err); ok {
		err = inner.Err
	}
	return &fs.PathError{Op: op, Path: f.full(name), Err: err}
}

func (f Folder) full(name string) string { return filepath.Join(f.Root.Name(), name) }

// temporary is fixed, so that no crash leaves more than one behind. It begins
// with a dot, which no name in the state directory does.
func temporary(name string) string {
	return path.Join(path.Dir(name), "."+path.Base(name)+".tmp")
}
