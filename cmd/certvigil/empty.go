package main

import (
	"errors"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// emptyStore stands in for a state directory that does not exist yet, so that
// plan and status can say what a first run would do.
type emptyStore struct{}

var errNoState = errors.New("there is no state directory yet")

func (emptyStore) Versions(string) ([]renew.Version, error) { return nil, nil }
func (emptyStore) Live(string) (int, time.Time, error)      { return 0, time.Time{}, nil }
func (emptyStore) Journal(string) (renew.Journal, error)    { return renew.Journal{}, nil }
func (emptyStore) Account(string, string) (store.Account, bool, error) {
	return store.Account{}, false, nil
}
func (emptyStore) LiveDir(string) string                    { return "" }
func (emptyStore) Read(string, int) (store.Bundle, error)   { return store.Bundle{}, errNoState }
func (emptyStore) Commit(string, store.Bundle) (int, error) { return 0, errNoState }
func (emptyStore) Link(string, int) error                   { return errNoState }
func (emptyStore) Prune(string, int, ...int) error          { return errNoState }
func (emptyStore) Record(string, renew.Journal) error       { return errNoState }
