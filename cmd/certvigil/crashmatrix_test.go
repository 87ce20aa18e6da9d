package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

var (
	crashAll  = flag.Bool("crash.all", false, "every cell of the crash matrix, not only one for each step and fault")
	crashOnly = flag.String("crash.step", "", "only the steps whose name begins so, as S7")
	crashSeed = flag.Uint64("crash.seed", 0, "the seed of a run that is to be repeated; 0 draws one")
)

// drawSeed returns the seed of this run.
func drawSeed() uint64 {
	if *crashSeed != 0 {
		return *crashSeed
	}
	return rand.Uint64()
}

// scenario is what an agent is about when a fault strikes.
type scenario struct {
	name   string
	served bool               // a certificate is served already
	spare  bool               // the first of two CAs refuses
	fresh  bool               // and it is the first one; else it may be any
	change func(c *crashHost) // is made before the agent starts; may be nil
	ask    func(c *crashHost) // asks the running agent; may be nil
}

var scenarios = []scenario{
	{name: "first issue", fresh: true},
	{name: "renewal", served: true, ask: func(c *crashHost) {
		c.until("the agent can be asked", func() bool { return c.client().Renew(c.t.Context(), "www", true) == nil })
	}},
	{name: "key type change", served: true, fresh: true, change: func(c *crashHost) {
		c.cfg.Sites[0].KeyType = "ec384"
		c.write()
	}},
	{name: "failover", fresh: true, spare: true},
}

// crashFaults in the order of the cells.
var crashFaults = []string{faultKill, faultPower, faultFull, faultBroken}

// TestCrashMatrix lets each fault strike at the end of each step of each
// scenario, and sees it end well: with -crash.all all of them, else one scenario
// for each step and fault.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	seed, began := drawSeed(), time.Now()
	var cells, wrongs atomic.Int64
	t.Run("cells", func(t *testing.T) {
		for si, sc := range scenarios {
			for fi, fault := range crashFaults {
				t.Run(sc.name+", "+fault, func(t *testing.T) {
					t.Parallel()
					c := newMatrixHost(t, sc.spare, func(format string, args ...any) {
						wrongs.Add(1)
						t.Errorf(format, args...)
					})
					for i, step := range crashSteps {
						if strings.HasPrefix(step.name, *crashOnly) && (*crashAll || (i+fi)%len(scenarios) == si) {
							c.cell(sc, step, fault, seed)
							cells.Add(1)
						}
					}
				})
			}
		}
	})
	t.Logf("crash matrix: %d cells, %d violations, seed %d, %s", cells.Load(), wrongs.Load(), seed, time.Since(began).Round(time.Second))
}

// cell is one scenario in which one fault strikes at the end of one step.
func (c *crashHost) cell(sc scenario, s crashStep, fault string, seed uint64) {
	c.t.Helper()
	what := fmt.Sprintf("%s: %s, %s, seed %d", s.name, fault, sc.name, seed)
	for range tries {
		if c.tryCell(what, sc, s, fault, seed) {
			return
		}
	}
	c.wrong("%s: missed %d times", what, tries)
}

// tryCell tells whether the fault struck: the CA may take an authorization
// again that is valid still, and then two of the steps are not there.
func (c *crashHost) tryCell(what string, sc scenario, s crashStep, fault string, seed uint64) (struck bool) {
	c.t.Helper()
	version, url := c.prepare(sc)
	orders, accounts := c.counted()
	c.read()
	disarm := c.doom(s, fault, seed, version)
	if sc.ask != nil {
		sc.ask(c)
	}
	struck = c.suffer(what, fault, version)
	disarm()
	c.recover(fault)
	c.served("www", version)
	c.closeReaders()

	c.cost(what, sc, s.cost(fault), orders, accounts)
	if sc.served && c.account() != url {
		c.wrong("%s: the account was %s and is %s", what, url, c.account())
	}
	if fault == faultFull { // a journal that found no room is written with the next look
		must(c.t, c.client().Renew(c.t.Context(), "www", false))
	}
	c.until("the journal knows of the proof", func() bool {
		var j renew.Journal
		return c.reads("certs/www/journal.json", &j) && len(j.Proofs) == 1 && j.Proofs[0].Served && j.Proofs[0].Version >= version
	})
	c.stop()
	c.remains(what)
	return struck
}

// cost checks what the CAs have seen since then: one order, and as many as may
// be lost; an account where there was none.
func (c *crashHost) cost(what string, sc scenario, lose, orders, accounts int) {
	c.t.Helper()
	nowOrders, nowAccounts := c.counted()
	if n := nowOrders - orders; n < 1 || n > 1+lose {
		c.wrong("%s: %d orders; want one, and %d more at most", what, n, lose)
	}
	want := 1
	switch {
	case sc.served:
		want = 0
	case sc.spare:
		want = 2
	}
	if n := nowAccounts - accounts; n != want {
		c.wrong("%s: %d accounts were registered, want %d", what, n, want)
	}
	if issuer := c.cert("www").Issuer; (issuer == "spare") != sc.spare {
		c.wrong("%s: issued by %s", what, issuer)
	}
}

// prepare brings the host to where the scenario begins. It returns the version
// that is to come, and the account, where there is one.
func (c *crashHost) prepare(sc scenario) (version int, account string) {
	c.t.Helper()
	if sc.fresh {
		c.wipe()
		c.cfg.Sites[0].KeyType = ""
		c.write()
	}
	if sc.served {
		c.start()
		version, account = c.served("www", 1).Version, c.account()
		c.stop()
	}
	if sc.change != nil {
		sc.change(c)
	}
	return version + 1, account
}

// suffer waits until the fault has struck and the agent has died of it, or met
// it, or until it has come to its end unharmed. It tells whether it struck.
func (c *crashHost) suffer(what, fault string, version int) bool {
	c.t.Helper()
	c.until(what, func() bool {
		cert := c.cert("www")
		quiet := cert.Version >= version && cert.Stage == "served" && cert.Busy == ""
		return !c.run.running() || quiet || exists(c.path("struck")) && c.complains()
	})
	return exists(c.path("struck"))
}

// complains tells whether this run of the agent said that the disk fails.
func (c *crashHost) complains() bool {
	events, _, _ := c.log.Since(c.at)
	for _, e := range events {
		if strings.Contains(e.Line, "no space left on device") || strings.Contains(e.Line, "input/output error") {
			return true
		}
	}
	return false
}

// recover does what the host needs after a fault: its power, room on the disk,
// another disk and a new start.
func (c *crashHost) recover(fault string) {
	c.t.Helper()
	switch {
	case fault == faultFull && c.run.running():
		must(c.t, os.WriteFile(c.path("healed"), nil, 0o600))
		return
	case c.run.running():
		c.stop()
	case fault == faultPower:
		c.powerBack()
	}
	c.start()
}

// TestTheMatrixFindsAMissingSync puts the judge to the test: an agent that
// forgets a sync is found out by a loss of power.
func TestTheMatrixFindsAMissingSync(t *testing.T) {
	t.Parallel()
	for _, forgotten := range []string{
		"sync state/certs/www/versions/*.tmp/privkey.pem",
		"syncdir state/certs/www/versions/*.tmp",
		"syncdir state/certs/www/versions",
	} {
		t.Run(forgotten, func(t *testing.T) {
			t.Parallel()
			var wrong []string
			var mu sync.Mutex // guards wrong
			c := newMatrixHost(t, false, func(format string, args ...any) {
				mu.Lock()
				defer mu.Unlock()
				wrong = append(wrong, fmt.Sprintf(format, args...))
			})
			c.forget = forgotten
			found := func() bool {
				mu.Lock()
				defer mu.Unlock()
				return len(wrong) > 0
			}
			for seed := uint64(0); !found(); seed++ {
				if seed == 20 {
					t.Fatal("nobody noticed")
				}
				c.cell(scenarios[0], stepNamed("S11 live link switched"), faultPower, seed)
			}
			t.Log(wrong[0])
		})
	}
}
