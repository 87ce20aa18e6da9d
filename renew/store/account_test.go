package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

const directory = "https://ca.example/dir"

func newAccount(t testing.TB) Account {
	return Account{Directory: directory, EABKeyID: "kid-1", URL: "https://ca.example/acct/1",
		Contact: []string{"ops@example.com"}, Key: newKeyPEM(t)}
}

func getAccount(t testing.TB, s *Store) (Account, bool) {
	t.Helper()
	a, found, err := s.Account(directory, "kid-1")
	if err != nil {
		t.Fatal(err)
	}
	return a, found
}

// accountFiles are the four files of newAccount's.
func accountFiles(t testing.TB, s *Store) []string {
	t.Helper()
	dir, err := accountDir(directory, "kid-1")
	must(t, err)
	var files []string
	for _, tree := range []string{"accounts", "accounts-backup"} {
		for _, name := range []string{"key.pem", "account.json"} {
			files = append(files, filepath.Join(s.Path(), tree, dir, name))
		}
	}
	return files
}

func TestAnAccountReadsBack(t *testing.T) {
	s, a := newStore(t), newAccount(t)
	if _, found := getAccount(t, s); found {
		t.Error("there is one already")
	}
	must(t, s.SaveAccount(a))
	if got, found := getAccount(t, s); !found || !reflect.DeepEqual(got, a) {
		t.Errorf("%v\n got %+v\nwant %+v", found, got, a)
	}
	for _, other := range [][2]string{{directory, ""}, {directory, "kid-2"}, {directory + "/", "kid-1"}, {"https://ca.example:444/dir", "kid-1"}} {
		if _, found, err := s.Account(other[0], other[1]); found || err != nil {
			t.Errorf("%q has it too: %v", other, err)
		}
	}
}

func TestAnAccountOutlivesTheLossOfAnyCopy(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"missing": os.Remove,
		"empty":   func(path string) error { return os.Truncate(path, 0) },
		"torn":    func(path string) error { return os.Truncate(path, 60) },
		"garbage": func(path string) error { return os.WriteFile(path, []byte("\x00\x00\x00"), 0o600) },
	} {
		for lost := 1; lost < 16; lost++ { // every choice of the four files
			s, a := newStore(t), newAccount(t)
			must(t, s.SaveAccount(a))
			files := accountFiles(t, s)
			for i, file := range files {
				if lost&(1<<i) != 0 {
					must(t, damage(file))
				}
			}
			noKey, noJSON := lost&0b0101 == 0b0101, lost&0b1010 == 0b1010
			got, found := getAccount(t, s)
			if found == noKey {
				t.Errorf("%s, %04b: found = %v", name, lost, found)
			}
			if noKey {
				continue
			}
			if string(got.Key) != string(a.Key) || !noJSON && !reflect.DeepEqual(got, a) || noJSON && got.URL != "" {
				t.Errorf("%s, %04b: %+v", name, lost, got)
			}
			if noJSON {
				continue
			}
			for _, file := range files { // all of it is restored
				if st, err := os.Stat(file); err != nil || st.Size() < 61 || st.Mode() != 0o600 {
					t.Errorf("%s, %04b: %s: %v", name, lost, file, err)
				}
			}
		}
	}
}

func TestAnAccountsKeyIsNeverReplaced(t *testing.T) {
	s, a := newStore(t), newAccount(t)
	must(t, s.SaveAccount(a))
	other := a
	other.Key = newKeyPEM(t)
	if err := s.SaveAccount(other); !errors.Is(err, ErrOtherKey) {
		t.Error(err)
	}
	must(t, os.RemoveAll(s.Path()+"/accounts"))
	must(t, s.folder.mkdir("accounts", 0o700))
	if err := s.SaveAccount(other); !errors.Is(err, ErrOtherKey) {
		t.Error("with the second copy alone:", err)
	}
	other.Key = nil
	other.URL = "https://ca.example/acct/2"
	must(t, s.SaveAccount(other))
	if got, _ := getAccount(t, s); string(got.Key) != string(a.Key) || got.URL != other.URL {
		t.Errorf("%+v", got)
	}
	if err := s.SaveAccount(Account{Directory: "https://other.example/"}); err == nil {
		t.Error("an account without a key was kept")
	}
}

func TestADamagedKeyIsKeptAside(t *testing.T) {
	s, a := newStore(t), newAccount(t)
	must(t, s.SaveAccount(a))
	files := accountFiles(t, s)
	for _, i := range []int{0, 2} {
		write(t, files[i], a.Key[:80])
	}
	fresh := a
	fresh.Key = newKeyPEM(t)
	must(t, s.SaveAccount(fresh))
	if kept, err := os.ReadFile(files[0] + ".bad"); string(kept) != string(a.Key[:80]) {
		t.Errorf("%q, %v", kept, err)
	}
	if got, _ := getAccount(t, s); string(got.Key) != string(fresh.Key) {
		t.Error("the new key is not in force")
	}
}

func TestAHoldOnAnAccountIsOnlyProlonged(t *testing.T) {
	s := newStore(t)
	if err := s.HoldAccount(directory, "kid-1", time.Now()); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	must(t, s.SaveAccount(newAccount(t)))
	late := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	beyond := late.Add(1000 * time.Hour) // a clock that was ahead
	for _, until := range []time.Time{beyond, late.Add(-time.Hour), late, late.Add(-time.Minute)} {
		must(t, s.HoldAccount(directory, "kid-1", until))
	}
	if got, _ := getAccount(t, s); !got.HoldUntil.Equal(late) || got.URL == "" {
		t.Errorf("%+v", got)
	}
	must(t, s.HoldAccount(directory, "kid-1", time.Time{}))
	if got, _ := getAccount(t, s); !got.HoldUntil.IsZero() {
		t.Errorf("%+v", got)
	}
}
