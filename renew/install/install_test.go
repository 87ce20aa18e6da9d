package install

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// These bundles are only bytes: nothing here parses them.
var (
	oldPair = store.Bundle{Key: []byte("old key\n"), Cert: []byte("old leaf\n"), Chain: []byte("old chain\n")}
	newPair = store.Bundle{Key: []byte("new key\n"), Cert: []byte("new leaf\n"), Chain: []byte("new chain\n")}
)

// newDir makes a directory that is safe all the way up, which those of the
// system's for temporary files need not be.
func newDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return dir
}

func outputIn(dir string) renew.Output {
	return renew.Output{Format: "pem", Key: dir + "/www.key", Cert: dir + "/www.cert", Chain: dir + "/www.chain", Fullchain: dir + "/www.crt"}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func contentOf(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

func wantAccess(t *testing.T, path string, mode fs.FileMode, uid, gid uint32) {
	t.Helper()
	st, err := os.Lstat(path)
	must(t, err)
	if sys := st.Sys().(*syscall.Stat_t); st.Mode() != mode || sys.Uid != uid || sys.Gid != gid {
		t.Errorf("%s is %v %d:%d, want %v %d:%d", path, st.Mode(), sys.Uid, sys.Gid, mode, uid, gid)
	}
}

func wantNothingLeft(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".tmp") {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// write is Write; before is asked before each change of the disk.
func write(o renew.Output, b store.Bundle, before func(op, path string) error) error {
	return Writer{Around: func(op, path string, do func() error) error {
		if err := before(op, path); err != nil {
			return err
		}
		return do()
	}}.Write(o, b)
}

func TestWritePutsEveryPartInPlace(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	dir := newDir(t)
	o := outputIn(dir)
	if state := Check(o, newPair); state.InPlace || state.Reason != renew.InstallPending || state.Path != o.Fullchain {
		t.Errorf("%+v", state)
	}
	if !ChangedAt(o).IsZero() {
		t.Error("changed before it was there")
	}
	must(t, Write(o, newPair))
	for path, want := range map[string]string{
		o.Key: "new key\n", o.Cert: "new leaf\n", o.Chain: "new chain\n", o.Fullchain: "new leaf\nnew chain\n",
	} {
		if got := contentOf(t, path); got != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	wantAccess(t, o.Key, 0o600, 0, 0)
	wantAccess(t, o.Fullchain, 0o644, 0, 0)
	wantAccess(t, o.Chain, 0o644, 0, 0)
	if state := Check(o, newPair); !state.InPlace || state.Reason != "" || state.Detail != "" {
		t.Errorf("%+v", state)
	}
	if since := time.Since(ChangedAt(o)); since > time.Minute || since < -time.Minute {
		t.Errorf("changed %v ago", since)
	}
	wantNothingLeft(t, dir)
}

func TestWriteWritesOnlyThePartsThatAreNamed(t *testing.T) {
	dir := newDir(t)
	must(t, Write(renew.Output{Fullchain: dir + "/www.crt"}, newPair))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
	if state := Check(renew.Output{}, newPair); !state.InPlace {
		t.Errorf("no paths at all: %+v", state)
	}
}

func TestOwnerGroupAndMode(t *testing.T) {
	for name, c := range map[string]struct {
		output   func(o *renew.Output)
		existing bool
		mode     fs.FileMode // of key and fullchain
		certMode fs.FileMode
		uid, gid uint32
	}{
		"what is configured holds for all of the files": {func(o *renew.Output) { o.Owner, o.Group, o.Mode = "4242", "4243", 0o640 }, false, 0o640, 0o640, 4242, 4243},
		"and outranks what was there":                   {func(o *renew.Output) { o.Owner, o.Group, o.Mode = "7", "8", 0o400 }, true, 0o400, 0o400, 7, 8},
		"names are looked up":                           {func(o *renew.Output) { o.Owner, o.Group = "nobody", "nogroup" }, false, 0o600, 0o644, 65534, 65534},
		"what isn't is kept as it was":                  {func(*renew.Output) {}, true, 0o640, 0o604, 4244, 4245},
		"each for itself":                               {func(o *renew.Output) { o.Group = "8" }, true, 0o640, 0o604, 4244, 8},
	} {
		t.Run(name, func(t *testing.T) {
			o := outputIn(newDir(t))
			c.output(&o)
			if c.existing {
				for path, mode := range map[string]fs.FileMode{o.Key: 0o640, o.Fullchain: 0o604} {
					must(t, os.WriteFile(path, nil, mode))
					must(t, os.Chmod(path, mode))
					must(t, os.Chown(path, 4244, 4245))
				}
			}
			must(t, Write(o, newPair))
			wantAccess(t, o.Key, c.mode, c.uid, c.gid)
			wantAccess(t, o.Fullchain, c.certMode, c.uid, c.gid)
			if state := Check(o, newPair); !state.InPlace {
				t.Errorf("%+v", state)
			}
		})
	}
}

// Nobody may read a key at a moment at which it is there already and its mode
// is not yet.
func TestAFileGetsItsModeWhileItIsEmpty(t *testing.T) {
	dir := newDir(t)
	o := renew.Output{Key: dir + "/www.key", Owner: "4242", Mode: 0o640}
	seen := false
	must(t, write(o, newPair, func(op, path string) error {
		if op == "write" {
			seen = true
			wantAccess(t, path, 0o640, 4242, 0)
		}
		return nil
	}))
	if !seen {
		t.Error("nothing was written")
	}
}

func TestCheckTellsWhatDiffers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(o renew.Output) error
		reason renew.Reason
		detail string
	}{
		"a file is gone":       {func(o renew.Output) error { return os.Remove(o.Chain) }, renew.InstallPending, "www.chain does not exist"},
		"another key":          {func(o renew.Output) error { return os.WriteFile(o.Key, oldPair.Key, 0o640) }, renew.InstallPending, "www.key has another content"},
		"a line too many":      {func(o renew.Output) error { return os.WriteFile(o.Cert, []byte("new leaf\n\n"), 0o640) }, renew.InstallPending, "www.cert has another content"},
		"another mode":         {func(o renew.Output) error { return os.Chmod(o.Key, 0o644) }, renew.Drift, "www.key has mode 0644, not 0640"},
		"another owner":        {func(o renew.Output) error { return os.Chown(o.Key, 7, 4243) }, renew.Drift, "owner 7, not 4242"},
		"another group":        {func(o renew.Output) error { return os.Chown(o.Key, 4242, 7) }, renew.Drift, "group 7, not 4243"},
		"a symlink":            {func(o renew.Output) error { return errors.Join(os.Remove(o.Key), os.Symlink("www.crt", o.Key)) }, renew.InstallPending, "is a symlink"},
		"a directory":          {func(o renew.Output) error { return errors.Join(os.Remove(o.Key), os.Mkdir(o.Key, 0o700)) }, renew.InstallPending, "not a regular file"},
		"a mode and a content": {func(o renew.Output) error { return errors.Join(os.Chmod(o.Key, 0o644), os.Truncate(o.Cert, 0)) }, renew.InstallPending, "www.cert has another content; "},
	} {
		t.Run(name, func(t *testing.T) {
			o := outputIn(newDir(t))
			o.Owner, o.Group, o.Mode = "4242", "4243", 0o640
			must(t, Write(o, newPair))
			before := ChangedAt(o)
			must(t, c.change(o))
			state := Check(o, newPair)
			if state.InPlace || state.Reason != c.reason || !strings.Contains(state.Detail+"; ", c.detail) {
				t.Errorf("%+v", state)
			}
			if ChangedAt(o).Before(before) {
				t.Error("it changed and is older than before")
			}
		})
	}
}

func TestWriteLeavesAloneWhatIsInPlace(t *testing.T) {
	o := outputIn(newDir(t))
	must(t, Write(o, newPair))
	inode := func(path string) uint64 {
		st, err := os.Stat(path)
		must(t, err)
		return st.Sys().(*syscall.Stat_t).Ino
	}
	key, chain := inode(o.Key), inode(o.Chain)
	must(t, os.Truncate(o.Chain, 0))
	must(t, Write(o, newPair))
	if inode(o.Key) != key || inode(o.Chain) == chain {
		t.Error("the wrong files were replaced")
	}
}

func TestWriteRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(t *testing.T, dir string, o *renew.Output)
		want    string
	}{
		"a symlink, which some other client has made": {func(t *testing.T, dir string, o *renew.Output) {
			must(t, os.Symlink("../../archive/privkey1.pem", o.Key))
		}, `www.key is a symlink to "../../archive/privkey1.pem"`},
		"a directory in place of a file": {func(t *testing.T, dir string, o *renew.Output) { must(t, os.Mkdir(o.Key, 0o700)) }, "www.key is not a regular file"},
		"a parent that is missing": {func(t *testing.T, dir string, o *renew.Output) { o.Key = dir + "/tls/private/www.key" },
			"/tls does not exist"},
		"a parent that is a file": {func(t *testing.T, dir string, o *renew.Output) {
			must(t, os.WriteFile(dir+"/tls", nil, 0o600))
			o.Key = dir + "/tls/www.key"
		}, "/tls: not a directory"},
		"a directory that anyone may write to": {func(t *testing.T, dir string, o *renew.Output) {
			must(t, os.MkdirAll(dir+"/open/tls", 0o755))
			must(t, os.Chmod(dir+"/open", 0o777))
			o.Key = dir + "/open/tls/www.key"
		}, "/open can be written to by anyone (mode 0777)"},
		"a directory of another user's": {func(t *testing.T, dir string, o *renew.Output) {
			must(t, os.MkdirAll(dir+"/home/tls", 0o755))
			must(t, os.Chown(dir+"/home", 4242, 4242))
			o.Key = dir + "/home/tls/www.key"
		}, "/home belongs to user 4242"},
		"another user's symlink in a sticky directory": {func(t *testing.T, dir string, o *renew.Output) {
			must(t, os.Chmod(dir, 0o777|fs.ModeSticky))
			must(t, os.Symlink("/etc", dir+"/tls"))
			must(t, os.Lchown(dir+"/tls", 4242, 4242))
			o.Key = dir + "/tls/www.key"
		}, "/tls belongs to user 4242"},
		"a circle of symlinks": {func(t *testing.T, dir string, o *renew.Output) {
			must(t, os.Symlink("tls", dir+"/tls"))
			o.Key = dir + "/tls/www.key"
		}, "too many levels of symbolic links"},
		"a user that there isn't":       {func(t *testing.T, dir string, o *renew.Output) { o.Owner = "no-such-user" }, `the owner "no-such-user"`},
		"a group that there isn't":      {func(t *testing.T, dir string, o *renew.Output) { o.Group = "no-such-group" }, `the group "no-such-group"`},
		"a path that is not absolute":   {func(t *testing.T, dir string, o *renew.Output) { o.Key = "www.key" }, "not an absolute path"},
		"one path for two of the parts": {func(t *testing.T, dir string, o *renew.Output) { o.Key = o.Cert + "/../www.cert" }, "named for two of the parts"},
		"a format that there isn't":     {func(t *testing.T, dir string, o *renew.Output) { o.Format = "cms" }, `no format "cms"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			o := outputIn(dir)
			must(t, Write(renew.Output{Fullchain: o.Fullchain}, oldPair))
			c.arrange(t, dir, &o)
			err := Write(o, newPair)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if got := contentOf(t, o.Fullchain); got != "old leaf\nold chain\n" {
				t.Errorf("another part of the output was switched all the same: %q", got)
			}
			wantNothingLeft(t, dir)
			if state := Check(o, newPair); state.InPlace {
				t.Error("Check finds it in place")
			}
		})
	}
}

func TestWriteFollowsTheOperatorsOwnSymlinksToADirectory(t *testing.T) {
	dir := newDir(t)
	must(t, os.MkdirAll(dir+"/real/tls", 0o755))
	must(t, os.Symlink("real", dir+"/relative"))
	must(t, os.Symlink(dir+"/relative/../real/./tls", dir+"/absolute"))
	must(t, Write(renew.Output{Key: dir + "/absolute/www.key"}, newPair))
	if got := contentOf(t, dir+"/real/tls/www.key"); got != "new key\n" {
		t.Error(got)
	}
}

func TestTheOutputsOwnerMayOwnTheDirectory(t *testing.T) {
	dir := newDir(t)
	must(t, os.MkdirAll(dir+"/postgresql/tls", 0o700))
	for _, d := range []string{"/postgresql", "/postgresql/tls"} {
		must(t, os.Chown(dir+d, 4242, 4242))
	}
	o := renew.Output{Key: dir + "/postgresql/tls/server.key", Owner: "4242"}
	must(t, Write(o, newPair))
	wantAccess(t, o.Key, 0o600, 4242, 0)

	// But who owns a directory leads root nowhere outside of it.
	must(t, os.RemoveAll(dir+"/postgresql/tls"))
	must(t, os.Mkdir(dir+"/victim", 0o755))
	must(t, os.Symlink("../victim", dir+"/postgresql/tls"))
	if err := Write(o, newPair); err == nil {
		t.Error("written through a symlink of the owner's")
	}
	if entries, _ := os.ReadDir(dir + "/victim"); len(entries) > 0 {
		t.Errorf("written outside: %v", entries)
	}
}

// The documented window: a stop at each of the changes leaves all of the old
// pair, or a mixture that Check finds, and Write mends both.
func TestAStopAnywhereIsFoundAndMended(t *testing.T) {
	errPulled := errors.New("the plug is pulled")
	for at := 0; ; at++ {
		dir := newDir(t)
		o := outputIn(dir)
		must(t, Write(o, oldPair))
		now, renamed := 0, 0
		err := write(o, newPair, func(op, name string) error {
			if now++; now > at {
				return errPulled
			}
			if op == "rename" {
				renamed++
			}
			return nil
		})
		isOld, isNew := Check(o, oldPair).InPlace, Check(o, newPair).InPlace
		if isOld != (renamed == 0) || isNew != (renamed == 4) {
			t.Errorf("stopped at %d, %d renamed: old %v, new %v", at, renamed, isOld, isNew)
		}
		if renamed > 0 && contentOf(t, o.Key) != "new key\n" {
			t.Error("the key was not the first")
		}
		if renamed < 4 && contentOf(t, o.Fullchain) != "old leaf\nold chain\n" {
			t.Error("fullchain was not the last")
		}
		must(t, Write(o, newPair))
		if state := Check(o, newPair); !state.InPlace {
			t.Errorf("stopped at %d, not mended: %+v", at, state)
		}
		wantNothingLeft(t, dir)
		if err == nil {
			break
		}
		if !errors.Is(err, errPulled) || !strings.Contains(err.Error(), dir) {
			t.Errorf("stopped at %d: %v", at, err)
		}
	}
}

// A disk that is full while the files are staged switches none of them.
func TestAFailureBeforeTheSwitchSwitchesNothing(t *testing.T) {
	for part := range 4 {
		dir := newDir(t)
		o := outputIn(dir)
		must(t, Write(o, oldPair))
		written := 0
		err := write(o, newPair, func(op, name string) error {
			if op != "write" {
				return nil
			}
			if written++; written == part+1 {
				return syscall.ENOSPC
			}
			return nil
		})
		if !errors.Is(err, syscall.ENOSPC) || !Check(o, oldPair).InPlace {
			t.Errorf("part %d: %v, %+v", part, err, Check(o, oldPair))
		}
		wantNothingLeft(t, dir)
	}
}

// A file system that ignores modes or owners, and another program that writes
// to the same file, are the same to who reads back.
func TestWriteReportsSuccessThoughItDoesNotHold(t *testing.T) {
	for name, c := range map[string]struct {
		meddle func(o renew.Output) error
		want   string
	}{
		"modes are not kept":    {func(o renew.Output) error { return os.Chmod(o.Key, 0o755) }, "www.key has mode 0755, not 0640: does this file system keep owners and modes?"},
		"owners are not kept":   {func(o renew.Output) error { return os.Chown(o.Cert, 0, 0) }, "www.cert has owner 0, not 4242, group 0, not 4243: does"},
		"another program wrote": {func(o renew.Output) error { return os.WriteFile(o.Fullchain, []byte("x"), 0o640) }, "www.crt has another content: does another program write there?"},
		"another removed it":    {func(o renew.Output) error { return os.Remove(o.Chain) }, "www.chain does not exist: does another program"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newDir(t)
			o := outputIn(dir)
			o.Owner, o.Group, o.Mode = "4242", "4243", 0o640
			for _, when := range []string{"the first time", "and again"} {
				err := write(o, newPair, func(op, _ string) error {
					if op == "syncdir" {
						return c.meddle(o)
					}
					return nil
				})
				if err == nil || !strings.Contains(err.Error(), "written, but ") || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%s: %v", when, err)
				}
			}
			must(t, Write(o, newPair))
			wantNothingLeft(t, dir)
		})
	}
}

// Where a rename fails, the keys that were staged do not stay behind.
func TestAFailureDuringTheSwitchLeavesNothingStaged(t *testing.T) {
	for part := range 4 {
		dir := newDir(t)
		o := outputIn(dir)
		must(t, Write(o, oldPair))
		renamed := 0
		err := write(o, newPair, func(op, name string) error {
			if op != "rename" {
				return nil
			}
			if renamed++; renamed == part+1 {
				return syscall.EIO
			}
			return nil
		})
		if !errors.Is(err, syscall.EIO) || Check(o, newPair).InPlace {
			t.Errorf("part %d: %v", part, err)
		}
		wantNothingLeft(t, dir)
	}
}

// asUserEnv makes the test binary write an output, in place of running tests.
const asUserEnv = "CERTVIGIL_TEST_WRITE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(asUserEnv); dir != "" {
		if err := Write(outputIn(dir), newPair); err != nil {
			os.Stdout.WriteString(err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// The service's own user can't give files away: it replaces root's all the
// same, where it may write to the directory, and keeps a group that it is in.
func TestAnotherUserThanRootReplacesWhatItMay(t *testing.T) {
	dir := newDir(t)
	o := outputIn(dir)
	must(t, Write(o, oldPair))
	must(t, os.Chown(o.Key, 0, 4243))
	must(t, os.Chmod(o.Key, 0o640))
	must(t, os.Chown(dir, 4242, 4242))
	exe := filepath.Join(newDir(t), "write.test")
	copyTo(t, exe)
	cmd := exec.Command(exe)
	cmd.Env = []string{asUserEnv + "=" + dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242, Groups: []uint32{4243}}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wantAccess(t, o.Key, 0o640, 4242, 4243)
	wantAccess(t, o.Fullchain, 0o644, 4242, 4242)
	if state := Check(o, newPair); !state.InPlace {
		t.Errorf("%+v", state)
	}
}

// copyTo copies the test binary to where another user finds it.
func copyTo(t *testing.T, path string) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	data, err := os.ReadFile(exe)
	must(t, err)
	must(t, os.WriteFile(path, data, 0o755))
	for dir := filepath.Dir(path); dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		must(t, os.Chmod(dir, 0o755))
	}
}
