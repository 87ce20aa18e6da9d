package install

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
	"github.com/certvigil/certvigil/renew/store/disktest"
)

// readFlipped reads a directory's pair as a careful reader does: it opens the
// directory once and reads both from it.
func readFlipped(dir string) (key, fullchain []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	if key, err = root.ReadFile("privkey.pem"); err != nil {
		return nil, nil, err
	}
	fullchain, err = root.ReadFile("fullchain.pem")
	return key, fullchain, err
}

// numbered is a pair that says which it is.
func numbered(n int) store.Bundle {
	part := func(what string) []byte { return fmt.Appendf(nil, "%s %d\n%s", what, n, strings.Repeat("x", 3000)) }
	return store.Bundle{Key: part("key"), Cert: part("cert"), Chain: part("chain")}
}

func numberIn(data []byte, what string) int {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	text, is := bytes.CutPrefix(line, []byte(what+" "))
	n, err := strconv.Atoi(string(text))
	if !ok || !is || err != nil || len(rest) < 3000 {
		return -1
	}
	return n
}

// flips is how often the directory is switched while others read.
var flips = flag.Int("install.flips", 1000, "how often a directory is switched while others read")

// inMemory makes a directory where a sync costs nothing.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "certvigil-test-")
	if err != nil {
		return newDir(t)
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

func TestNoReaderOfADirectoryMeetsTwoVersions(t *testing.T) {
	count, dir := *flips, inMemory(t)
	o := renew.Output{Format: "pem", Directory: dir + "/www"}
	must(t, Write(o, numbered(0)))
	stop := make(chan struct{})
	var wait sync.WaitGroup
	reads, wrong := 0, []string{}
	wait.Go(func() {
		for last := 0; ; {
			key, fullchain, err := readFlipped(o.Directory)
			a, b := numberIn(key, "key"), numberIn(fullchain, "cert")
			if reads++; err != nil || a != b || a < last {
				wrong = append(wrong, fmt.Sprintf("key of %d, certificate of %d, after %d: %v", a, b, last, err))
			}
			last = a
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for n := 1; n <= count; n++ {
		if err := Write(o, numbered(n)); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	wait.Wait()
	if len(wrong) > 0 || reads < count/10 {
		t.Errorf("%d of %d reads were wrong: %q", len(wrong), reads, wrong[:min(len(wrong), 5)])
	}
	t.Logf("%d flips, %d reads, %d wrong", count, reads, len(wrong))
}

func TestADirectoryHasTheFilesOfItsPair(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Format: "pem", Directory: dir + "/www", Mode: 0o640, Group: "4243"}
	if state := Check(o, newPair); state.InPlace || state.Path != o.Directory || !strings.Contains(state.Detail, "/www does not exist") {
		t.Errorf("%+v", state)
	}
	must(t, Write(o, newPair))
	target, err := os.Readlink(o.Directory)
	if err != nil || target != ".www.certvigil-1" {
		t.Errorf("%q, %v", target, err)
	}
	for name, want := range map[string]string{
		"privkey.pem": "new key\n", "cert.pem": "new leaf\n", "chain.pem": "new chain\n", "fullchain.pem": "new leaf\nnew chain\n",
	} {
		if got := contentOf(t, o.Directory+"/"+name); got != want {
			t.Errorf("%s: %q", name, got)
		}
		wantAccess(t, o.Directory+"/"+name, 0o640, 0, 4243)
	}
	wantAccess(t, dir+"/"+target, fs.ModeDir|0o755, 0, 0)
	if got := Folders(o); len(got) != 1 || got[0] != dir {
		t.Errorf("folders %q", got)
	}
	if ChangedAt(o).IsZero() {
		t.Error("it never changed")
	}
}

func TestWhatADirectoryLeavesOpenIsTakenFromTheVersionBefore(t *testing.T) {
	o := renew.Output{Format: "pem", Directory: newDir(t) + "/www"}
	must(t, Write(o, oldPair))
	wantAccess(t, o.Directory+"/privkey.pem", 0o600, 0, 0)
	must(t, os.Chown(o.Directory+"/privkey.pem", 4242, 4243))
	must(t, os.Chmod(o.Directory+"/privkey.pem", 0o440))
	must(t, Write(o, newPair))
	wantAccess(t, o.Directory+"/privkey.pem", 0o440, 4242, 4243)
	wantAccess(t, o.Directory+"/cert.pem", 0o644, 0, 0)
}

func TestDriftOfADirectoryIsFoundAndPutRight(t *testing.T) {
	for name, c := range map[string]struct {
		change func(dir string) error
		reason renew.Reason
		detail string
	}{
		"the link leads elsewhere": {func(dir string) error {
			return errors.Join(os.Mkdir(dir+"/theirs", 0o755), os.Remove(dir+"/www"), os.Symlink("theirs", dir+"/www"))
		}, renew.InstallPending, `/www is a symlink to "theirs"`},
		"the link dangles": {func(dir string) error { return os.RemoveAll(dir + "/.www.certvigil-1") },
			renew.InstallPending, "/www leads to no directory"},
		"the link leads to one that never was": {func(dir string) error {
			return errors.Join(os.Remove(dir+"/www"), os.Symlink(".www.certvigil-9", dir+"/www"))
		}, renew.InstallPending, "/www leads to no directory"},
		"a link of another user": {func(dir string) error { return os.Lchown(dir+"/www", 4242, 4242) },
			renew.InstallPending, "/www belongs to user 4242"},
		"the link is gone":      {func(dir string) error { return os.Remove(dir + "/www") }, renew.InstallPending, "/www does not exist"},
		"the directory is shut": {func(dir string) error { return os.Chmod(dir+"/.www.certvigil-1", 0o700) }, renew.Drift, "has mode 0700, not 0755"},
		"a file is gone":        {func(dir string) error { return os.Remove(dir + "/www/chain.pem") }, renew.InstallPending, "/www/chain.pem does not exist"},
		"the directory is another user's": {func(dir string) error { return os.Chown(dir+"/.www.certvigil-1", 4242, -1) },
			renew.Drift, "belongs to user 4242"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			o := renew.Output{Format: "pem", Directory: dir + "/www"}
			must(t, Write(o, newPair))
			must(t, c.change(dir))
			if state := Check(o, newPair); state.InPlace || state.Reason != c.reason || !strings.Contains(state.Detail, c.detail) {
				t.Errorf("%+v", state)
			}
			must(t, Write(o, newPair))
			if state := Check(o, newPair); !state.InPlace {
				t.Errorf("%+v", state)
			}
		})
	}
}

func TestADirectoryDoesNotReplaceAnotherOne(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Format: "pem", Directory: dir + "/www"}
	must(t, os.Mkdir(o.Directory, 0o755))
	must(t, os.WriteFile(o.Directory+"/precious", nil, 0o600))
	if err := Write(o, newPair); err == nil || !strings.Contains(err.Error(), o.Directory+" is there and is no symlink: move it away") {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v", left)
	}
}

// What a crash leaves in the middle of a version goes with the next one, and is
// never what the link leads to.
func TestWhatACrashLeftOfAVersionGoes(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Format: "pem", Directory: dir + "/www"}
	must(t, Write(o, oldPair))
	must(t, os.Mkdir(dir+"/.www.certvigil-2", 0o700))
	must(t, os.WriteFile(dir+"/.www.certvigil-2/privkey.pem", []byte("half a k"), 0o600))
	must(t, os.Mkdir(dir+"/.www.certvigil-3", 0o700))
	must(t, os.WriteFile(dir+"/.wwwx.certvigil-3", nil, 0o600))
	must(t, Write(o, newPair))
	if !Check(o, newPair).InPlace {
		t.Errorf("%+v", Check(o, newPair))
	}
	wantNames(t, dir, ".www.certvigil-1 .www.certvigil-2 .wwwx.certvigil-3 www")
}

func TestAReplacedVersionGoesWithTheSwitchAfterNext(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Format: "pem", Directory: dir + "/www"}
	for n := range 3 {
		must(t, Write(o, numbered(n)))
	}
	wantNames(t, dir, ".www.certvigil-1 .www.certvigil-2 .www.certvigil-3 www") // somebody may be reading still
	past := time.Now().Add(-2 * stays)
	must(t, os.Chtimes(dir+"/.www.certvigil-2", past, past))
	must(t, os.Chtimes(dir+"/.www.certvigil-3", past, past))
	must(t, Write(o, numbered(3)))
	wantNames(t, dir, ".www.certvigil-3 .www.certvigil-4 www")
}

func wantNames(t *testing.T, dir, want string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// flipped tells what is wrong with a directory: it has to be all of the old pair
// or all of the new one, and the new one where the switch is done, with little
// beside it.
func flipped(o renew.Output, done bool) (wrong []string) {
	key, fullchain, err := readFlipped(o.Directory)
	isOld := bytes.Equal(key, oldPair.Key) && bytes.Equal(fullchain, oldPair.Fullchain())
	isNew := bytes.Equal(key, newPair.Key) && bytes.Equal(fullchain, newPair.Fullchain())
	if err != nil || !isNew && (done || !isOld) {
		wrong = append(wrong, fmt.Sprintf("%q, %q, done = %v: %v", key, fullchain, done, err))
	}
	if left, _ := filepath.Glob(filepath.Dir(o.Directory) + "/.www.certvigil-*"); done && len(left) > 3 {
		wrong = append(wrong, fmt.Sprintf("left %q", left))
	}
	return wrong
}

func aDirectory(t *testing.T) outlet {
	in := func(dir string) renew.Output { return renew.Output{Format: "pem", Directory: dir + "/www"} }
	return outlet{inMemory(t), in, flipped, []string{"sync privkey.pem", "sync fullchain.pem", "syncdir .www.certvigil-2", "syncdir out"}}
}

func TestALossOfPowerLeavesADirectoryWhole(t *testing.T)  { staysWhole(t, aDirectory(t)) }
func TestAMissingSyncOfADirectoryIsFoundOut(t *testing.T) { isFoundOut(t, aDirectory(t)) }

// The first change fails, then the second, and so on until none does.
func TestAFailingDiskLeavesADirectoryWhole(t *testing.T) {
	for _, count := range []int{0, 1} {
		for n := 1; ; n++ {
			dir := newDir(t)
			o := renew.Output{Format: "pem", Directory: dir + "/www"}
			must(t, Write(o, oldPair))
			f := &disktest.Fault{First: n, Count: count, Err: syscall.ENOSPC}
			err := Writer{Around: f.Around}.Write(o, newPair)
			if what := flipped(o, err == nil); len(what) > 0 {
				t.Errorf("the %d. change fails (%v): %s", n, err, what)
			}
			if f.Failed() > 0 && err != nil && !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("the %d. change: %v", n, err)
			}
			must(t, Write(o, newPair))
			if f.Failed() == 0 {
				break
			}
		}
	}
}

func TestAnOutputInsideOfAnothersDirectoryIsAConflict(t *testing.T) {
	realDir, alias := aliased(t)
	flip := renew.Output{Format: "pem", Directory: realDir + "/www"}
	for name, other := range map[string]renew.Output{
		"a file in it":                  {Key: alias + "/www/extra.key"},
		"a file below it":               {Key: alias + "/www/sub/extra.key"},
		"one of its own":                {Format: "bundle", Path: realDir + "/www/fullchain.pem"},
		"the directory as a file":       {Fullchain: alias + "/www"},
		"the same once more":            {Format: "pem", Directory: alias + "/www"},
		"another directory, and inside": {Format: "pem", Directory: alias + "/www/inner"},
	} {
		for _, claims := range [][]Claim{{{"a", flip}, {"b", other}}, {{"b", other}, {"a", flip}}} {
			if err := Conflicts("", claims); err == nil || !strings.Contains(err.Error(), "/www") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	must(t, Conflicts("", []Claim{{"a", flip}, {"b", renew.Output{Key: realDir + "/www.key", Fullchain: realDir + "/wwwx/y"}}}))
}
