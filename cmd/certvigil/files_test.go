package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// noticed is how soon a change of a file is healed and served again: seconds,
// on a machine that may be busy.
const noticed = 20 * time.Second

// harm is something that somebody does to files that are ours to keep.
type harm struct {
	name   string
	do     func(h *host) error
	repair func(h *host) // what has to be there again before it can be healed; may be nil
	costs  int           // certificates: one where the pair itself is gone
}

// perHost is how much harm one host gets: more of it is not healed for ever,
// but told of.
const perHost = 2

// endures does harm to hosts, and sees each of them healed at once.
func endures(t *testing.T, harms []harm, newHost func(t *testing.T) *host, whole func(h *host) error) {
	for some := range slices.Chunk(harms, perHost) {
		t.Run(some[0].name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.start()
			version := h.served("www", 1).Version
			for _, bad := range some {
				h.at = h.log.End()
				began := time.Now()
				must(t, bad.do(h))
				if bad.repair != nil {
					bad.repair(h)
				}
				h.await("hook acknowledged", "www")
				if err := whole(h); err != nil {
					t.Errorf("%s: nginx was reloaded, and %v", bad.name, err)
				}
				version += bad.costs
				if c := h.served("www", version); c.Version != version {
					t.Errorf("%s: version %d, want %d", bad.name, c.Version, version)
				}
				if took := time.Since(began); took > noticed {
					t.Errorf("%s: healed after %s", bad.name, took)
				}
				h.until(bad.name+": status is ok", func() bool { return h.ask("status").code == exitOK })
			}
			if n := h.ca.Orders(); n != version {
				t.Errorf("%d orders for %d versions", n, version)
			}
		})
	}
}

func TestWhatSomebodyDoesToAPairIsNoticedAtOnceAndHealed(t *testing.T) {
	t.Parallel()
	link := func(h *host) string { return filepath.Join(h.cfg.State, "live", "www") }
	endures(t, []harm{
		{name: "live link flipped to elsewhere", do: func(h *host) error {
			return errors.Join(os.Symlink("/nowhere", link(h)+".new"), os.Rename(link(h)+".new", link(h)))
		}},
		{name: "live link removed", do: func(h *host) error { return os.Remove(link(h)) }},
		{name: "live link replaced by a folder", do: func(h *host) error {
			// In one step: between two the agent would put its link back.
			aside := link(h) + ".new"
			return errors.Join(os.Mkdir(aside, 0o755),
				unix.Renameat2(unix.AT_FDCWD, aside, unix.AT_FDCWD, link(h), unix.RENAME_EXCHANGE), os.Remove(aside))
		}},
		{name: "live key deleted", costs: 1, do: func(h *host) error { return os.Remove(h.live("www", "privkey.pem")) }},
		{name: "fullchain truncated", costs: 1, do: func(h *host) error { return os.Truncate(h.live("www", "fullchain.pem"), 100) }},
		{name: "key of another certificate", costs: 1, do: func(h *host) error {
			other, err := keypair.GenerateKey(renew.EC256)
			if err != nil {
				return err
			}
			text, err := keypair.EncodeKey(other)
			return errors.Join(err, os.WriteFile(h.live("www", "privkey.pem"), text, 0o600))
		}},
	}, func(t *testing.T) *host {
		return newHost(t, setup{lifetime: time.Hour})
	}, func(h *host) error {
		_, err := readPair(h.live("www", ""))
		return err
	})
}

func TestWhatSomebodyDoesToAnOutputIsNoticedAtOnceAndHealed(t *testing.T) {
	t.Parallel()
	key := func(h *host) string { return h.path("tls/www.key") }
	crt := func(h *host) string { return h.path("tls/www.crt") }
	endures(t, []harm{
		{name: "key overwritten", do: func(h *host) error { return os.WriteFile(key(h), []byte("junk"), 0o600) }},
		{name: "certificate overwritten", do: func(h *host) error { return os.WriteFile(crt(h), []byte("junk"), 0o644) }},
		{name: "key opened to all", do: func(h *host) error { return os.Chmod(key(h), 0o644) }},
		{name: "key deleted", do: func(h *host) error { return os.Remove(key(h)) }},
		{name: "folder moved away", do: func(h *host) error { return os.Rename(h.path("tls"), h.path("gone")) }, repair: func(h *host) {
			h.until("the missing folder is shown", func() bool { return h.cert("www").Failure != nil })
			must(h.t, os.Mkdir(h.path("tls"), 0o755))
		}},
	}, func(t *testing.T) *host {
		return newHost(t, setup{lifetime: time.Hour, change: func(h *host) {
			s := &h.cfg.Sites[0]
			must(h.t, os.Mkdir(h.path("tls"), 0o755))
			s.Fullchain, s.Key = crt(h), key(h)
			h.enable(*s)
		}})
	}, func(h *host) error {
		st, err := os.Stat(key(h))
		if err == nil && st.Mode().Perm() != 0o600 {
			err = fmt.Errorf("the key's mode is %04o", st.Mode().Perm())
		}
		_, bad := tls.LoadX509KeyPair(crt(h), key(h))
		return errors.Join(err, bad)
	})
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
