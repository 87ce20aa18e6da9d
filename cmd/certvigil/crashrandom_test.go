package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

var crashKills = flag.Int("crash.kills", 20, "how often agents are killed at a random time")

// killsEach is how many of the kills one host gets at most: certificates of 20
// seconds, of which one is renewed whenever the agent can be asked for it.
const killsEach = 50

// TestKillsAtRandomTimesCauseNoLapse kills agents at times that nobody chose,
// most of them in the middle of a renewal, while clients and a reader look on.
func TestKillsAtRandomTimesCauseNoLapse(t *testing.T) {
	t.Parallel()
	seed, began := drawSeed(), time.Now()
	hosts := max(2, (*crashKills+killsEach-1)/killsEach)
	var lost, wrongs atomic.Int64
	t.Run("hosts", func(t *testing.T) {
		for i := range hosts {
			kills := *crashKills / hosts
			if i < *crashKills%hosts {
				kills++
			}
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				lost.Add(killAtRandom(t, rand.New(rand.NewPCG(seed, uint64(i))), kills, func(format string, args ...any) {
					wrongs.Add(1)
					t.Errorf(format, args...)
				}))
			})
		}
	})
	t.Logf("random kills: %d on %d hosts, %d violations, %d orders lost, seed %d, %s",
		*crashKills, hosts, wrongs.Load(), lost.Load(), seed, time.Since(began).Round(time.Second))
}

// killAtRandom kills the agent of one host, and returns how many orders that
// cost. wrong is told of violations.
func killAtRandom(t *testing.T, rng *rand.Rand, kills int, wrong func(format string, args ...any)) (lost int64) {
	lifetime := 20 * time.Second
	if kills < killsEach {
		// A busy machine takes seconds for a start: what dies ten times within its
		// slack without having lived for one of them lapses for good reason.
		lifetime = 2 * time.Minute
	}
	h := newHost(t, setup{lifetime: lifetime})
	h.start()
	h.served("www", 1)
	url := h.account()
	r := watchPair(t, h.live("www", ""))
	r.wrong = wrong
	clients := h.clients("www.example.com", wrong)
	h.run.kill()
	for range kills {
		h.start()
		h.letThrough()
		h.renewFor(time.Duration(rng.Int64N(int64(1500 * time.Millisecond))))
		h.run.kill()
		h.readable(wrong)
	}
	h.start()
	last := h.served("www", 2)
	clients()
	pairs := r.close()
	if now := h.account(); now != url {
		wrong("the account was %s and is %s", url, now)
	}
	n := h.ca.Counts()
	lost = int64(n.NewOrders - last.Version)
	if n.Accounts != 1 || lost > int64(kills) {
		wrong("%d accounts and %d orders for %d versions and %d kills", n.Accounts, n.NewOrders, last.Version, kills)
	}
	t.Logf("%d kills, %d versions, %d pairs seen, %d orders lost", kills, last.Version, pairs, lost)
	return lost
}

// renewFor lets the agent live for so long, and asks it to renew as soon as it
// can be asked.
func (h *host) renewFor(d time.Duration) {
	h.t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for asked := false; ; {
		select {
		case <-timer.C:
			return
		case <-h.run.ended:
			h.t.Fatalf("the agent ended by itself: exit code %d", h.run.code())
		case <-tick.C:
			if !asked {
				asked = h.client().Renew(h.t.Context(), "www", true) == nil
			}
		}
	}
}

// readable checks what a process that was killed has left, before any other
// puts it in order.
func (h *host) readable(wrong func(format string, args ...any)) {
	h.t.Helper()
	st, err := store.OpenReadOnly(h.cfg.State)
	must(h.t, err)
	defer st.Close()
	versions, err := st.Versions("www")
	must(h.t, err)
	for _, v := range versions {
		if !v.Usable() {
			wrong("version %d after a kill: %s", v.N, v.FaultDetail)
		}
	}
	var j renew.Journal
	if !h.reads("certs/www/journal.json", &j) {
		wrong("the journal after a kill is no journal")
	}
	if n, _, err := st.Live("www"); err != nil || n == 0 {
		wrong("the live link after a kill: %d, %v", n, err)
	}
}

// letThrough waits for a renewal where little is left: on a busy machine the
// kills may come faster than any order can be placed, and that lapse would be
// nobody's fault.
func (h *host) letThrough() {
	h.t.Helper()
	const little = 7 * time.Second
	leaf, err := h.dial("www.example.com")
	if err != nil || time.Until(leaf.NotAfter) > little {
		return // a lapse is told by the clients
	}
	h.until("a renewal came through", func() bool {
		now, err := h.dial("www.example.com")
		return err == nil && now.NotAfter.After(leaf.NotAfter)
	})
}

// clients are clients of nginx, one after the other, until they are stopped;
// wrong is told of every handshake that does not succeed.
func (h *host) clients(name string, wrong func(format string, args ...any)) (stop func()) {
	stopping := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stopping:
				return
			case <-tick.C:
				if _, err := h.dial(name); err != nil {
					wrong("a lapse: %v", err)
				}
			}
		}
	})
	return func() { close(stopping); done.Wait() }
}
