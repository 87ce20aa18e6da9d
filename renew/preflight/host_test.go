package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/install"
)

func TestPathsThatCannotBeWrittenAreTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	gone, root := filepath.Join(t.TempDir(), "gone"), t.TempDir()
	w.cert.Outputs = []renew.Output{{Format: "pem", Key: gone + "/www.key", Fullchain: t.TempDir() + "/www.crt"}}
	tells(t, w.finds("path-unwritable "+gone), "a folder of an install block", "does not exist")
	if err := os.Mkdir(gone, 0o755); err != nil {
		t.Fatal(err)
	}
	w.finds()
	w.cfg.Agent.StateDir = root + "/not/there/yet"
	w.finds() // it can be made
	if err := os.WriteFile(root+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg.Agent.StateDir = root + "/file"
	tells(t, w.finds("path-unwritable "+root+"/file"), "the state directory", "not a directory")
	w.cfg.Agent.StateDir = root
	w.cfg.Solvers["webroot.site"] = config.Solver{Type: "webroot", Name: "site", Path: root + "/html"}
	w.cert.Solver, w.cert.Names = "webroot.site", nil
	tells(t, w.finds("path-unwritable "+root+"/html"), "the webroot", "no such file")
}

func TestAnOutputThatCannotBeGivenAwayIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	dir := t.TempDir()
	w.cert.Outputs = []renew.Output{{Format: "bundle", Path: dir + "/db.pem", Parts: []string{"key"}, Owner: "7002"}}
	k := w.checker()
	k.As(install.Powers{UID: 7001})
	found := k.Check(t.Context(), w.cert, w.facts, 0)
	tells(t, found, "user 7001 may not give a file to the owner 7002")
	if o := found[0]; o.Reason != "owner-forbidden" || o.Subject != dir+"/db.pem" || !strings.Contains(o.Remedy, "AmbientCapabilities=CAP_CHOWN CAP_FOWNER CAP_DAC_READ_SEARCH") {
		t.Errorf("%+v", o)
	}
	k.As(install.Powers{UID: 7001, Caps: install.CapsNamed([]string{"CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_READ_SEARCH"})})
	if found := k.Check(t.Context(), w.cert, w.facts, 0); len(found) > 0 {
		t.Errorf("with all that it takes: %v", found)
	}
	w.cert.Outputs[0].Owner = ""
	w.finds() // as this process, which gives nothing away
}

// mount makes a small file system, which only root can.
func mount(t *testing.T, options string, flags uintptr) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("certvigil-test", dir, "tmpfs", flags, options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

func TestWhatAFileSystemLacks(t *testing.T) {
	whole := unix.Statfs_t{Bsize: 4096, Blocks: 1 << 20, Bfree: 1 << 19, Bavail: 1 << 18, Files: 1000, Ffree: 500}
	for _, tc := range []struct {
		name   string
		change func(st *unix.Statfs_t)
		root   bool
		says   string
	}{
		{"nothing", func(*unix.Statfs_t) {}, false, ""},
		{"blocks", func(st *unix.Statfs_t) { st.Bavail = 255 }, false, "1020 KiB are free"},
		{"blocks, but for root", func(st *unix.Statfs_t) { st.Bavail = 0 }, true, ""},
		{"root's blocks too", func(st *unix.Statfs_t) { st.Bfree, st.Bavail = 0, 0 }, true, "0 KiB are free"},
		{"an eighth of a small one", func(st *unix.Statfs_t) { st.Blocks, st.Bavail = 64, 7 }, false, "wants 32"},
		{"nothing of a small one", func(st *unix.Statfs_t) { st.Blocks, st.Bavail = 64, 8 }, false, ""},
		{"inodes", func(st *unix.Statfs_t) { st.Ffree = 15 }, false, "15 inodes are free"},
		{"no count of inodes", func(st *unix.Statfs_t) { st.Files, st.Ffree = 0, 0 }, false, ""},
		{"no count of anything", func(st *unix.Statfs_t) { *st = unix.Statfs_t{} }, false, ""},
	} {
		st := whole
		tc.change(&st)
		err := scarce(st, tc.root)
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}

// What the kernel says of real file systems, which only root can make.
func TestADiskWithoutRoomIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	if os.Geteuid() != 0 {
		w.finds() // the disk of the tests has room
		return
	}
	w.cfg.Agent.StateDir = mount(t, "nr_inodes=8,mode=0755", 0)
	tells(t, w.finds("disk-full "+w.cfg.Agent.StateDir), "inodes are free")
	for size, much := range map[int]int{16 << 20: 15<<20 + 1, 1 << 20: 900 << 10} {
		w.cfg.Agent.StateDir = mount(t, fmt.Sprintf("size=%d,mode=0755", size), 0)
		w.finds()
		if err := os.WriteFile(w.cfg.Agent.StateDir+"/filling", make([]byte, much), 0o600); err != nil {
			t.Fatal(err)
		}
		tells(t, w.finds("disk-full "+w.cfg.Agent.StateDir), "KiB are free")
	}
	w.cfg.Agent.StateDir = mount(t, "size=4m,mode=0755", syscall.MS_RDONLY)
	found := w.finds("path-unwritable " + w.cfg.Agent.StateDir)
	tells(t, found, "read-only file system")
}

func TestAHookThatCannotBeRunIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.cert.Hooks = []string{"nginx", "mail"}
	w.hooks["mail"] = errors.Join(errors.New("one"), errors.New("two"))
	tells(t, w.finds("hook-not-executable hook mail"), "one; two")
}

func TestAnEndpointThatNobodyListensAtIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	w.cert.Endpoints = []renew.Endpoint{{Address: address}}
	w.facts.Held = renew.Version{N: 1, NotAfter: time.Now().Add(time.Hour)}
	w.finds()
	_ = l.Close()
	tells(t, w.finds("endpoint-unreachable "+address), "connection refused")
	w.facts.Held = renew.Version{}
	w.finds() // before the first certificate nobody need listen
}

func TestASocketThatNobodyListensAtIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	dir, err := os.MkdirTemp("", "cv") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address := "unix:" + dir + "/s"
	l, err := net.Listen("unix", dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	w.cert.Endpoints = []renew.Endpoint{{Address: address}}
	w.facts.Held = renew.Version{N: 1, NotAfter: time.Now().Add(time.Hour)}
	w.finds()
	_ = l.Close()
	tells(t, w.finds("endpoint-unreachable "+address), "no such file or directory")
}

func TestHowACAStandsIsTold(t *testing.T) {
	refused := &renew.Failure{Class: renew.Refused, Err: errors.New("the account is deactivated")}
	for _, tc := range []struct {
		name   string
		change func(w *world)
		want   []string
		tells  string
	}{
		{"it can't be had", func(w *world) { w.ca.standing.Err = errors.New("connection refused") }, []string{"ca-unreachable https://ca.test/dir"}, "connection refused"},
		{"it asks for time", func(w *world) { w.ca.standing.Err = &renew.Failure{Class: renew.Limited, Err: errors.New("later")} }, nil, ""},
		{"the account is gone", func(w *world) { w.ca.standing.AccountErr = refused }, []string{"account-refused " + accountURL}, "deactivated"},
		{"the account can't be read", func(w *world) {
			w.ca.standing.AccountErr = &renew.Failure{Class: renew.Local, Err: fmt.Errorf("key.pem: %w", os.ErrPermission)}
		}, []string{"unreadable " + accountURL}, "permission denied"},
		{"its terms are others", func(w *world) { w.ca.standing.Agreed, w.ca.standing.Terms = "https://ca.test/v1", "https://ca.test/v2" }, []string{"terms-changed terms of service"}, "https://ca.test/v2"},
		{"nobody noted the terms", func(w *world) { w.ca.standing.Terms = "https://ca.test/v2" }, nil, ""},
		{"the profile is offered", func(w *world) {
			w.cert.Issuers[0].Profile, w.ca.standing.Profiles = "short", []string{"classic", "short"}
		}, nil, ""},
		{"the profile is gone", func(w *world) {
			w.cert.Issuers[0].Profile, w.ca.standing.Profiles = "short", []string{"classic"}
		}, []string{"profile-gone profile short"}, "classic"},
		{"nobody knows what it offers", func(w *world) {
			w.cert.Issuers[0].Profile, w.ca.standing.Known = "short", false
		}, nil, ""},
		{"the clocks agree", func(w *world) { w.ca.standing.Ahead = -4 * time.Minute }, nil, ""},
		{"our clock is behind", func(w *world) { w.ca.standing.Ahead = time.Hour }, []string{"clock-off clock"}, "1h0m0s ahead of"},
		{"our clock is ahead", func(w *world) { w.ca.standing.Ahead = -time.Hour }, []string{"clock-off clock"}, "1h0m0s behind"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, "www.example.com")
			tc.change(w)
			found := w.finds(tc.want...)
			if len(tc.want) > 0 {
				tells(t, found, tc.tells)
			}
		})
	}
}

// With the CA and the DNS gone, what this host alone can tell is told.
func TestWhatIsLocalIsToldWithoutTheCA(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.ca.standing.Err, w.ca.standing.Known, w.ca.standing.Identities = errors.New("no route to host"), false, nil
	w.cert.Hooks = []string{"nginx"}
	w.hooks["nginx"] = errors.New("not executable")
	gone := filepath.Join(t.TempDir(), "gone")
	w.cert.Outputs = []renew.Output{{Key: gone + "/www.key"}}
	w.finds("ca-unreachable https://ca.test/dir", "hook-not-executable hook nginx", "path-unwritable "+gone)
}

func TestAPartThatHangsForEverIsNotWaitedFor(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.cert.Hooks = []string{"nginx"}
	until, asked := make(chan struct{}), make(chan struct{})
	defer close(until)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	k := New(w.cfg, w.ca, stuck{until, asked}, w.checker().log)
	k.Check(ctx, w.cert, w.facts, 0) // or the test never ends
}

// stuck is a hook of which nobody can tell anything, ever.
type stuck struct{ until, asked chan struct{} }

func (s stuck) Ready(context.Context, hooks.Hook) error {
	close(s.asked)
	<-s.until
	return nil
}

func TestAPanicInOnePartLeavesTheOthers(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.cert.Hooks = []string{"nginx"}
	w.hooks["nginx"] = errors.New("not executable")
	w.ca = nil
	k := New(w.cfg, nil, w.hooks, w.checker().log) // asking a CA that is nil
	if found := k.Check(t.Context(), w.cert, w.facts, 0); len(found) != 1 || found[0].Reason != renew.HookNotExecutable {
		t.Errorf("%v", found)
	}
}
