package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/renew/store/disktest"
)

// imagesEach is how many of the things that a loss of power may leave are looked
// at, at each point of a change.
const imagesEach = 3

// Power fails after each of the changes of the disk; what was not synced is
// there, or a part of it, or not.
func TestALossOfPowerAnywhereLeavesTheOldOrTheNew(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, c := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			images := losePower(t, c, seed, nil)
			if images < 3*imagesEach {
				t.Errorf("power was lost %d times only", images)
			}
		})
	}
}

// unsynced spares the time that syncing takes: the power that is lost is not
// that of the disk under the test.
func unsynced(op, _ string, do func() error) error {
	if op == "sync" || op == "syncdir" {
		return nil
	}
	return do()
}

func openUnsynced(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := OpenAround(dir, unsynced)
	must(t, err)
	s.settled = 0
	t.Cleanup(func() { _ = s.Close() }) // most tests have closed it already
	return s
}

// inMemory mounts a file system in memory: thousands of images are made.
func inMemory(t testing.TB) string {
	t.Helper()
	mount := t.TempDir()
	if err := syscall.Mount("none", mount, "tmpfs", 0, "size=64m,mode=755"); err != nil {
		t.Fatal("mounting a file system in memory:", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(mount, syscall.MNT_DETACH) })
	return mount
}

// losePower makes the change and loses the power after each step of it, and
// after its end. Changes that it forgets are left out, where forgets is set.
func losePower(t testing.TB, c scene, seed uint64, forgets func(op, path string) bool) (images int) {
	t.Helper()
	mount := inMemory(t)
	s := openUnsynced(t, filepath.Join(mount, "state"))
	c.before(t, s)
	disk, err := disktest.Watch(s.Path())
	must(t, err)
	around := disk.Around
	if forgets != nil {
		around = disktest.Skip(forgets, around)
	}
	must(t, os.Mkdir(filepath.Join(mount, "image"), 0o755))
	lose := func(done bool, where string) {
		for range imagesEach {
			images++
			dir := filepath.Join(mount, "image", strconv.Itoa(images))
			must(t, disk.Image(dir, rand.New(rand.NewPCG(seed, uint64(images)))))
			checkAgain(t, dir, c, done, fmt.Sprintf("image %d, power lost after %s", images, where))
		}
	}
	s.folder.Around = func(op, path string, do func() error) error {
		err := around(op, path, func() error { return unsynced(op, path, do) })
		lose(false, op+" "+strings.TrimPrefix(path, s.Path()+"/"))
		return err
	}
	must(t, c.change(s))
	lose(true, "the end")
	must(t, s.Close())
	return images
}

// verdict is a test that notes what it is told instead of failing.
type verdict struct {
	testing.TB
	told []string
}

func (v *verdict) Helper() {}

func (v *verdict) Errorf(format string, args ...any) {
	v.told = append(v.told, fmt.Sprintf(format, args...))
}

func (v *verdict) Error(args ...any) { v.told = append(v.told, fmt.Sprint(args...)) }

func (v *verdict) Fatal(args ...any) {
	v.told = append(v.told, fmt.Sprint(args...))
	panic(v) // judge gets out
}

// judge tells what a test would have said.
func judge(t testing.TB, test func(t testing.TB)) []string {
	v := &verdict{TB: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != any(v) {
				panic(r)
			}
		}()
		test(v)
	}()
	return v.told
}

// The judge is put to the test: a store that forgets one sync is found out.
func TestAMissingSyncIsFoundOut(t *testing.T) {
	all := scenes(t)
	for _, c := range []struct{ scene, forgotten string }{
		{"the first version", "sync privkey.pem"},
		{"the first version", "sync fullchain.pem"},
		{"the first version", "syncdir 1.tmp"},
		{"the first version", "syncdir versions"},
		{"the first version", "syncdir www"},
		{"the second version", "syncdir versions"},
		{"the first link", "syncdir live"},
		{"the next link", "syncdir live"},
		{"the first journal", "sync .journal.json.tmp"},
		{"the first journal", "syncdir certs"},
		{"the next journal", "sync .journal.json.tmp"},
		{"the next journal", "syncdir www"},
		{"the first order", "sync order.json"},
		{"the first order", "sync csr.der"},
		{"the first order", "syncdir order.tmp"},
		{"the order's URL", "sync .order.json.tmp"},
		{"the order's URL", "syncdir order"},
		{"the end of an order", "syncdir www"},
		{"pruning", "syncdir versions"},
		{"an account", "sync .key.pem.tmp"},
		{"an account", "sync .account.json.tmp"},
		{"a hold on an account", "sync .account.json.tmp"},
		{"an entry of a ledger", "sync .ledger.json.tmp"},
	} {
		t.Run(c.scene+" without "+c.forgotten, func(t *testing.T) {
			scene, there := all[c.scene]
			if !there {
				t.Fatal("there is no such scene")
			}
			forgot := 0
			forgets := func(op, path string) bool {
				is := op+" "+filepath.Base(path) == c.forgotten
				if is {
					forgot++
				}
				return is
			}
			for seed := range uint64(20) {
				if told := judge(t, func(t testing.TB) { losePower(t, scene, seed, forgets) }); len(told) > 0 {
					t.Logf("seed %d: %s", seed, told[0])
					return
				}
			}
			t.Errorf("it was forgotten %d times, and nobody noticed", forgot)
		})
	}
}

// Power fails while Open makes the layout, and while it clears away what a
// crash left: the next Open has a store that works.
func TestALossOfPowerWhileTheDirectoryIsOpened(t *testing.T) {
	mount := inMemory(t)
	for name, before := range map[string]func(dir string){
		"made": func(string) {},
		"cleared": func(dir string) {
			s := openUnsynced(t, dir)
			mustCommit(t, s, "www", newBundle(t))
			must(t, s.Close())
			must(t, os.Mkdir(filepath.Join(dir, "certs/www/versions/2.tmp"), 0o755))
			write(t, filepath.Join(dir, "certs/www/versions/2.tmp/privkey.pem"), []byte("-----BEG"))
			write(t, filepath.Join(dir, "certs/www/.journal.json.tmp"), []byte("{"))
		},
	} {
		dir := filepath.Join(mount, name)
		must(t, os.Mkdir(dir, 0o755))
		before(dir)
		disk, err := disktest.Watch(dir)
		must(t, err)
		images := 0
		s, err := OpenAround(dir, func(op, path string, do func() error) error {
			err := disk.Around(op, path, func() error { return unsynced(op, path, do) })
			for range imagesEach {
				images++
				image := filepath.Join(mount, fmt.Sprintf("%s-%d", name, images))
				must(t, disk.Image(image, rand.New(rand.NewPCG(uint64(images), 0))))
				next := openUnsynced(t, image)
				mustCommit(t, next, "www", newBundle(t))
				if got := versionsOf(t, next, "www"); !got[len(got)-1].Usable() {
					t.Errorf("power lost after %s %s: %+v", op, path, got)
				}
				must(t, next.Close())
				if left := leftovers(t, image); len(left) > 0 {
					t.Errorf("power lost after %s %s: left %q", op, path, left)
				}
			}
			return err
		})
		must(t, err)
		must(t, s.Close())
		if images < imagesEach {
			t.Errorf("%s: power was lost %d times", name, images)
		}
	}
}
