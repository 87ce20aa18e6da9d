package store

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

// The published layout, under a umask that would spoil it.
func TestModesAreThoseOfTheSchema(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	s := newStore(t)
	mustCommit(t, s, "www", newBundle(t))
	must(t, s.Link("www", 1))
	must(t, s.Record("www", renew.Journal{}))
	must(t, s.BeginOrder("www", newOrder(t)))
	must(t, s.SaveAccount(Account{Directory: "https://ca.example:14000/dir", Key: newKeyPEM(t)}))
	account, err := accountDir("https://ca.example:14000/dir", "")
	must(t, err)
	want := map[string]string{
		".": "drwxr-xr-x", "lock": "-rw-------", "starts": "-rw-------",
		"certs": "drwxr-xr-x", "certs/www": "drwxr-xr-x", "certs/www/versions": "drwxr-xr-x",
		"certs/www/versions/1":               "drwxr-xr-x",
		"certs/www/versions/1/privkey.pem":   "-rw-------",
		"certs/www/versions/1/cert.pem":      "-rw-r--r--",
		"certs/www/versions/1/chain.pem":     "-rw-r--r--",
		"certs/www/versions/1/fullchain.pem": "-rw-r--r--",
		"certs/www/versions/1/meta.json":     "-rw-r--r--",
		"certs/www/journal.json":             "-rw-r-----",
		"certs/www/order":                    "drwx------",
		"certs/www/order/order.json":         "-rw-------",
		"certs/www/order/privkey.pem":        "-rw-------",
		"certs/www/order/csr.der":            "-rw-------",
		"live":                               "drwxr-xr-x", "live/www": "Lrwxrwxrwx",
	}
	for _, tree := range []string{"accounts", "accounts-backup"} {
		want[tree], want[tree+"/ca.example_14000"], want[tree+"/"+account] = "drwx------", "drwx------", "drwx------"
		want[tree+"/"+account+"/key.pem"], want[tree+"/"+account+"/account.json"] = "-rw-------", "-rw-------"
	}
	got := modes(t, s.Path())
	for name, mode := range got {
		if want[name] != mode {
			t.Errorf("%s is %s, want %q", name, mode, want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}

func TestOnlyOneProcessWrites(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for name, end := range map[string]func(cmd *exec.Cmd, stdin io.Closer) error{
		"it lets go": func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() },
		"it dies":    func(cmd *exec.Cmd, _ io.Closer) error { return cmd.Process.Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			cmd, stdin := startHolder(t, dir)
			_, err := Open(dir)
			if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(cmd.Process.Pid)) {
				t.Errorf("%v, want ErrLocked and process %d", err, cmd.Process.Pid)
			}
			r, err := OpenReadOnly(dir)
			must(t, err)
			must(t, r.Close())
			must(t, end(cmd, stdin))
			_ = cmd.Wait() // killed, in one of the cases
			must(t, mustOpen(t, dir).Close())
		})
	}
}

func startHolder(t *testing.T, dir string) (*exec.Cmd, io.Closer) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), holdEnv+"="+dir)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, where the test went well
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "held\n" {
		t.Fatalf("the other process says %q: %v", line, err)
	}
	return cmd, stdin
}

func TestOpenTwiceInOneProcessIsRefusedToo(t *testing.T) {
	s := newStore(t)
	if _, err := Open(s.Path()); !errors.Is(err, ErrLocked) {
		t.Error(err)
	}
	must(t, s.Close())
	mustOpen(t, s.Path())
}

func TestOpenRefusesADirectoryThatOthersMayWriteTo(t *testing.T) {
	for _, mode := range []os.FileMode{0o775, 0o757, 0o777} {
		dir := t.TempDir()
		must(t, os.Chmod(dir, mode))
		_, err := Open(dir)
		if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "chmod go-w") {
			t.Errorf("%o: %v", mode, err)
		}
		if left := modes(t, dir); len(left) != 1 {
			t.Errorf("something was written: %v", left)
		}
	}
}

// Root, at a shell, must not leave files behind that the service can't read.
func TestWhatRootWritesBelongsToTheDirectorysOwner(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Chown(dir, 4242, 4243))
	s := mustOpen(t, dir)
	mustCommit(t, s, "www", newBundle(t))
	must(t, s.Link("www", 1))
	must(t, s.Record("www", renew.Journal{}))
	must(t, s.BeginOrder("www", newOrder(t)))
	must(t, s.SetOrderURL("www", "https://ca.example/order/1"))
	must(t, s.SaveAccount(Account{Directory: "https://ca.example/dir", Key: newKeyPEM(t)}))
	for name := range modes(t, dir) {
		st, err := os.Lstat(filepath.Join(dir, name))
		must(t, err)
		if sys := st.Sys().(*syscall.Stat_t); sys.Uid != 4242 || sys.Gid != 4243 {
			t.Errorf("%s belongs to %d:%d", name, sys.Uid, sys.Gid)
		}
	}
}

func TestOpenClosesSecretsThatStandOpen(t *testing.T) {
	s := newStore(t)
	must(t, s.Close())
	must(t, os.Chmod(s.Path()+"/accounts", 0o755))
	must(t, os.Chmod(s.Path()+"/certs", 0o750)) // the operator's choice
	s = mustOpen(t, s.Path())
	if got := modes(t, s.Path()); got["accounts"] != "drwx------" || got["certs"] != "drwxr-x---" {
		t.Errorf("%v", got)
	}
}

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	s := newStore(t)
	mustCommit(t, s, "www", newBundle(t))
	must(t, s.Close())
	for _, dir := range []string{"certs/www/versions/2.tmp", "certs/www/order.tmp", "certs/www/order.old.tmp", "certs/.mail.tmp"} {
		must(t, os.Mkdir(filepath.Join(s.Path(), dir), 0o755))
		write(t, filepath.Join(s.Path(), dir, "privkey.pem"), []byte("secret"))
	}
	must(t, os.Symlink("../certs", s.Path()+"/live/.www.tmp"))
	write(t, s.Path()+"/certs/www/.journal.json.tmp", []byte("{"))
	s = mustOpen(t, s.Path())
	if left := leftovers(t, s.Path()); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	if got := numbersOf(t, s); !slices.Equal(got, []int{1}) {
		t.Errorf("versions %v", got)
	}
}

func TestAReadOnlyStoreChangesNothing(t *testing.T) {
	s := newStore(t)
	mustCommit(t, s, "www", newBundle(t))
	must(t, s.Link("www", 1))
	must(t, s.SaveAccount(Account{Directory: "https://ca.example/dir", Key: newKeyPEM(t)}))
	write(t, s.Path()+"/certs/www/journal.json", []byte("torn"))
	must(t, os.Mkdir(s.Path()+"/certs/www/versions/9.tmp", 0o755))
	account, err := accountDir("https://ca.example/dir", "")
	must(t, err)
	must(t, os.Remove(s.Path()+"/accounts/"+account+"/key.pem"))
	before := modes(t, s.Path())

	r, err := OpenReadOnly(s.Path())
	must(t, err)
	defer r.Close()
	for name, change := range map[string]func() error{
		"Commit":      func() error { _, err := r.Commit("www", newBundle(t)); return err },
		"Link":        func() error { return r.Link("www", 1) },
		"Prune":       func() error { return r.dispose(versionDir("www", 1)) },
		"Record":      func() error { return r.Record("www", renew.Journal{}) },
		"BeginOrder":  func() error { return r.BeginOrder("www", newOrder(t)) },
		"SaveAccount": func() error { return r.SaveAccount(Account{Directory: "https://other.example/", Key: newKeyPEM(t)}) },
	} {
		if err := change(); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Journal("www"); err != nil {
		t.Error(err)
	}
	if _, found, err := r.Account("https://ca.example/dir", ""); !found || err != nil {
		t.Error(found, err)
	}
	if n, _, err := r.Live("www"); n != 1 || err != nil || len(versionsOf(t, r, "www")) != 1 {
		t.Error(n, err)
	}
	after := modes(t, s.Path())
	if len(after) != len(before) {
		t.Errorf("before %v\nafter %v", before, after)
	}
	if _, err := OpenReadOnly(s.Path() + "/nothing"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestNamesThatCanNotBeFolders(t *testing.T) {
	s := newStore(t)
	for _, name := range []string{"", ".", "..", ".hidden", "-rf", "a/b", "../x", "a\x00b", "a b", "ä", "x.tmp", strings.Repeat("a", 129)} {
		if _, err := s.Commit(name, newBundle(t)); err == nil {
			t.Errorf("Commit(%q)", name)
		}
		if _, err := s.Versions(name); err == nil {
			t.Errorf("Versions(%q)", name)
		}
		if _, _, err := s.Live(name); err == nil {
			t.Errorf("Live(%q)", name)
		}
		if _, _, err := s.Order(name); err == nil {
			t.Errorf("Order(%q)", name)
		}
		if _, err := s.Read(name, 1); err == nil {
			t.Errorf("Read(%q)", name)
		}
		if err := s.Link(name, 1); err == nil {
			t.Errorf("Link(%q)", name)
		}
	}
	for _, name := range []string{"www", "example.com", "a_b-c@d+e", "7"} {
		if err := CheckName(name); err != nil {
			t.Error(err)
		}
	}
	for _, directory := range []string{"", "nonsense", "https://", "https://../x", "https:///dir"} {
		if err := s.SaveAccount(Account{Directory: directory, Key: newKeyPEM(t)}); err == nil {
			t.Errorf("SaveAccount(%q)", directory)
		}
	}
}

func TestCertsListsThoseThatHaveAFolder(t *testing.T) {
	s := newStore(t)
	must(t, s.Record("www", renew.Journal{}))
	must(t, s.Record("mail", renew.Journal{}))
	write(t, s.Path()+"/certs/file", nil)
	must(t, os.Mkdir(s.Path()+"/certs/.git", 0o755))
	if got, err := s.Certs(); err != nil || !slices.Equal(got, []string{"mail", "www"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// Whoever may write into the state directory still leads nobody out of it.
func TestSymlinksLeadNowhereOutside(t *testing.T) {
	outside := t.TempDir()
	for name, plant := range map[string]func(t *testing.T, dir string){
		"the certificate's folder": func(t *testing.T, dir string) { must(t, os.Symlink(outside, dir+"/certs/www")) },
		"its versions": func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/certs/www", 0o755))
			must(t, os.Symlink(outside, dir+"/certs/www/versions"))
		},
		"the journal's temporary file": func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/certs/www", 0o755))
			must(t, os.Symlink(outside+"/victim", dir+"/certs/www/.journal.json.tmp"))
		},
		"the version to be": func(t *testing.T, dir string) {
			must(t, os.MkdirAll(dir+"/certs/www/versions", 0o755))
			must(t, os.Symlink(outside, dir+"/certs/www/versions/1.tmp"))
		},
		"the order to be": func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/certs/www", 0o755))
			must(t, os.Symlink(outside, dir+"/certs/www/order"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			plant(t, s.Path())
			_, _ = s.Commit("www", newBundle(t)) // each of them may refuse or replace the link
			_ = s.Record("www", renew.Journal{})
			_ = s.BeginOrder("www", newOrder(t))
			_ = s.EndOrder("www")
			if got := modes(t, outside); len(got) != 1 {
				t.Errorf("written outside: %v", got)
			}
		})
	}
}
