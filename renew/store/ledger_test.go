package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

func ledgerPath(t testing.TB, s *Store) string {
	t.Helper()
	dir, err := accountDir(directory, "kid-1")
	must(t, err)
	return filepath.Join(s.Path(), "accounts", dir, "ledger.json")
}

func spend(s *Store, ref string) error {
	return s.Ledger(directory, "kid-1", func(l *renew.Ledger) error {
		l.Spend(time.Now(), ref, renew.Claim{What: renew.SpentOrder})
		return nil
	})
}

func entries(t testing.TB, s *Store) []renew.Entry {
	t.Helper()
	stop := errors.New("looked only")
	var all []renew.Entry
	err := s.Ledger(directory, "kid-1", func(l *renew.Ledger) error { all = l.Entries; return stop })
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	return all
}

func TestALedgerIsChangedByOneAtATime(t *testing.T) {
	s := newStore(t)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := spend(s, fmt.Sprint("order ", i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := len(entries(t, s)); n != 20 {
		t.Errorf("%d of 20 entries", n)
	}
	st, err := os.Stat(ledgerPath(t, s))
	must(t, err)
	if st.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", st.Mode().Perm())
	}
	must(t, s.Close())
	if n := len(entries(t, mustOpen(t, s.Path()))); n != 20 {
		t.Errorf("%d of 20 entries after a restart", n)
	}
}

func TestAChangeThatIsRefusedWritesNothing(t *testing.T) {
	s := newStore(t)
	no := errors.New("no room")
	err := s.Ledger(directory, "kid-1", func(l *renew.Ledger) error {
		l.Spend(time.Now(), "", renew.Claim{What: renew.SpentOrder})
		return no
	})
	if !errors.Is(err, no) {
		t.Error(err)
	}
	if _, err := os.Stat(ledgerPath(t, s)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestALedgerThatMakesNoSenseBeginsAnew(t *testing.T) {
	for name, text := range map[string]string{"torn": `{"entries":[{"at`, "empty": "", "a list": "[]"} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			must(t, spend(s, "one"))
			must(t, os.WriteFile(ledgerPath(t, s), []byte(text), 0o600))
			must(t, spend(s, "two"))
			if e := entries(t, s); len(e) != 1 || e[0].Ref != "two" {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestALedgerIsReadInOrder(t *testing.T) {
	s := newStore(t)
	must(t, spend(s, "one"))
	path := ledgerPath(t, s)
	must(t, os.WriteFile(path, []byte(`{"entries":[{"at":"2026-11-02T00:00:00Z","what":"order"},{"at":"2026-11-01T00:00:00Z","what":"order"}]}`), 0o600))
	if all := entries(t, s); len(all) != 2 || all[1].At.Before(all[0].At) {
		t.Errorf("somebody's editor left them out of order, and they are read so: %v", all)
	}
}
