package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// blow ends the agent with SIGKILL at one point of its work. version is the one
// that the agent is about to get.
type blow struct {
	name  string
	extra int // orders that may be lost: one that nobody noted, or whose validation found nobody
	arm   func(h *host, version int) (disarm func())
}

// shoot kills the agent that holds the state directory's lock: it writes its
// process id there before it does anything else.
func (h *host) shoot() {
	text, err := os.ReadFile(filepath.Join(h.cfg.State, "lock"))
	pid, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil {
		h.t.Errorf("whom to kill: %v, %v", err, bad)
		return
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have been hit already
	h.shot.Store(true)
}

// atRequests: at each request of an order, before the CA hears of it and after
// it has acted, when the reply is lost.
func atRequests() []blow {
	var blows []blow
	for _, kind := range []string{toAccount, toOrder, toAuthz, toChallenge, toFinalize, toLook, toDownload} {
		for _, acted := range []bool{false, true} {
			name, extra := kind+" not sent", 0
			if acted {
				name = kind + " done, reply lost"
			}
			if acted && (kind == toOrder || kind == toChallenge) {
				extra = 1
			}
			blows = append(blows, blow{name, extra, func(h *host, _ int) func() {
				h.gate.set(on(kind, func(_ http.ResponseWriter, r *http.Request, next http.Handler) {
					if acted {
						lost(r, next)
					}
					h.shoot()
					panic(http.ErrAbortHandler)
				}))
				return func() { h.gate.set(nil) }
			}})
		}
	}
	return blows
}

// inHooks: the hook itself kills its parent. What it was about to do is done
// nevertheless, by a process that nobody waits for.
func inHooks() []blow {
	hook := func(name, before, after string) blow {
		return blow{name, 0, func(h *host, _ int) func() {
			armed := h.path("armed")
			must(h.t, os.WriteFile(armed, nil, 0o600))
			reload := strings.TrimPrefix(h.reloadLine(), "exec ")
			h.script("hook", "if rm "+armed+" 2>/dev/null; then "+before+reload+after+"; else "+reload+"; fi")
			return func() { _ = os.Remove(armed) } // it is gone where it was used
		}}
	}
	return []blow{
		hook("hook begins", "kill -9 $PPID; exit 0; ", ""),
		hook("hook half-way", "kill -9 $PPID; ", ""),
		hook("hook has reloaded", "", "; kill -9 $PPID"),
	}
}

// onDisk: as soon as a file is there, or says what it is to say.
func onDisk() []blow {
	exists := func(pattern string) func(h *host, version int) bool {
		return func(h *host, version int) bool {
			path := strings.ReplaceAll(pattern, "N", strconv.Itoa(version))
			found, _ := filepath.Glob(filepath.Join(h.cfg.State, path))
			return len(found) > 0
		}
	}
	file := func(name string, extra int, seen func(h *host, version int) bool) blow {
		return blow{name, extra, func(h *host, version int) func() {
			return soon(func() bool { return seen(h, version) }, h.shoot)
		}}
	}
	return []blow{
		file("order/ begun", 1, exists("certs/www/order.tmp")),
		file("order/ there", 1, exists("certs/www/order")),
		file("order URL known", 1, func(h *host, _ int) bool {
			var o store.Order
			return h.reads("certs/www/order/order.json", &o) && o.URL != ""
		}),
		file("version begun", 0, exists("certs/www/versions/N.tmp")),
		file("version there", 0, exists("certs/www/versions/N")),
		file("live link switched", 0, func(h *host, version int) bool {
			to, _ := os.Readlink(filepath.Join(h.cfg.State, "live/www"))
			return filepath.Base(to) == strconv.Itoa(version)
		}),
		file("journal knows the hook", 0, func(h *host, version int) bool {
			var j renew.Journal
			return h.reads("certs/www/journal.json", &j) && j.Hooks["nginx"].Acknowledged == version
		}),
		file("journal knows the proof", 0, func(h *host, version int) bool {
			var j renew.Journal
			return h.reads("certs/www/journal.json", &j) && len(j.Proofs) > 0 && j.Proofs[0].Version == version
		}),
	}
}

// reads parses a file of the state directory, as it is at this moment.
func (h *host) reads(name string, into any) bool {
	data, err := os.ReadFile(filepath.Join(h.cfg.State, name))
	return err == nil && json.Unmarshal(data, into) == nil
}

// soon looks as often as it can until it has seen something, and acts at once.
func soon(seen func() bool, act func()) (stop func()) {
	stopping := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case <-stopping:
				return
			default:
			}
			if seen() {
				act()
				return
			}
			runtime.Gosched()
		}
	})
	return func() { close(stopping); done.Wait() }
}

// afterwards checks what has to hold after a crash and a restart.
func (h *host) afterwards(b blow, r *reader, orders, accounts int, url string) {
	h.t.Helper()
	what := b.name
	r.close()
	if n := h.ca.Orders() - orders; n < 1 || n > 1+b.extra {
		h.t.Errorf("%s: %d orders; want one, and %d more at most", what, n, b.extra)
	}
	if n := h.ca.Counts().Accounts - accounts; n > 1 {
		h.t.Errorf("%s: %d accounts", what, n)
	}
	if now := h.account(); url != "" && now != url {
		h.t.Errorf("%s: the account was %s and is %s", what, url, now)
	}
	for _, unfinished := range []string{"certs/www/order*.tmp", "certs/www/versions/*.tmp", "live/.*"} {
		if left, _ := filepath.Glob(filepath.Join(h.cfg.State, unfinished)); len(left) > 0 {
			h.t.Errorf("%s: left behind: %v", what, left)
		}
	}
	// One of nginx's old workers may still take a connection after five were
	// answered by new ones.
	h.until(what+": nginx shows what is said to be served", func() bool {
		return h.fingerprint("www.example.com") == h.cert("www").Fingerprint
	})
}
