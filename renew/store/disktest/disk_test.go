package disktest

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// actor makes changes below a directory, as the store does.
type actor struct {
	t    *testing.T
	dir  string
	disk *Disk
}

func newActor(t *testing.T) *actor {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "old"), []byte("old"), 0o600))
	disk, err := Watch(dir)
	must(t, err)
	return &actor{t, dir, disk}
}

func (a *actor) do(op, name string, change func(path string) error) {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	must(a.t, a.disk.Around(op, path, func() error { return change(path) }))
}

func (a *actor) create(name, text string) {
	a.t.Helper()
	a.do("create", name, func(path string) error { return os.WriteFile(path, nil, 0o600) })
	a.do("write", name, func(path string) error { return os.WriteFile(path, []byte(text), 0o600) })
}

func (a *actor) sync(op, name string) {
	a.t.Helper()
	a.do(op, name, func(string) error { return nil })
}

func (a *actor) rename(from, to string) {
	a.t.Helper()
	a.do("rename", to, func(path string) error { return os.Rename(filepath.Join(a.dir, from), path) })
}

// found is everything that images of many seeds show, each as "name=content …".
func (a *actor) found() []string {
	a.t.Helper()
	var all []string
	for seed := range uint64(60) {
		to := filepath.Join(a.t.TempDir(), "image")
		must(a.t, a.disk.Image(to, rand.New(rand.NewPCG(seed, 0))))
		all = append(all, list(a.t, to))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func list(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		text, _ := os.ReadFile(path) // a directory has none
		if to, err := os.Readlink(path); err == nil {
			text = []byte("->" + to)
		}
		lines = append(lines, strings.TrimPrefix(path, dir+"/")+"="+strings.ReplaceAll(string(text), "\x00", "0"))
		return nil
	}))
	return strings.Join(lines, " ")
}

func (a *actor) want(what string, want ...string) {
	a.t.Helper()
	if got := a.found(); !slices.Equal(got, want) {
		a.t.Errorf("%s: found %q, want %q", what, got, want)
	}
}

func TestWhatIsSyncedStaysAndTheRestIsAnything(t *testing.T) {
	a := newActor(t)
	a.want("nothing happened", "old=old")
	a.create("new", "ab")
	a.want("nothing synced", "new= old=old", "new=00 old=old", "new=a old=old", "new=ab old=old", "old=old")
	a.sync("sync", "new")
	a.want("the file synced", "new=ab old=old", "old=old")
	a.sync("syncdir", ".")
	a.want("its name synced", "new=ab old=old")
	a.rename("new", "old")
	a.want("renamed", "new=ab old=old", "old=ab")
	a.sync("syncdir", ".")
	a.want("the rename synced", "old=ab")
	a.do("remove", "old", os.Remove)
	a.want("removed", "", "old=ab")
	a.sync("syncdir", ".")
	a.want("the removal synced", "")
}

func TestAFolderThatIsRenamedBeforeItIsSyncedMayBeEmpty(t *testing.T) {
	a := newActor(t)
	a.do("mkdir", "d.tmp", func(path string) error { return os.Mkdir(path, 0o700) })
	a.create("d.tmp/f", "ab")
	a.sync("sync", "d.tmp/f")
	a.rename("d.tmp", "d")
	a.sync("syncdir", ".")
	a.want("the parent alone synced", "d= d/f=ab old=old", "d= old=old")
	a.sync("syncdir", "d")
	a.want("both synced", "d= d/f=ab old=old")
	a.do("remove", "d", os.RemoveAll)
	a.want("a removal half-way", "d= d/f=ab old=old", "d= old=old", "old=old")
}

func TestALinkSwitchesAsAWhole(t *testing.T) {
	a := newActor(t)
	a.do("symlink", "l", func(path string) error { return os.Symlink("one", path) })
	a.sync("syncdir", ".")
	a.do("symlink", "l.tmp", func(path string) error { return os.Symlink("two", path) })
	a.rename("l.tmp", "l")
	a.want("switched", "l=->one l.tmp=->two old=old", "l=->one old=old", "l=->two old=old")
}

func TestAFaultMeetsTheChangesThatItIsMeantFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func() error { return os.WriteFile(path, []byte("abcd"), 0o600) }
	nothing := func() error { return nil }

	full := &Fault{First: 2, Err: syscall.ENOSPC}
	for i, c := range []struct {
		op   string
		want error
	}{{"create", nil}, {"rename", nil}, {"write", syscall.ENOSPC}, {"remove", nil}, {"mkdir", syscall.ENOSPC}} {
		if err := full.Around(c.op, path, write); !errors.Is(err, c.want) {
			t.Errorf("change %d, a %s: %v, want %v", i, c.op, err, c.want)
		}
	}
	once := &Fault{First: 2, Count: 1, Err: syscall.EIO}
	var got []bool
	for range 4 {
		got = append(got, once.Around("sync", path, nothing) != nil)
	}
	if !slices.Equal(got, []bool{false, true, false, false}) || once.Failed() != 1 {
		t.Errorf("failed: %v, %d", got, once.Failed())
	}
}

func TestAWriteThatFailsIsTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	fault := &Fault{First: 1, Err: syscall.ENOSPC}
	err := fault.Around("write", path, func() error { return os.WriteFile(path, []byte("abcd"), 0o600) })
	text, readErr := os.ReadFile(path)
	if !errors.Is(err, syscall.ENOSPC) || readErr != nil || string(text) != "ab" {
		t.Errorf("%v; %q, %v", err, text, readErr)
	}
}

func TestWhatIsForgottenIsNotMade(t *testing.T) {
	made := []string{}
	around := Skip(func(op, _ string) bool { return op == "sync" }, func(op, _ string, do func() error) error { return do() })
	for _, op := range []string{"create", "sync", "rename"} {
		must(t, around(op, "", func() error { made = append(made, op); return nil }))
	}
	if !slices.Equal(made, []string{"create", "rename"}) {
		t.Errorf("made: %v", made)
	}
}
