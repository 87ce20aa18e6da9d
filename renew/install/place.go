package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/certvigil/certvigil/renew"
)

// Place is where a path leads: two paths with the same Place are one file,
// whatever symlinks and bind mounts they go through.
type Place struct {
	dev, ino uint64 // of the deepest directory on the way that is there
	rest     string // from there on: the file's name, after directories that are missing
}

// PlaceOf finds out where an absolute path leads. Neither the file nor its
// directory need be there. Where the file itself is a symlink, its place is the
// link's, as that is what a rename would replace.
func PlaceOf(path string) (Place, error) {
	dir, rest, err := resolve(path)
	if err != nil {
		return Place{}, err
	}
	st, err := os.Stat(dir)
	if err != nil {
		return Place{}, err
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return Place{}, fmt.Errorf("%s: which directory it is can't be found out", dir)
	}
	return Place{dev: uint64(sys.Dev), ino: sys.Ino, rest: rest}, nil
}

// resolve splits a path into the deepest directory that is there, without
// symlinks, and the rest. A symlink that dangles is followed to where it will
// lead when its target is made.
func resolve(path string) (dir, rest string, err error) {
	if !filepath.IsAbs(path) {
		return "", "", fmt.Errorf("%q is not an absolute path", path)
	}
	path = filepath.Clean(path)
	dir, rest = filepath.Dir(path), filepath.Base(path)
	for range maxPath {
		found, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return found, rest, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
		target, err := os.Readlink(dir)
		switch {
		case err != nil: // nothing is there
			dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
		case filepath.IsAbs(target):
			dir = target
		default:
			above, err := filepath.EvalSymlinks(filepath.Dir(dir))
			if err != nil {
				return "", "", err
			}
			dir = filepath.Join(above, target)
		}
	}
	return "", "", &fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}
}

const maxPath = 4096 // bytes, path_resolution(7): no path has more components

// Claim is an output, and the certificate that it belongs to.
type Claim struct {
	Cert   string
	Output renew.Output
}

// Conflicts tells which of all the outputs would overwrite each other, lie in
// another's directory, which is switched without them, or overwrite a file of the
// state directory (empty where it does not matter). The error names both
// claimants and the file, one line for each conflict.
//
// Directories that are missing are none, and neither is a path that leads
// nowhere: that is an error of its own certificate's [Write] and must not stop
// the others.
func Conflicts(stateDir string, claims []Claim) error {
	type claimant struct{ cert, path string }
	first, directories := map[Place]claimant{}, map[Place]claimant{}
	for _, c := range claims {
		if place, err := PlaceOf(c.Output.Directory); err == nil {
			directories[place] = claimant{c.Cert, c.Output.Directory}
		}
	}
	var all []error
	for _, c := range claims {
		for _, path := range switched(c.Output) {
			place, err := PlaceOf(path)
			if err != nil {
				continue
			}
			if err := outside(stateDir, path); err != nil {
				all = append(all, fmt.Errorf("certificate %s: %w", c.Cert, err))
			}
			if other, within := above(path, directories); within {
				all = append(all, fmt.Errorf("certificate %s writes %s, inside of %s, which certificate %s switches as a whole: write it elsewhere",
					c.Cert, path, other.path, other.cert))
			}
			if other, taken := first[place]; taken {
				all = append(all, fmt.Errorf("certificate %s writes %s (as %s), which certificate %s writes as %s: give each a file of its own",
					c.Cert, resolved(path), path, other.cert, other.path))
				continue
			}
			first[place] = claimant{c.Cert, path}
		}
	}
	return errors.Join(all...)
}

// above finds what is noted for a directory that path goes through.
func above[T any](path string, directories map[Place]T) (found T, ok bool) {
	for dir := filepath.Dir(filepath.Clean(path)); len(directories) > 0 && dir != "/"; dir = filepath.Dir(dir) {
		if place, err := PlaceOf(dir); err == nil {
			if found, ok = directories[place]; ok {
				return found, true
			}
		}
	}
	return found, false
}

// resolved is the path without symlinks, for a message.
func resolved(path string) string {
	dir, rest, err := resolve(path)
	if err != nil {
		return path
	}
	return filepath.Join(dir, rest)
}

// outside refuses a path that leads into the state directory: a version is never
// changed once it is there, and what is live is switched by [store.Store.Link].
func outside(stateDir, path string) error {
	if stateDir == "" {
		return nil
	}
	state, err := os.Stat(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing is in it
	}
	if err != nil {
		return err
	}
	dir, rest, err := resolve(path)
	if err != nil {
		return err
	}
	for above := dir; ; above = filepath.Dir(above) {
		st, err := os.Stat(above)
		if err != nil {
			return err
		}
		if os.SameFile(st, state) {
			return fmt.Errorf("%s leads to %s, inside of the state directory %s: give the output a directory outside of it",
				path, filepath.Join(dir, rest), stateDir)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// apart refuses paths of one output that are one file, and files in the state
// directory. A path that leads nowhere is left to what opens it, which says so.
func apart(paths []string, stateDir string) error {
	first := map[Place]string{}
	for _, path := range paths {
		path = filepath.Clean(path)
		place, err := PlaceOf(path)
		if err != nil {
			continue
		}
		if err := outside(stateDir, path); err != nil {
			return err
		}
		if other, taken := first[place]; taken {
			return fmt.Errorf("%s and %s are one file, named for two of the parts", other, path)
		}
		first[place] = path
	}
	return nil
}
