package install

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

func TestFind(t *testing.T) {
	ours := []store.Bundle{oldPair, newPair}
	for _, tc := range []struct {
		name  string
		do    func(t *testing.T, o *renew.Output)
		ours  bool
		key   string
		chain string
		err   string // in the error; empty: none
	}{
		{"ours", func(*testing.T, *renew.Output) {}, true, "new key\n", "new leaf\nnew chain\n", ""},
		{"one of ours from before", func(t *testing.T, o *renew.Output) { must(t, Write(*o, oldPair)) }, true, "old key\n", "old leaf\nold chain\n", ""},
		{"parts of both, as a crash leaves them", func(t *testing.T, o *renew.Output) {
			must(t, os.WriteFile(o.Key, oldPair.Key, 0o600))
		}, true, "old key\n", "new leaf\nnew chain\n", ""},
		{"a file removed", func(t *testing.T, o *renew.Output) { must(t, os.Remove(o.Key)) }, true, "", "new leaf\nnew chain\n", ""},
		{"all removed", func(t *testing.T, o *renew.Output) {
			for _, p := range o.Paths() {
				must(t, os.Remove(p))
			}
		}, true, "", "", ""},
		{"another certificate", func(t *testing.T, o *renew.Output) {
			must(t, os.WriteFile(o.Fullchain, []byte("theirs"), 0o644))
		}, false, "new key\n", "theirs", ""},
		{"another certificate, and a key of whoever may write there", func(t *testing.T, o *renew.Output) {
			must(t, os.WriteFile(o.Key, []byte("a key that user 7 knows"), 0o600))
			must(t, os.Chown(o.Key, 7, -1))
		}, false, "", "", "belongs to user 7"},
		{"ours, and made user 7's", func(t *testing.T, o *renew.Output) {
			must(t, os.Chown(o.Key, 7, -1))
		}, true, "new key\n", "new leaf\nnew chain\n", ""},
		{"our key in the certificate's file", func(t *testing.T, o *renew.Output) {
			must(t, os.WriteFile(o.Fullchain, newPair.Key, 0o644))
		}, false, "new key\n", "new key\n", ""},
		{"without a fullchain", func(t *testing.T, o *renew.Output) {
			o.Fullchain = ""
			must(t, os.WriteFile(o.Cert, []byte("their leaf\n"), 0o644))
		}, false, "new key\n", "their leaf\nnew chain\n", ""},
		{"a symlink to a file of somebody's", func(t *testing.T, o *renew.Output) {
			must(t, os.Remove(o.Key))
			must(t, os.Symlink("/etc/passwd", o.Key))
		}, false, "", "", "is a symlink"},
		{"a fifo that nobody writes to", func(t *testing.T, o *renew.Output) {
			must(t, os.Remove(o.Key))
			must(t, syscall.Mkfifo(o.Key, 0o600))
		}, false, "", "", "not a regular file"},
		{"a file without an end", func(t *testing.T, o *renew.Output) { must(t, os.Truncate(o.Key, 1<<40)) }, false, "", "", "more than 1048576 bytes"},
		{"a folder that anyone may write to", func(t *testing.T, o *renew.Output) {
			must(t, os.Chmod(filepath.Dir(o.Key), 0o777))
		}, false, "", "", "can be written to by anyone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := filepath.Join(newDir(t), "tls")
			must(t, os.Mkdir(dir, 0o755))
			o := outputIn(dir)
			must(t, Write(o, newPair))
			tc.do(t, &o)
			found, err := Find(o, ours)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || found.Ours || found.Key != nil {
					t.Errorf("%v, %+v, want %q in the error", err, found, tc.err)
				}
				return
			}
			if err != nil || found.Ours != tc.ours || string(found.Key) != tc.key || string(found.Fullchain) != tc.chain {
				t.Errorf("%v, ours %v: %q, %q", err, found.Ours, found.Key, found.Fullchain)
			}
		})
	}
}

func TestFindTellsWhenSomethingChanged(t *testing.T) {
	o := outputIn(newDir(t))
	must(t, Write(o, newPair))
	before, err := Find(o, nil)
	must(t, err)
	must(t, os.Chtimes(o.Key, time.Unix(1, 0), time.Unix(1, 0))) // whoever writes can set that
	after, err := Find(o, nil)
	must(t, err)
	if after.ChangedAt.Before(before.ChangedAt) || time.Since(after.ChangedAt).Abs() > time.Minute {
		t.Errorf("changed at %s, then at %s", before.ChangedAt, after.ChangedAt)
	}
}

func TestFindLive(t *testing.T) {
	pair := func(t *testing.T, dir string) {
		must(t, os.MkdirAll(dir, 0o755))
		must(t, os.WriteFile(filepath.Join(dir, "privkey.pem"), []byte("their key"), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "fullchain.pem"), []byte("their chain"), 0o644))
	}
	for _, tc := range []struct {
		name string
		do   func(t *testing.T, dir, live string)
		ours bool
	}{
		{"nothing", func(*testing.T, string, string) {}, true},
		{"a link that dangles", func(t *testing.T, dir, live string) { must(t, os.Symlink("../gone", live)) }, false},
		{"a folder", func(t *testing.T, dir, live string) { pair(t, live) }, false},
		{"a link to elsewhere", func(t *testing.T, dir, live string) {
			pair(t, filepath.Join(dir, "theirs"))
			must(t, os.Symlink(filepath.Join(dir, "theirs"), live))
		}, false},
		{"a relative link", func(t *testing.T, dir, live string) {
			pair(t, filepath.Join(dir, "theirs"))
			must(t, os.Symlink("../theirs", live))
		}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := newDir(t)
			live := filepath.Join(dir, "live", "www")
			must(t, os.Mkdir(filepath.Dir(live), 0o755))
			tc.do(t, dir, live)
			found, err := FindLive(live, nil)
			switch {
			case tc.name == "a link that dangles":
				if err == nil || found.ChangedAt.IsZero() {
					t.Errorf("%v, %+v", err, found)
				}
			case err != nil || found.Ours != tc.ours:
				t.Errorf("%v, %+v", err, found)
			case !tc.ours && (string(found.Key) != "their key" || string(found.Fullchain) != "their chain"):
				t.Errorf("%q, %q", found.Key, found.Fullchain)
			}
		})
	}
}
