package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/certvigil/certvigil/renew/keypair"
)

// Commit keeps a pair as a new version and returns its number. Key and
// certificate must belong together; names, dates and chain are not judged here.
// Where the newest version holds the very same pair, its number is returned:
// who was stopped after Commit may simply come again.
func (s *Store) Commit(name string, b Bundle) (int, error) {
	unlock, err := s.change(name)
	if err != nil {
		return 0, err
	}
	defer unlock()
	pair, err := keypair.Parse(b.Key, b.Fullchain())
	if err != nil {
		return 0, fmt.Errorf("keeping a version of %s: %w", name, err)
	}
	if b.Meta.Fingerprint != "" && b.Meta.Fingerprint != pair.Fingerprint {
		return 0, fmt.Errorf("keeping a version of %s: its meta is that of another certificate", name)
	}
	b.Meta.Fingerprint = pair.Fingerprint
	newest, err := s.newest(name)
	if err != nil {
		return 0, fmt.Errorf("keeping a version of %s: %w", name, err)
	}
	if newest > 0 && s.holds(name, newest, b) {
		if err := s.folder.SyncDir(versionsDir(name)); err != nil { // it may have been the sync that failed
			return 0, fmt.Errorf("keeping version %d of %s: %w", newest, name, err)
		}
		return newest, nil
	}
	if newest == maxNumber {
		return 0, fmt.Errorf("keeping a version of %s: no number is left after %d, which nobody reaches by renewing: remove it from %s, %s and %s",
			name, newest, s.folder.full(versionsDir(name)), s.folder.full(livePath(name)), s.folder.full(path.Join(certDir(name), journalFile)))
	}
	if err := s.commit(name, newest+1, b); err != nil {
		return 0, fmt.Errorf("keeping version %d of %s: %w", newest+1, name, err)
	}
	return newest + 1, nil
}

// commit writes the version under a name that nobody reads, and renames it when
// everything in it is on disk: after a crash it is whole or not there.
func (s *Store) commit(name string, n int, b Bundle) error {
	meta, err := json.MarshalIndent(b.Meta, "", "  ")
	if err != nil {
		return err
	}
	for _, dir := range []string{certDir(name), versionsDir(name)} {
		if err := s.folder.mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return s.build(versionDir(name, n), 0o755, []part{
		{keyFile, b.Key, 0o600},
		{certFile, b.Cert, 0o644},
		{chainFile, b.Chain, 0o644},
		{fullchainFile, b.Fullchain(), 0o644},
		{metaFile, append(meta, '\n'), 0o644},
	})
}

// part is one file of a folder that is built as a whole.
type part struct {
	name string
	data []byte
	mode fs.FileMode
}

// build makes a folder of which a reader sees all or nothing, at any moment.
// Where there is one of that name already, it loses the name only when the new
// one is complete; in between there is none.
func (s *Store) build(dir string, mode fs.FileMode, parts []part) (err error) {
	tmp := dir + ".tmp"
	if err := s.folder.Remove(tmp); err != nil { // of a crash
		return err
	}
	defer func() {
		if err != nil {
			_ = s.folder.Remove(tmp) // it holds a key; Open and the next build remove it otherwise
		}
	}()
	if err := s.folder.MakeDir(tmp, mode); err != nil {
		return err
	}
	for _, p := range parts {
		if err := s.folder.Create(path.Join(tmp, p.name), p.data, Access{Mode: p.mode}); err != nil {
			return err
		}
	}
	if err := s.folder.SyncDir(tmp); err != nil {
		return err
	}
	if err := s.dispose(dir); err != nil {
		return err
	}
	if err := s.folder.rename(tmp, dir); err != nil {
		return err
	}
	return s.folder.SyncDir(path.Dir(dir)) // without it, the folder may be gone after a loss of power, but never in part
}

// newest is the highest number that was ever given, as far as anything still
// tells: folders, whole or not, the live link, and the journal. A number is not
// given twice, or a hook that acknowledged the first would not be run. One that
// can't be ours counts nowhere.
func (s *Store) newest(name string) (int, error) {
	entries, err := s.list(versionsDir(name))
	if err != nil {
		return 0, err
	}
	highest := s.linked(name)
	for _, e := range entries {
		if n, ok := parseNumber(e.Name()); ok { // a .tmp never had it
			highest = max(highest, n)
		}
	}
	j, err := s.journal(name)
	if err != nil && !isGarbled(err) {
		return 0, err
	}
	for _, h := range j.Hooks {
		if believed(h.Acknowledged) {
			highest = max(highest, h.Acknowledged)
		}
	}
	for _, p := range j.Proofs {
		if believed(p.Version) {
			highest = max(highest, p.Version)
		}
	}
	return highest, nil
}

// holds tells whether version n is this very pair.
func (s *Store) holds(name string, n int, b Bundle) bool {
	old, err := s.Read(name, n)
	return err == nil && string(old.Key) == string(b.Key) && string(old.Fullchain()) == string(b.Fullchain())
}

// Prune removes versions, except the keep newest (one at least), the newest
// that is whole, the live one, and those to spare.
func (s *Store) Prune(name string, keep int, spare ...int) error {
	versions, err := s.Versions(name)
	if err != nil {
		return fmt.Errorf("pruning the versions of %s: %w", name, err)
	}
	unlock, err := s.change(name)
	if err != nil {
		return err
	}
	defer unlock()
	spare = append(slices.Clone(spare), s.linked(name))
	for _, v := range slices.Backward(versions) {
		if v.Usable() {
			spare = append(spare, v.N)
			break
		}
	}
	var failed []error
	for _, v := range versions[:max(0, len(versions)-max(keep, 1))] {
		if !slices.Contains(spare, v.N) {
			failed = append(failed, s.dispose(versionDir(name, v.N)))
		}
	}
	if err := errors.Join(failed...); err != nil {
		return fmt.Errorf("pruning the versions of %s: %w", name, err)
	}
	return nil
}

// dispose removes a folder, if there is one. It loses its name first: after a
// crash half-way a reader finds it whole or not at all.
func (s *Store) dispose(dir string) error {
	if _, err := s.folder.Root.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	old := dir + ".old.tmp"
	if err := s.folder.Remove(old); err != nil {
		return err
	}
	if err := s.folder.rename(dir, old); err != nil {
		return err
	}
	if err := s.folder.SyncDir(path.Dir(dir)); err != nil {
		return err
	}
	return s.folder.Remove(old)
}
