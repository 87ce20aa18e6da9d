package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// TestAnAgentThatDiesAfterAnyChangeLeavesAWholePairAndNoOrderMore: the
// crash matrix without luck. The agent dies after its first change of the state
// directory, then after its second, and so on until it lives to the end.
func TestAnAgentThatDiesAfterAnyChangeLeavesAWholePairAndNoOrderMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		before  bool // a certificate is served already
		force   bool
		keyType string // that the configuration asks for then
		needs   string // a change that this has to make, for the test to be one
	}{
		{name: "first issue", needs: "SaveAccount SaveAccount BeginOrder SetOrderURL Commit EndOrder Record Link"},
		{name: "renewal", before: true, force: true, needs: "BeginOrder SetOrderURL Commit EndOrder Record Link"},
		{name: "key type change", before: true, keyType: "ec384", needs: "BeginOrder SetOrderURL Commit EndOrder Record Link"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const lifetime = time.Minute
			h := newHost(t, setup{bare: true, lifetime: lifetime})
			dir := ""
			h.cfg.Sites[0].Endpoint = serveLive(t, func() string { return dir })
			h.cfg.Reload = []string{"true"}
			for k := 1; ; k++ {
				must(t, os.RemoveAll(h.path(fmt.Sprintf("state%d", k)))) // of a run that was too slow
				h.cfg.State, h.cfg.Sites[0].KeyType = h.path(fmt.Sprintf("state%d", k)), ""
				dir = h.live("www", "")
				if c.before {
					if _, _, stage := live(t, h.load(), false, -1); stage != renew.Served {
						t.Fatalf("before: %s", stage)
					}
				}
				h.cfg.Sites[0].KeyType = c.keyType
				counts, r, began := h.ca.Counts(), watchPair(t, dir), time.Now()
				made, died, _ := live(t, h.load(), c.force, k)
				h.revive()
				r.close()
				last := made[len(made)-1]
				if took := time.Since(began); took > lifetime/3 {
					t.Logf("%d changes took %s, and so may have been for two renewals: once more", k, took)
					k--
					continue
				}
				if n := h.ca.Orders() - counts.NewOrders; n != 1 {
					// What the CA knows of was noted, so not even one is lost.
					t.Errorf("dead after %d changes (%s): %d orders", k, last, n)
				}
				if n := h.ca.Counts().Accounts - counts.Accounts; n > 1 || c.before && n > 0 {
					t.Errorf("dead after %d changes (%s): %d new accounts", k, last, n)
				}
				if !died {
					if all := strings.Join(made, " "); !inOrder(all, c.needs) {
						t.Errorf("the changes were %s; want %s among them", all, c.needs)
					}
					return
				}
			}
		})
	}
}

// load reads the host's configuration as it is now.
func (h *host) load() *config.Config {
	h.t.Helper()
	h.write()
	cfg, diags := config.Load(h.config)
	if diags.HasErrors() {
		h.t.Fatal(diags.String())
	}
	return cfg
}

// revive runs a new agent on the same directory until the certificate is served
// as the configuration wants it.
func (h *host) revive() {
	h.t.Helper()
	cfg := h.load()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < patience; <-tick.C {
		if _, _, stage := live(h.t, cfg, false, -1); stage == renew.Served {
			return
		}
	}
	h.t.Fatalf("not served within %s", patience)
}

// inOrder tells whether words come in all in that order, with others between.
func inOrder(all, words string) bool {
	have := strings.Fields(all)
	for _, w := range strings.Fields(words) {
		at := -1
		for i, x := range have {
			if x == w {
				at = i
				break
			}
		}
		if at < 0 {
			return false
		}
		have = have[at+1:]
	}
	return true
}
