package main

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/store"
)

// crashLifetime is long beside any cell: no certificate becomes due by itself.
const crashLifetime = 10 * time.Minute

// crashHost is a host whose agent dies, or whose disk fails: all that is on the
// disk lies below base.
type crashHost struct {
	*host
	base   string
	issuer *acmetest.CA // the one that is to issue
	asked  *gate        // in front of it
	forget string       // of crashPlan
	spared bool         // it is the second one: the first refuses
	server *standIn
	wrong  func(format string, args ...any) // is told of violations
	doomed atomic.Pointer[process]          // to which it is to happen
	pairs  *reader                          // of the live pair
	files  *reader                          // of the outputs, each for itself
}

// newMatrixHost sets a host up on which the first of two CAs refuses where there
// is to be a spare one.
func newMatrixHost(t *testing.T, spare bool, wrong func(format string, args ...any)) *crashHost {
	t.Helper()
	c := &crashHost{wrong: wrong, spared: spare, asked: &gate{}}
	c.host = newHost(t, setup{bare: true, lifetime: crashLifetime, change: func(h *host) {
		c.host = h
		dir, err := filepath.EvalSymlinks(h.dir)
		must(t, err)
		c.base = filepath.Join(dir, "disk")
		h.cfg.State = filepath.Join(c.base, "state")
		must(t, os.MkdirAll(filepath.Join(c.base, "out"), 0o755))
		site := &h.cfg.Sites[0]
		site.Fullchain, site.Key = c.output("www.crt"), c.output("www.key")
		c.server = newStandIn(t, h.live("www", ""), h.path("reloads"), wrong)
		site.Endpoint = c.server.address
		h.cfg.Reload = h.script("hook", c.reload(""))
		if spare {
			c.issuer = h.spareCA(acmetest.Options{Validity: crashLifetime, Middleware: c.asked.wrap})
			h.gate.set(c.refusing())
		}
	}})
	if !spare {
		c.issuer, c.asked = c.ca, c.gate
	}
	return c
}

func (c *crashHost) output(name string) string { return filepath.Join(c.base, "out", name) }

// refusing is a CA that takes no order for hours. It leaves a mark.
func (c *crashHost) refusing() behaviour {
	return on(toOrder, func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if err := os.WriteFile(c.path("refused"), nil, 0o600); err != nil {
			c.t.Error(err)
		}
		w.Header().Set("Retry-After", "7200")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "come back in two hours", "status": 429}`)
	})
}

// counted is what all the CAs have seen of orders and accounts.
func (c *crashHost) counted() (orders, accounts int) {
	n := c.issuer.Counts()
	if c.spared {
		first := c.ca.Counts()
		n.NewOrders, n.Accounts = n.NewOrders+first.NewOrders, n.Accounts+first.Accounts
	}
	return n.NewOrders, n.Accounts
}

// reload is the hook's text.
func (c *crashHost) reload(then string) string {
	return "echo reloaded >> " + c.path("reloads") + "; " + then
}

// wipe makes the disk empty.
func (c *crashHost) wipe() {
	c.t.Helper()
	must(c.t, errors.Join(os.RemoveAll(c.base), os.MkdirAll(filepath.Join(c.base, "out"), 0o755)))
	c.server.restart()
}

func (c *crashHost) read() {
	c.pairs = watchPair(c.t, c.live("www", ""))
	c.files = watchAny(c.t, c.wholeOutputs)
	c.pairs.wrong, c.files.wrong = c.wrong, c.wrong
}

func (c *crashHost) closeReaders() {
	c.t.Helper()
	c.pairs.close()
	c.files.close()
}

// wholeOutputs reads the outputs; no one of them may ever be torn.
func (c *crashHost) wholeOutputs() ([]byte, error) {
	var all []byte
	for _, name := range []string{"www.key", "www.crt"} {
		text, err := os.ReadFile(c.output(name))
		if err != nil {
			return nil, err // as from any reader: none may be missing once they were there
		}
		for rest := text; len(rest) > 0 || len(text) == 0; {
			block, more := pem.Decode(rest)
			if block == nil {
				return nil, fmt.Errorf("%s is no PEM: %d bytes", name, len(text))
			}
			rest = bytes.TrimSpace(more)
		}
		all = append(all, text...)
	}
	return all, nil
}

// doom starts an agent to which the plan happens, and returns what calls the
// traps off that were laid for it.
func (c *crashHost) doom(s crashStep, fault string, seed uint64, version int) (disarm func()) {
	c.t.Helper()
	plan := crashPlan{
		Step: s.name, Fault: fault, Seed: seed, Version: version, Base: c.base,
		Forget: c.forget, Image: c.path("image"), Struck: c.path("struck"), Healed: c.path("healed"),
	}
	if c.spared {
		plan.After = c.path("refused")
	}
	for _, old := range []string{plan.Struck, plan.Healed, plan.Image, c.path("refused")} {
		must(c.t, os.RemoveAll(old))
	}
	text, err := json.Marshal(plan)
	must(c.t, err)
	disarm = func() {}
	switch {
	case s.request != "":
		c.asked.set(c.atRequest(s, fault))
		disarm = func() { c.asked.set(nil) }
	case s.where == inHook:
		until := "[ -e " + plan.Struck + " ]"
		if fatal(fault) {
			until = "! kill -0 $PPID 2>/dev/null"
		}
		c.script("hook", c.reload("kill -USR1 $PPID; until "+until+"; do sleep 0.01; done"))
		disarm = func() { c.script("hook", c.reload("")) }
	case s.where == inProof:
		var once sync.Once
		old, _ := os.ReadFile(c.live("www", "cert.pem")) // none before the first
		c.server.onHandshake(func(leaf []byte) {
			if block, _ := pem.Decode(old); block == nil || !bytes.Equal(block.Bytes, leaf) {
				once.Do(func() { c.strike(fault) })
			}
		})
		disarm = func() { c.server.onHandshake(nil) }
	}
	c.doomed.Store(nil)
	c.start(func(cmd *exec.Cmd) {
		path, err := exec.LookPath(crashName)
		must(c.t, err)
		cmd.Path, cmd.Args[0], cmd.Env = path, crashName, append(cmd.Env, crashEnv+"="+string(text))
	})
	c.doomed.Store(c.run)
	return disarm
}

// atRequest strikes once at a request. A process that dies hears no answer; a
// disk that fails keeps none away.
func (c *crashHost) atRequest(s crashStep, fault string) behaviour {
	var once sync.Once
	return on(s.request, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		gone := false
		once.Do(func() {
			gone = fatal(fault)
			if s.acted && gone {
				lost(r, next)
			}
			c.strike(fault)
		})
		if gone {
			panic(http.ErrAbortHandler)
		}
		next.ServeHTTP(w, r)
	})
}

// strike tells the agent that it is time, and waits until it has happened: an
// agent that is to die must not go on meanwhile.
func (c *crashHost) strike(fault string) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	told := false
	for began := time.Now(); time.Since(began) < patience; <-tick.C {
		p := c.doomed.Load()
		if p == nil {
			continue // it is being started
		}
		if !told {
			told = true
			_ = p.cmd.Process.Signal(syscall.SIGUSR1) // it may be gone
		}
		if !p.running() || !fatal(fault) && exists(c.path("struck")) {
			return
		}
	}
}

// powerBack exchanges the disk for what a loss of power left of it.
func (c *crashHost) powerBack() {
	c.t.Helper()
	for _, r := range []*reader{c.pairs, c.files} {
		r.power.Lock()
		defer r.power.Unlock()
	}
	lost := c.path("lost")
	must(c.t, errors.Join(os.RemoveAll(lost), os.Rename(c.base, lost), os.Rename(c.path("image"), c.base)))
	c.server.restart()
}

// remains checks what has to be true of the disk when all is over.
func (c *crashHost) remains(what string) {
	c.t.Helper()
	for _, pattern := range []string{"certs/www/*.tmp", "certs/www/.*.tmp", "certs/www/versions/*.tmp", "live/.*", "certs/www/journal.json.bad"} {
		if left, _ := filepath.Glob(filepath.Join(c.cfg.State, pattern)); len(left) > 0 {
			c.wrong("%s: left behind: %v", what, left)
		}
	}
	st, err := store.OpenReadOnly(c.cfg.State)
	must(c.t, err)
	defer st.Close()
	versions, err := st.Versions("www")
	must(c.t, err)
	for _, v := range versions {
		if !v.Usable() {
			c.wrong("%s: version %d: %s", what, v.N, v.FaultDetail)
		}
	}
	for output, file := range map[string]string{"www.crt": "fullchain.pem", "www.key": "privkey.pem"} {
		got, err := os.ReadFile(c.output(output))
		must(c.t, err)
		want, err := os.ReadFile(c.live("www", file))
		must(c.t, err)
		if !bytes.Equal(got, want) {
			c.wrong("%s: %s is not the live %s", what, output, file)
		}
	}
}
