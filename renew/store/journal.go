package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/certvigil/certvigil/renew"
)

const journalFile = "journal.json"

// garbled is the error of a file of our own that is there and means nothing.
type garbled struct{ err error }

func (g *garbled) Error() string { return g.err.Error() }
func (g *garbled) Unwrap() error { return g.err }

func isGarbled(err error) bool {
	_, ok := errors.AsType[*garbled](err)
	return ok
}

// Journal returns what was last recorded of a certificate; without any, it is
// empty. One that can't be made sense of reads as empty as well and is kept as
// journal.json.bad, since a lost note is no reason not to renew.
func (s *Store) Journal(name string) (renew.Journal, error) {
	unlock, err := s.change(name)
	if err != nil {
		return renew.Journal{}, err
	}
	defer unlock()
	j, err := s.journal(name)
	if isGarbled(err) {
		file := path.Join(certDir(name), journalFile)
		_ = s.folder.rename(file, file+".bad") // a courtesy; the next Record replaces it otherwise
		err = nil
	}
	if err != nil {
		return renew.Journal{}, fmt.Errorf("reading the journal of %s: %w", name, err)
	}
	return j, nil
}

func (s *Store) journal(name string) (renew.Journal, error) {
	var j renew.Journal
	err := s.readJSON(path.Join(certDir(name), journalFile), &j)
	if err != nil {
		j = renew.Journal{}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return j, err
}

// Record keeps the journal. After a crash it is the one before or this one.
func (s *Store) Record(name string, j renew.Journal) error {
	unlock, err := s.change(name)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.folder.mkdir(certDir(name), 0o755); err != nil {
		return fmt.Errorf("writing the journal of %s: %w", name, err)
	}
	// Not for everybody: what a failing hook printed may stand in it.
	if err := s.writeJSON(path.Join(certDir(name), journalFile), j, 0o640); err != nil {
		return fmt.Errorf("writing the journal of %s: %w", name, err)
	}
	return nil
}

// readJSON reads a file of our own. The error is a *garbled where it is torn,
// too long, no regular file, or not JSON.
func (s *Store) readJSON(name string, into any) error {
	st, err := s.folder.Root.Lstat(name)
	if err != nil {
		return s.folder.failed("lstat", name, err)
	}
	if !st.Mode().IsRegular() || st.Size() > maxFile {
		return &garbled{fmt.Errorf("%s is no file of ours", s.folder.full(name))}
	}
	data, err := readAll(s.folder.Root, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return &garbled{fmt.Errorf("parsing %s: %w", s.folder.full(name), err)}
	}
	return nil
}

func (s *Store) writeJSON(name string, value any, mode fs.FileMode) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return s.folder.WriteFile(name, append(data, '\n'), Access{Mode: mode})
}
