package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/examples/stage"
)

// copyLies are those of servers that read something else than what was put in
// place: a copy, an older version, or nothing at all.
var copyLies = []lie{
	{name: "a second server reads a copy of its own", tell: func(h *host) ruse {
		second := h.another("second")
		must(h.t, os.Mkdir(h.path("copy"), 0o755))
		must(h.t, second.Enable(stage.Site{Name: "www", Names: []string{liedName}, Fullchain: h.path("copy/fullchain.pem"), Key: h.path("copy/privkey.pem")}))
		h.cfg.Sites[0].More = fmt.Sprintf("endpoint %q {}", second.Address)
		whole := "cp -L $CERTVIGIL_DIR/*.pem " + h.path("copy") + "\n" + reloadAll(h.nginx, second)
		change := h.hook(whole)
		return ruse{
			begin: func() { change(reloadAll(h.nginx, second)) }, end: func() { change(whole) },
			endpoint: second.Address,
		}
	}},
	{name: "a server in a container has a copy of its own", root: true, tell: func(h *host) ruse {
		must(h.t, os.Mkdir(h.path("inside"), 0o755))
		must(h.t, os.Mkdir(h.path("tls"), 0o755))
		h.confine("unshare", "--mount", "sh", "-c", fmt.Sprintf(`mount --bind %s %s && exec "$@"`, h.path("inside"), h.path("tls")), "sh")
		h.installInto("tls")
		whole := "cp " + h.path("tls") + "/* " + h.path("inside") + "\n" + h.reloadLine()
		change := h.hook(whole)
		return ruse{begin: func() { change(h.reloadLine()) }, end: func() { change(whole) }}
	}},
	{name: "the server's path leads to an archived version", tell: func(h *host) ruse {
		point := func(dir string) {
			must(h.t, os.Symlink(dir, h.path("site.new")))
			must(h.t, os.Rename(h.path("site.new"), h.path("site")))
		}
		point(filepath.Join(h.cfg.State, "live", "www"))
		s := h.cfg.Sites[0]
		s.Fullchain, s.Key = h.path("site/fullchain.pem"), h.path("site/privkey.pem")
		h.enable(s)
		return ruse{
			begin: func() { point(filepath.Join(h.cfg.State, "certs", "www", "versions", "1")) },
			end:   func() { point(filepath.Join(h.cfg.State, "live", "www")) },
		}
	}},
	{name: "a server reads again only what has another inode", bare: true, tell: func(h *host) ruse {
		path := h.path("site")
		must(h.t, os.Symlink(filepath.Join(h.cfg.State, "live", "www"), path))
		address := serve(h.t, cached(h.t, path, func() (any, error) {
			var stat syscall.Stat_t
			err := syscall.Lstat(path, &stat)
			return stat.Ino, err
		}))
		h.cfg.Sites[0].Endpoint = address
		anew := fmt.Sprintf("ln -s $CERTVIGIL_DIR %s.new && mv -T %s.new %s", path, path, path)
		change := h.hook(anew)
		return ruse{begin: func() { change("exit 0") }, end: func() { change(anew) }, endpoint: address}
	}},
	{name: "the mail server is not reloaded", bare: true, tell: func(h *host) ruse {
		h.touch("reload")
		address := serveMail(h.t, "STARTTLS", &tls.Config{GetCertificate: cached(h.t, filepath.Join(h.cfg.State, "live", "www"), func() (any, error) {
			stat, err := os.Stat(h.path("reload"))
			if err != nil {
				return nil, err
			}
			return stat.ModTime(), nil
		})})
		h.cfg.Sites[0].More = fmt.Sprintf("endpoint %q {\n    protocol = \"smtp\"\n  }", address)
		web := serveLive(h.t, func() string { return filepath.Join(h.cfg.State, "live", "www") })
		h.cfg.Sites[0].Endpoint = web
		both := "touch " + h.path("reload")
		change := h.hook(both)
		return ruse{begin: func() { change("exit 0") }, end: func() { change(both) }, endpoint: address, starttls: true}
	}},
}

// cached shows the pair of a folder as it was when mark last changed.
func cached(t *testing.T, dir string, mark func() (any, error)) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	var mu sync.Mutex
	var loaded any
	var pair *tls.Certificate
	return func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		now, err := mark()
		if err != nil {
			return nil, err
		}
		if pair != nil && now == loaded {
			return pair, nil
		}
		fresh, err := loadPair(dir)
		if err != nil {
			return nil, err // not there yet
		}
		pair, loaded = fresh, now
		return pair, nil
	}
}
