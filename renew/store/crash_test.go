package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// scene is one change of the state directory: what there was, what is done, and
// what may be found of it.
type scene struct {
	before func(t testing.TB, s *Store)
	change func(s *Store) error
	// check is told whether the change reported success; where it did not,
	// either of the two states may be found, each of them whole.
	check func(t testing.TB, s *Store, done bool)
}

var errPulled = errors.New("the plug is pulled")

// before asks ask before each change.
func before(ask func(op, path string) error) Around {
	return func(op, path string, do func() error) error {
		if err := ask(op, path); err != nil {
			return err
		}
		return unsynced(op, path, do)
	}
}

func scenes(t testing.TB) map[string]scene {
	first, second := newBundle(t), newBundle(t)
	oldOrder, newerOrder := newOrder(t), newOrder(t)
	account := newAccount(t)
	journal := renew.Journal{Install: renew.Trouble{Count: 7, Message: strings.Repeat("long ", 200)}}
	nothing := func(testing.TB, *Store) {}
	one := func(t testing.TB, s *Store) { must(t, s.Link("www", mustCommit(t, s, "www", first))) }
	two := func(t testing.TB, s *Store) { one(t, s); mustCommit(t, s, "www", second) }
	return map[string]scene{
		"the first version": {nothing,
			func(s *Store) error { _, err := s.Commit("www", first); return err },
			func(t testing.TB, s *Store, done bool) { checkVersions(t, s, done, "[]", "[1]") }},
		"the second version": {one,
			func(s *Store) error { _, err := s.Commit("www", second); return err },
			func(t testing.TB, s *Store, done bool) {
				checkVersions(t, s, done, "[1]", "[1 2]")
				checkLive(t, s, true, 0, 1)
			}},
		"the first link": {func(t testing.TB, s *Store) { mustCommit(t, s, "www", first) },
			func(s *Store) error { return s.Link("www", 1) },
			func(t testing.TB, s *Store, done bool) { checkLive(t, s, done, 0, 1) }},
		"the next link": {two,
			func(s *Store) error { return s.Link("www", 2) },
			func(t testing.TB, s *Store, done bool) { checkLive(t, s, done, 1, 2) }},
		"pruning": {two,
			func(s *Store) error {
				if err := s.Link("www", 2); err != nil {
					return err
				}
				return s.Prune("www", 1)
			},
			func(t testing.TB, s *Store, done bool) { checkVersions(t, s, done, "[1 2]", "[2]") }},
		"the first journal": {nothing,
			func(s *Store) error { return s.Record("www", journal) },
			func(t testing.TB, s *Store, done bool) { checkJournal(t, s, done, 0, 7) }},
		"the next journal": {func(t testing.TB, s *Store) {
			must(t, s.Record("www", renew.Journal{Install: renew.Trouble{Count: 6}}))
		},
			func(s *Store) error { return s.Record("www", journal) },
			func(t testing.TB, s *Store, done bool) { checkJournal(t, s, done, 6, 7) }},
		"the first order": {nothing,
			func(s *Store) error { return s.BeginOrder("www", oldOrder) },
			func(t testing.TB, s *Store, done bool) { checkOrders(t, s, done, oldOrder, Order{}) }},
		"an order in place of another": {func(t testing.TB, s *Store) { must(t, s.BeginOrder("www", oldOrder)) },
			func(s *Store) error { return s.BeginOrder("www", newerOrder) },
			func(t testing.TB, s *Store, done bool) { checkOrders(t, s, done, newerOrder, Order{}, oldOrder) }},
		"the order's URL": {func(t testing.TB, s *Store) { must(t, s.BeginOrder("www", oldOrder)) },
			func(s *Store) error { return s.SetOrderURL("www", "https://ca.example/order/1") },
			func(t testing.TB, s *Store, done bool) {
				placed := oldOrder
				placed.URL = "https://ca.example/order/1"
				checkOrders(t, s, done, placed, oldOrder)
			}},
		"the end of an order": {func(t testing.TB, s *Store) { must(t, s.BeginOrder("www", oldOrder)) },
			func(s *Store) error { return s.EndOrder("www") },
			func(t testing.TB, s *Store, done bool) { checkOrders(t, s, done, Order{}, oldOrder) }},
		"an account": {nothing,
			func(s *Store) error { return s.SaveAccount(account) },
			func(t testing.TB, s *Store, done bool) {
				unregistered := Account{Directory: account.Directory, EABKeyID: account.EABKeyID, Key: account.Key}
				checkAccounts(t, s, done, account, Account{}, unregistered)
			}},
		"a hold on an account": {func(t testing.TB, s *Store) { must(t, s.SaveAccount(account)) },
			func(s *Store) error { return s.HoldAccount(directory, "kid-1", time.Unix(2e9, 0)) },
			func(t testing.TB, s *Store, done bool) {
				held := account
				held.HoldUntil = time.Unix(2e9, 0).UTC()
				checkAccounts(t, s, done, held, account)
			}},
		"an entry of a ledger": {func(t testing.TB, s *Store) { must(t, spend(s, "before")) },
			func(s *Store) error { return spend(s, "after") },
			func(t testing.TB, s *Store, done bool) { checkLedger(t, s, done) }},
	}
}

// Power fails after each of the changes of the disk, one after the other.
func TestAStopAnywhereLeavesTheOldOrTheNew(t *testing.T) {
	for name, c := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			points := eachPoint(t, c, func(at, now int) error {
				if now >= at {
					return errPulled
				}
				return nil
			}, errPulled)
			if points < 3 {
				t.Errorf("stopped at %d points only", points)
			}
		})
	}
}

// One change fails and the process lives on: nothing unfinished stays behind
// that the next change does not clear away.
func TestAFailureAnywhereLeavesTheOldOrTheNew(t *testing.T) {
	for name, c := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			eachPoint(t, c, func(at, now int) error {
				if now == at {
					return syscall.EIO
				}
				return nil
			}, syscall.EIO)
		})
	}
}

// eachPoint fails the change at each of its points, looks at what a new process
// finds, and lets that one do it again.
func eachPoint(t *testing.T, c scene, fail func(at, now int) error, want error) (points int) {
	mount := inMemory(t)
	for at := 0; ; at++ {
		s := openUnsynced(t, filepath.Join(mount, strconv.Itoa(at)))
		c.before(t, s)
		now := 0
		var failedAt string
		s.folder.Around = before(func(op, path string) error {
			err := fail(at, now)
			now++
			if err != nil && failedAt == "" {
				failedAt = op + " " + path
			}
			return err
		})
		err := c.change(s)
		if failedAt == "" {
			must(t, err)
			c.check(t, s, true)
			return at
		}
		pathError, ok := errors.AsType[*fs.PathError](err)
		if err != nil && (!errors.Is(err, want) || !ok || !strings.HasPrefix(pathError.Path, s.Path())) {
			t.Errorf("%s: the error does not tell what failed where: %v", failedAt, err)
		}
		s.folder.Around = nil
		must(t, s.Close())
		checkAgain(t, s.Path(), c, err == nil, failedAt)
	}
}

func checkAgain(t testing.TB, dir string, c scene, done bool, where string) {
	t.Helper()
	r, err := OpenReadOnly(dir) // what a reader sees, before anything is cleared away
	must(t, err)
	c.check(t, r, done)
	must(t, r.Close())
	s := openUnsynced(t, dir)
	c.check(t, s, done)
	if err := c.change(s); err != nil {
		t.Errorf("%s: not the second time either: %v", where, err)
	}
	c.check(t, s, true)
	for _, name := range leftovers(t, dir) {
		if !strings.HasPrefix(name, "accounts") {
			t.Errorf("%s: %s is left", where, name)
		}
	}
	must(t, s.Close())
}

// checkVersions wants the numbers old or done, and every version whole.
func checkVersions(t testing.TB, s *Store, done bool, before, after string) {
	t.Helper()
	for _, v := range versionsOf(t, s, "www") {
		if !v.Usable() {
			t.Errorf("version %d: %s", v.N, v.FaultDetail)
		}
	}
	got := fmt.Sprint(append([]int{}, numbersOf(t, s)...))
	if got != after && (done || got != before) {
		t.Errorf("versions %s, done = %v", got, done)
	}
}

func checkLive(t testing.TB, s *Store, done bool, before, after int) {
	t.Helper()
	n, _, err := s.Live("www")
	must(t, err)
	if n != after && (done || n != before) {
		t.Errorf("live is %d, done = %v", n, done)
	}
	if n > 0 {
		readLive(t, s.LiveDir("www"))
	}
}

func checkJournal(t testing.TB, s *Store, done bool, before, after int) {
	t.Helper()
	j, err := s.Journal("www")
	must(t, err)
	if n := j.Install.Count; n != after && (done || n != before) {
		t.Errorf("journal %d, done = %v", n, done)
	}
	if _, bad := modes(t, s.Path())["certs/www/journal.json.bad"]; bad {
		t.Error("the journal was garbage")
	}
}

func checkOrders(t testing.TB, s *Store, done bool, after Order, others ...Order) {
	t.Helper()
	got, _, err := s.Order("www")
	must(t, err)
	if reflect.DeepEqual(got, after) {
		return
	}
	for _, o := range others {
		if !done && reflect.DeepEqual(got, o) {
			return
		}
	}
	t.Errorf("the order is %+v, done = %v", got, done)
}

func checkAccounts(t testing.TB, s *Store, done bool, after Account, others ...Account) {
	t.Helper()
	got, _ := getAccount(t, s)
	if reflect.DeepEqual(got, after) {
		return
	}
	for _, a := range others {
		if !done && reflect.DeepEqual(got, a) {
			return
		}
	}
	t.Errorf("the account is %+v, done = %v", got, done)
}

// checkLedger wants what was spent before, whatever happened.
func checkLedger(t testing.TB, s *Store, done bool) {
	t.Helper()
	e := entries(t, s)
	if len(e) == 0 || e[0].Ref != "before" || done && e[len(e)-1].Ref != "after" {
		t.Errorf("the ledger is %+v, done = %v", e, done)
	}
}

// What is not synced may be lost with the power, in any order: so whatever gets
// its name by a rename is synced before, and the directory after.
func TestEverythingIsSyncedInOrder(t *testing.T) {
	for name, c := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			c.before(t, s)
			files, dirs := map[string]bool{}, map[string]bool{} // not synced
			s.folder.Around = before(func(op, name string) error {
				switch op {
				case "create", "chmod", "chown":
					if strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".tmp") && op == "create" {
						files[name] = true
					}
					if op == "create" {
						dirs[path.Dir(name)] = true
					}
				case "sync":
					delete(files, name)
				case "syncdir":
					delete(dirs, name)
				case "mkdir":
					dirs[name], dirs[path.Dir(name)] = true, true
				case "symlink":
					dirs[path.Dir(name)] = true
				case "rename":
					checkSynced(t, name, files, dirs)
					dirs[path.Dir(name)] = true
				}
				return nil
			})
			must(t, c.change(s))
			if len(files)+len(dirs) > 0 {
				t.Errorf("not synced in the end: %v %v", files, dirs)
			}
		})
	}
}

func checkSynced(t *testing.T, renamed string, files, dirs map[string]bool) {
	t.Helper()
	for file := range files {
		t.Errorf("%s got its name while %s was not synced", renamed, file)
	}
	for dir := range dirs {
		if dir != path.Dir(renamed) && strings.HasPrefix(dir, filepath.ToSlash(renamed)) {
			t.Errorf("%s got its name while the directory %s was not synced", renamed, dir)
		}
	}
}
