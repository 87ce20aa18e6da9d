package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrReadOnly is what every change gives in a store that [OpenReadOnly] opened.
var ErrReadOnly = errors.New("the state directory is open for reading only")

const (
	accountsDir = "accounts"
	backupDir   = "accounts-backup"
	certsDir    = "certs"
	liveDir     = "live"
)

// Store is one state directory. Its methods may be called at the same time.
type Store struct {
	dir    string // absolute
	folder Folder
	lock   *os.File // nil where it is open for reading only

	settled time.Duration // settledAfter

	accounts sync.Mutex // one change of an account at a time
	ledgers  sync.Mutex // one change of a ledger at a time
	mu       sync.Mutex // guards what follows
	names    map[string]*state
	beat     time.Time // the last Beat that left a sign
}

// state is what is remembered of one certificate's folder.
type state struct {
	changing sync.Mutex // one change at a time: temporary files have fixed names
	mu       sync.Mutex // guards seen
	seen     map[int]sighting
}

// Open opens the state directory for reading and writing, makes what is missing
// of its layout, and removes what a crash left unfinished. It holds the lock
// until Close, or until the process ends in whatever way; where another process
// has it, the error is [ErrLocked].
func Open(dir string) (*Store, error) { return OpenAround(dir, nil) }

// OpenAround is Open of a store in which around, where it is not nil, stands
// around each change.
func OpenAround(dir string, around Around) (*Store, error) {
	s, err := open(dir, around)
	if err != nil {
		return nil, err
	}
	if err := s.begin(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the state directory %s: %w", s.dir, err), s.Close())
	}
	return s, nil
}

// changesAtOnce is how many changes of the state directory are under way at once.
// A thread is held by each, and Go gives none back: after a hundred certificates at
// once there were 57, with 48 KiB of stack each. What waits here waits for the one
// disk that it would wait for anyway.
const changesAtOnce = 4

func open(dir string, around Around) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the state directory %s: %w", dir, err)
	}
	if err := makeDurable(dir); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the state directory: %w", err)
	}
	return &Store{dir: dir, folder: Folder{Root: root, Around: around, places: make(chan struct{}, changesAtOnce)}, settled: settledAfter, names: map[string]*state{}}, nil
}

// makeDurable makes dir and the directories above it that are missing; each
// is synced into its parent, so that no key in it can vanish with it.
func makeDurable(dir string) error {
	_, err := os.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDurable(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o755); err != nil { // whatever the umask is
		return err
	}
	d, err := os.Open(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// begin is all of Open that may change the directory.
func (s *Store) begin() error {
	owner, err := s.safe()
	if err != nil {
		return err
	}
	s.folder.Owner = owner
	if s.lock, err = acquire(s.folder); err != nil {
		return err
	}
	for _, dir := range []string{certsDir, liveDir} {
		if err := s.folder.mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{accountsDir, backupDir} {
		if err := s.secretDir(dir); err != nil {
			return err
		}
	}
	return s.sweep()
}

// safe refuses a directory in which someone else could exchange files: what is
// in it becomes the key that a server is given. Where root keeps the directory
// of another user, the agent's own, that user is who everything is to belong to.
func (s *Store) safe() (*Owner, error) {
	st, err := s.folder.Root.Stat(".")
	if err != nil {
		return nil, err
	}
	if st.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("others may write to it (mode %04o): run chmod go-w %s", st.Mode().Perm(), s.dir)
	}
	uid, gid, self := -1, -1, os.Geteuid()
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		uid, gid = int(sys.Uid), int(sys.Gid)
	}
	switch {
	case uid == self || uid == -1:
		return nil, nil
	case self == 0:
		return &Owner{UID: uid, GID: gid}, nil
	case uid == 0:
		return nil, nil
	}
	return nil, fmt.Errorf("it belongs to user %d, and this process runs as %d", uid, self)
}

// secretDir makes a directory for keys, and closes it to others where it stands
// open to them.
func (s *Store) secretDir(name string) error {
	if err := s.folder.mkdir(name, 0o700); err != nil {
		return err
	}
	st, err := s.folder.Root.Lstat(name)
	if err != nil || st.Mode().Perm()&0o077 == 0 {
		return s.folder.failed("lstat", name, err)
	}
	return s.folder.chmod(name, 0o700)
}

// OpenReadOnly opens a state directory that exists, without the lock and
// without changing anything in it, whoever else has it open.
func OpenReadOnly(dir string) (*Store, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("opening the state directory: %w", err)
	}
	return open(dir, func(string, string, func() error) error { return ErrReadOnly })
}

// Close lets go of the lock.
func (s *Store) Close() error {
	err := s.folder.Root.Close()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

// Path is the absolute path of the state directory.
func (s *Store) Path() string { return s.dir }

// Certs lists the names that have a folder, sorted.
func (s *Store) Certs() ([]string, error) {
	entries, err := s.list(certsDir)
	if err != nil {
		return nil, fmt.Errorf("listing the certificates: %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && CheckName(e.Name()) == nil {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// sweep removes what a crash left unfinished, keys among it. What can't be
// removed is left to the next change of the same name, which says so: it must
// not keep the agent from starting.
func (s *Store) sweep() error {
	names, err := s.Certs()
	if err != nil {
		return err
	}
	for _, name := range names {
		s.sweepDir(certDir(name))
		s.sweepDir(versionsDir(name))
	}
	s.sweepDir(certsDir)
	s.sweepDir(liveDir)
	return nil
}

func (s *Store) sweepDir(dir string) {
	entries, err := s.list(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			_ = s.folder.Remove(path.Join(dir, e.Name()))
		}
	}
}

// list reads a directory; one that isn't there is empty.
func (s *Store) list(dir string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(s.folder.Root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, s.folder.failed("readdir", dir, err)
}

// state returns what is remembered of a certificate, which must have a name
// that can be a folder's.
func (s *Store) state(name string) (*state, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.names[name]
	if st == nil {
		st = &state{seen: map[int]sighting{}}
		s.names[name] = st
	}
	return st, nil
}

// change locks a certificate for a change, after its name was checked.
func (s *Store) change(name string) (unlock func(), err error) {
	st, err := s.state(name)
	if err != nil {
		return nil, err
	}
	st.changing.Lock()
	return st.changing.Unlock, nil
}
