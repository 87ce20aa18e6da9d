package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

const (
	accountFile    = "account.json"
	accountKeyFile = "key.pem"
)

// ErrOtherKey is in the error of [Store.SaveAccount] where the account has
// another key already.
var ErrOtherKey = errors.New("the account has another key already")

// accountDir is where an account lies in accounts/ and in accounts-backup/.
func accountDir(directory, eabKeyID string) (string, error) {
	host, err := hostFolder(directory)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(directory + "\n" + eabKeyID))
	return path.Join(host, hex.EncodeToString(sum[:8])), nil
}

// Account returns the account for a directory's URL and an EAB key id, if there
// is one. A copy that is missing or damaged is restored from the other. Where
// only the key is left, the account is returned without its URL: the CA tells
// it to who registers with that key again (RFC 8555, section 7.3.1).
func (s *Store) Account(directory, eabKeyID string) (Account, bool, error) {
	dir, err := accountDir(directory, eabKeyID)
	if err != nil {
		return Account{}, false, fmt.Errorf("reading an account: %w", err)
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	a, found, err := s.account(directory, eabKeyID, dir)
	if err != nil {
		return Account{}, false, fmt.Errorf("reading the account at %s: %w", directory, err)
	}
	return a, found, nil
}

func (s *Store) account(directory, eabKeyID, dir string) (Account, bool, error) {
	key, err := s.accountKey(dir)
	if err != nil || key == nil {
		return Account{}, false, err
	}
	a, damaged, err := s.accountJSON(directory, eabKeyID, dir)
	if err != nil {
		return Account{}, false, err
	}
	a.Directory, a.EABKeyID, a.Key = directory, eabKeyID, key
	if damaged {
		// What was read is as good as ever: a disk that refuses the repair
		// is no reason not to use it.
		_ = s.writeAccount(dir, a)
	}
	return a, true, nil
}

// accountKey returns the key of the first copy that has one, nil where neither
// has, and an error only where a copy can't be read and the other has none.
func (s *Store) accountKey(dir string) ([]byte, error) {
	var failed []error
	for _, tree := range []string{accountsDir, backupDir} {
		key, err := s.keyIn(tree, dir)
		if key != nil {
			return key, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

// keyIn returns nil for a key that is missing or damaged.
func (s *Store) keyIn(tree, dir string) ([]byte, error) {
	key, err := readAll(s.folder.Root, path.Join(tree, dir, accountKeyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := keypair.DecodeKey(key); err != nil {
		return nil, nil
	}
	return key, nil
}

// accountJSON returns account.json of the first copy that is whole; an empty
// one where neither is. damaged tells that one of the four files wants repair.
func (s *Store) accountJSON(directory, eabKeyID, dir string) (a Account, damaged bool, err error) {
	var found *Account
	for _, tree := range []string{accountsDir, backupDir} {
		var copied Account
		err := s.readJSON(path.Join(tree, dir, accountFile), &copied)
		whole := err == nil && copied.Directory == directory && copied.EABKeyID == eabKeyID
		if whole && found == nil {
			found = &copied
		}
		if key, err := s.keyIn(tree, dir); !whole || key == nil || err != nil {
			damaged = true
		}
	}
	if found == nil {
		return Account{}, false, nil // there is nothing to repair it with
	}
	return *found, damaged, nil
}

// SaveAccount keeps an account, in two copies. Its key never replaces another
// one: the error is then [ErrOtherKey]. An account without a key keeps the one
// that it has.
func (s *Store) SaveAccount(a Account) error {
	dir, err := accountDir(a.Directory, a.EABKeyID)
	if err != nil {
		return fmt.Errorf("saving an account: %w", err)
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	if err := s.saveAccount(dir, a); err != nil {
		return fmt.Errorf("saving the account at %s: %w", a.Directory, err)
	}
	return nil
}

func (s *Store) saveAccount(dir string, a Account) error {
	old, err := s.accountKey(dir)
	if err != nil {
		return err
	}
	if a.Key == nil {
		a.Key = old
	}
	if _, err := keypair.DecodeKey(a.Key); err != nil {
		return err
	}
	if old != nil && !sameKey(old, a.Key) {
		return ErrOtherKey
	}
	return s.writeAccount(dir, a)
}

func sameKey(a, b []byte) bool {
	one, err := keypair.DecodeKey(a)
	if err != nil {
		return false
	}
	two, err := keypair.DecodeKey(b)
	return err == nil && keypair.Owns(one, two.Public())
}

// writeAccount writes both keys before it writes either account.json: an
// account that says where it is registered has its key, after a crash too.
func (s *Store) writeAccount(dir string, a Account) error {
	for _, tree := range []string{accountsDir, backupDir} {
		if err := s.writeAccountKey(path.Join(tree, dir), a.Key); err != nil {
			return err
		}
	}
	for _, tree := range []string{accountsDir, backupDir} {
		if err := s.writeJSON(path.Join(tree, dir, accountFile), a, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeAccountKey leaves a key alone that is there, and keeps what is there and
// is none as key.pem.bad.
func (s *Store) writeAccountKey(dir string, key []byte) error {
	file := path.Join(dir, accountKeyFile)
	old, err := readAll(s.folder.Root, file)
	switch {
	case err == nil && sameKey(old, key):
		return nil
	case err == nil && len(old) > 0:
		if err := s.folder.rename(file, file+".bad"); err != nil {
			return err
		}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	for _, d := range []string{path.Dir(dir), dir} {
		if err := s.folder.mkdir(d, 0o700); err != nil {
			return err
		}
	}
	return s.folder.WriteFile(file, key, Access{Mode: 0o600})
}

// HoldAccount notes down that the CA takes nothing from an account before
// until. An earlier time than the one noted down is ignored; the zero time
// lifts the hold. Where there is no such account, the error is fs.ErrNotExist.
func (s *Store) HoldAccount(directory, eabKeyID string, until time.Time) error {
	dir, err := accountDir(directory, eabKeyID)
	if err != nil {
		return fmt.Errorf("holding an account: %w", err)
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	a, found, err := s.account(directory, eabKeyID, dir)
	if err == nil && !found {
		err = fs.ErrNotExist
	}
	if err != nil {
		return fmt.Errorf("holding the account at %s: %w", directory, err)
	}
	if !until.IsZero() && until.Before(renew.HeldUntil(time.Now(), a.HoldUntil)) {
		return nil
	}
	a.HoldUntil = until
	if err := s.writeAccount(dir, a); err != nil {
		return fmt.Errorf("holding the account at %s: %w", directory, err)
	}
	return nil
}
