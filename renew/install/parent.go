package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const maxSymlinks = 40 // as in Linux, path_resolution(7)

// openParent opens the directory that a file is to be in, after every directory
// on the way to it was found to be in good hands: root's, this process's own,
// or those of owner (-1 is nobody).
//
// Up to the first directory that is owner's, nobody else can exchange a part of
// the path while it is looked at. From there on owner could: the rest is opened
// by os.Root, which leads nowhere outside of that directory.
func openParent(dir string, owner int) (*os.Root, error) {
	w := walk{path: "/", rest: split(dir), owner: owner}
	for {
		theirs, err := w.check()
		if err != nil {
			return nil, err
		}
		if theirs || len(w.rest) == 0 {
			break
		}
		if err := w.step(); err != nil {
			return nil, err
		}
	}
	root, err := os.OpenRoot(w.path)
	if err != nil || len(w.rest) == 0 {
		return root, err
	}
	defer root.Close() // only the directory below it is kept
	below, err := root.OpenRoot(filepath.Join(w.rest...))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	return below, nil
}

func split(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

// walk goes down a path, a component at a time.
type walk struct {
	path  string   // an absolute path without symlinks, which was checked
	rest  []string // what is to come
	links int
	owner int
}

// check looks at the directory that was reached; theirs tells that it belongs
// to the output's owner, who is not trusted further than that.
func (w *walk) check() (theirs bool, err error) {
	st, err := os.Lstat(w.path)
	if err != nil {
		return false, err
	}
	if !st.IsDir() {
		return false, &fs.PathError{Op: "open", Path: w.path, Err: syscall.ENOTDIR}
	}
	if st.Mode().Perm()&0o002 != 0 && st.Mode()&fs.ModeSticky == 0 {
		return false, fmt.Errorf("%s can be written to by anyone (mode %04o): no key is safe below it", w.path, st.Mode().Perm())
	}
	return w.trusted(w.path, st)
}

func (w *walk) trusted(path string, st fs.FileInfo) (theirs bool, err error) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return false, fmt.Errorf("%s: who owns it can't be found out", path)
	}
	switch uid := int(sys.Uid); uid {
	case 0, os.Geteuid():
		return false, nil
	case w.owner:
		return true, nil
	default:
		return false, fmt.Errorf("%s belongs to user %d, who could exchange what is below it: "+
			"set that user as the output's owner if that is meant", path, uid)
	}
}

// step goes to the next component; a symlink is resolved rather than followed.
func (w *walk) step() error {
	next := w.rest[0]
	w.rest = w.rest[1:]
	switch next {
	case ".":
		return nil
	case "..":
		w.path = filepath.Dir(w.path)
		return nil
	}
	full := filepath.Join(w.path, next)
	st, err := os.Lstat(full)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the directory %s does not exist", full)
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSymlink == 0 {
		w.path = full
		return nil
	}
	if _, err := w.trusted(full, st); err != nil { // in a sticky directory anyone may have made it
		return err
	}
	if w.links++; w.links > maxSymlinks {
		return &fs.PathError{Op: "open", Path: full, Err: syscall.ELOOP}
	}
	target, err := os.Readlink(full)
	if err != nil {
		return err
	}
	if filepath.IsAbs(target) {
		w.path = "/"
	}
	w.rest = append(split(target), w.rest...)
	return nil
}
