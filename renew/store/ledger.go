package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/certvigil/certvigil/renew"
)

const ledgerFile = "ledger.json"

// Ledger changes what an account has spent of its CA's limits: change sees what
// was spent by all that went before, and no other change comes in between. When
// it returns, what change made of it outlives a loss of power. Where change
// gives an error, nothing is written, and the error is returned as it is.
//
// A ledger that is lost or can't be made sense of begins anew: the CA counts as
// well.
func (s *Store) Ledger(directory, eabKeyID string, change func(*renew.Ledger) error) error {
	dir, err := accountDir(directory, eabKeyID)
	if err != nil {
		return fmt.Errorf("keeping a ledger: %w", err)
	}
	s.ledgers.Lock()
	defer s.ledgers.Unlock()
	file := path.Join(accountsDir, dir, ledgerFile)
	var l renew.Ledger
	if err := s.readJSON(file, &l); err != nil {
		if l = (renew.Ledger{}); !isGarbled(err) && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("reading the ledger of the account at %s: %w", directory, err)
		}
	}
	l.Sort()
	if err := change(&l); err != nil {
		return err
	}
	if err := s.writeLedger(dir, file, l); err != nil {
		return fmt.Errorf("writing the ledger of the account at %s: %w", directory, err)
	}
	return nil
}

// writeLedger keeps no second copy, other than of the account: what is lost of
// it the CA still knows.
func (s *Store) writeLedger(dir, file string, l renew.Ledger) error {
	text, err := json.Marshal(l)
	if err != nil {
		return err
	}
	for _, d := range []string{path.Join(accountsDir, path.Dir(dir)), path.Join(accountsDir, dir)} {
		if err := s.folder.mkdir(d, 0o700); err != nil {
			return err
		}
	}
	return s.folder.WriteFile(file, append(text, '\n'), Access{Mode: 0o600})
}
