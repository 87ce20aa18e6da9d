package main

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

// TestTheNthProgramFails: the first program that the agent runs for a
// certificate fails, then the second, and so on until none does. It never costs
// an order, and what failed is run again.
func TestTheNthProgramFails(t *testing.T) {
	t.Parallel()
	for how, text := range map[string]string{
		"refuses":      "exit 1",
		"try again":    "exit 75",
		"is killed":    "kill -9 $$",
		"is not there": "",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, setup{bare: true})
			h.cfg.Sites[0].Endpoint = serveLive(t, func() string { return h.live("www", "") })
			for n := 1; h.nthProgram(n, text); n++ {
				if n > 2 {
					t.Fatal("more programs are run than the test and the reload")
				}
			}
		})
	}
}

// nthProgram fails the n-th program of a first issue, which by itself runs two.
// Without a text, it is not there. It tells whether there was an n-th.
func (h *host) nthProgram(n int, text string) (failed bool) {
	h.t.Helper()
	h.cfg.State = h.path("state" + strconv.Itoa(n))
	runs := h.path("runs" + strconv.Itoa(n))
	run := fmt.Sprintf(`echo "$0" >> %s; if [ $(wc -l < %s) = %d ] && [ -e %s.armed ]; then %s; fi; exit 0`, runs, runs, n, runs, cmp.Or(text, ":"))
	h.cfg.Test, h.cfg.Reload = h.script("test", run), h.script("reload", run)
	must(h.t, os.WriteFile(runs+".armed", nil, 0o600))
	missing := append(append([]string{}, h.cfg.Test...), h.cfg.Reload...)
	if text == "" && n <= len(missing) {
		must(h.t, os.Rename(missing[n-1], missing[n-1]+".gone"))
	}
	counts, r := h.ca.Counts(), watchPair(h.t, h.live("www", ""))
	_, _, stage := live(h.t, h.load(), false, -1)
	failed = stage != renew.Served
	if wants := renew.Installed; failed && stage != wants {
		h.t.Errorf("the %d. program failed: %s, want %s", n, stage, wants)
	}
	if text == "" && n <= len(missing) {
		must(h.t, os.Rename(missing[n-1]+".gone", missing[n-1]))
	}
	must(h.t, os.Remove(runs+".armed"))
	h.revive()
	r.close()
	if orders := h.ca.Orders() - counts.NewOrders; orders != 1 {
		h.t.Errorf("the %d. program failed: %d orders", n, orders)
	}
	ran, err := os.ReadFile(runs)
	must(h.t, err)
	if last := strings.Fields(string(ran)); last[len(last)-1] != h.cfg.Reload[0] {
		h.t.Errorf("the %d. program failed: the reload was not run after it: %v", n, last)
	}
	return failed
}
