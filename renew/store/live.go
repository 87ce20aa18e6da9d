package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// target is what live/<name> says for version n.
func target(name string, n int) string { return path.Join("..", versionDir(name, n)) }

// LiveDir is the absolute path that servers point at.
func (s *Store) LiveDir(name string) string {
	return filepath.Join(s.dir, liveDir, name)
}

// Live tells which version live/<name> points at, and when that last changed.
// n is 0 where there is no link, where it dangles, and where it is not one of
// ours; changedAt is zero where there is nothing at all.
func (s *Store) Live(name string) (n int, changedAt time.Time, err error) {
	if err := CheckName(name); err != nil {
		return 0, time.Time{}, err
	}
	st, err := s.folder.Root.Lstat(livePath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("reading the live link of %s: %w", name, s.folder.failed("lstat", livePath(name), err))
	}
	_, changedAt = identity(st)
	n = s.linked(name)
	if n == 0 {
		return 0, changedAt, nil
	}
	if st, err := s.folder.Root.Lstat(versionDir(name, n)); err != nil || !st.IsDir() {
		return 0, changedAt, nil
	}
	return n, changedAt, nil
}

// linked is the number in the link, whether there is such a version or not.
func (s *Store) linked(name string) int {
	text, err := s.folder.Root.Readlink(livePath(name))
	if err != nil {
		return 0
	}
	n, ok := parseNumber(path.Base(text))
	if !ok || text != target(name, n) {
		return 0
	}
	return n
}

// Link points live/<name> at version n, which must be there. A link or a file
// of someone else's is replaced; a directory is moved aside, to
// live/.<name>.foreign-<k>, with a moment in between at which there is nothing.
//
// A reader finds the old version or the new one, after a crash too: the rename
// of the link is what switches key and certificates together.
func (s *Store) Link(name string, n int) error {
	unlock, err := s.change(name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.link(name, n); err != nil {
		return fmt.Errorf("switching %s to version %d: %w", name, n, err)
	}
	return nil
}

func (s *Store) link(name string, n int) error {
	st, err := s.folder.Root.Lstat(versionDir(name, n))
	if err == nil && !st.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return s.folder.failed("lstat", versionDir(name, n), err)
	}
	if st, err := s.folder.Root.Lstat(livePath(name)); err == nil && st.IsDir() {
		if err := s.moveAside(name); err != nil {
			return err
		}
	}
	return s.folder.Symlink(target(name, n), livePath(name))
}

func (s *Store) moveAside(name string) error {
	entries, err := s.list(liveDir)
	if err != nil {
		return err
	}
	prefix, k := "."+name+".foreign-", 0
	for _, e := range entries {
		if text, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if number, ok := parseNumber(text); ok {
				k = max(k, number)
			}
		}
	}
	return s.folder.rename(livePath(name), path.Join(liveDir, prefix+strconv.Itoa(k+1)))
}
