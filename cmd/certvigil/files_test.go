package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// noticed is how soon a change of a file is healed and served again: seconds,
// on a machine that may be busy.
const noticed = 20 * time.Second

func TestWhatSomebodyDoesToAPairIsNoticedAtOnceAndHealed(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: time.Hour})
	h.start()
	h.served("www", 1)
	for _, c := range []struct {
		name    string
		harm    func() error
		version int // what heals it: a new one where the pair itself is gone
	}{
		{"live link flipped to elsewhere", func() error {
			if err := os.Symlink("/nowhere", h.live("www", "")+".new"); err != nil {
				return err
			}
			return os.Rename(h.live("www", "")+".new", filepath.Clean(h.live("www", "")))
		}, 1},
		{"live link removed", func() error { return os.Remove(h.live("www", "")) }, 1},
		{"live link replaced by a folder", func() error {
			if err := os.Remove(h.live("www", "")); err != nil {
				return err
			}
			return os.Mkdir(h.live("www", ""), 0o755)
		}, 1},
		{"live key deleted", func() error { return os.Remove(h.live("www", "privkey.pem")) }, 2},
		{"fullchain truncated", func() error { return os.Truncate(h.live("www", "fullchain.pem"), 100) }, 3},
		{"key of another certificate", func() error {
			old, err := os.ReadFile(filepath.Join(h.cfg.State, "certs/www/versions/2/privkey.pem"))
			if err != nil {
				return err
			}
			return os.WriteFile(h.live("www", "privkey.pem"), old, 0o600)
		}, 4},
	} {
		began := time.Now()
		h.at = h.log.End()
		must(t, c.harm())
		h.reloaded()
		if _, err := readPair(h.live("www", "")); err != nil {
			t.Errorf("%s: reloaded, and the live pair: %v", c.name, err)
		}
		h.served("www", c.version)
		if took := time.Since(began); took > noticed {
			t.Errorf("%s: healed after %s", c.name, took)
		}
		h.until(c.name+": status is ok", func() bool { return h.ask("status").code == exitOK })
		if got := h.cert("www").Version; got != c.version {
			t.Errorf("%s: version %d, want %d", c.name, got, c.version)
		}
	}
	if n := h.ca.Orders(); n != 4 {
		t.Errorf("%d orders; want one for each version that was lost", n)
	}
}

// reloaded waits until nginx was reloaded after something changed on disk.
func (h *host) reloaded() {
	h.t.Helper()
	h.await("hook acknowledged", "www")
}

func TestWhatSomebodyDoesToAnOutputIsNoticedAtOnceAndHealed(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: time.Hour, change: func(h *host) {
		s := &h.cfg.Sites[0]
		must(h.t, os.Mkdir(h.path("tls"), 0o755))
		s.Fullchain, s.Key = h.path("tls/www.crt"), h.path("tls/www.key")
		h.enable(*s)
	}})
	h.start()
	h.served("www", 1)
	key, crt := h.path("tls/www.key"), h.path("tls/www.crt")
	want, err := os.ReadFile(key)
	must(t, err)
	for _, c := range []struct {
		name string
		harm func() error
	}{
		{"key overwritten", func() error { return os.WriteFile(key, []byte("junk"), 0o600) }},
		{"certificate overwritten", func() error { return os.WriteFile(crt, []byte("junk"), 0o644) }},
		{"key opened to all", func() error { return os.Chmod(key, 0o644) }},
		{"key deleted", func() error { return os.Remove(key) }},
		{"folder removed", func() error { return os.RemoveAll(h.path("tls")) }},
	} {
		began := time.Now()
		h.at = h.log.End()
		must(t, c.harm())
		if c.name == "folder removed" {
			h.until("the missing folder is shown", func() bool { return h.cert("www").Failure != nil })
			must(t, os.Mkdir(h.path("tls"), 0o755))
		}
		h.reloaded()
		got, err := os.ReadFile(key)
		must(t, err)
		st, err := os.Stat(key)
		must(t, err)
		if _, err := os.ReadFile(crt); err != nil || string(got) != string(want) || st.Mode().Perm() != 0o600 {
			t.Errorf("%s: reloaded, and the files are not as they were (mode %04o, %v)", c.name, st.Mode().Perm(), err)
		}
		if took := time.Since(began); took > noticed {
			t.Errorf("%s: healed after %s", c.name, took)
		}
		h.served("www", 1)
		h.until(c.name+": status is ok", func() bool { return h.ask("status").code == exitOK })
	}
	if n := h.ca.Orders(); n != 1 {
		t.Errorf("%d orders: an output is no reason for another certificate", n)
	}
}

func TestAnOutputThatBecameALinkIsLeftAloneAndShown(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true, lifetime: time.Hour, change: func(h *host) {
		s := &h.cfg.Sites[0]
		s.Fullchain, s.Key = h.path("www.crt"), h.path("www.key")
	}})
	h.start()
	h.until("the first version", func() bool { return h.cert("www").Stage == "deployed" })
	must(t, os.Symlink(h.path("elsewhere"), h.path("www.crt.new")))
	must(t, os.Rename(h.path("www.crt.new"), h.path("www.crt")))
	h.until("the link is shown", func() bool { return h.cert("www").Reason == "install-failing" })
	if got := h.ask("status"); got.code != exitAttention || !strings.Contains(got.stdout, "www.crt is a symlink") {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	must(t, os.Remove(h.path("www.crt")))
	h.until("healed", func() bool { return h.ask("status").code == exitOK })
	if st, err := os.Lstat(h.path("www.crt")); err != nil || !st.Mode().IsRegular() {
		t.Errorf("healed, and there is %v, %v", st, err)
	}
}
