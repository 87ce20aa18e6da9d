package main

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// TestThirtyKillsAtRandomCauseNoLapse kills the agent at times that nobody
// chose, while certificates of 20 seconds come and go.
func TestThirtyKillsAtRandomCauseNoLapse(t *testing.T) {
	t.Parallel()
	const kills = 30
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))

	h := newHost(t, setup{lifetime: 20 * time.Second})
	h.start()
	h.served("www", 1)
	url := h.account()
	r := watchPair(t, h.live("www", ""))
	clients := h.clients("www.example.com")
	for range kills {
		h.letThrough()
		timer := time.NewTimer(time.Duration(rng.Int64N(int64(1500 * time.Millisecond))))
		select {
		case <-timer.C:
		case <-h.run.ended:
			t.Fatalf("the agent ended by itself: exit code %d", h.run.code())
		}
		h.run.kill()
		h.start()
	}
	last := h.served("www", 2)
	clients()
	pairs := r.close()
	if now := h.account(); now != url {
		t.Errorf("the account was %s and is %s", url, now)
	}
	if n := h.ca.Counts(); n.Accounts != 1 || n.NewOrders > last.Version+kills {
		t.Errorf("%d accounts and %d orders for %d versions and %d kills", n.Accounts, n.NewOrders, last.Version, kills)
	}
	t.Logf("%d versions, %d pairs seen, %d orders", last.Version, pairs, h.ca.Orders())
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
// every handshake has to succeed.
func (h *host) clients(name string) (stop func()) {
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
					h.t.Errorf("a lapse: %v", err)
				}
			}
		}
	})
	return func() { close(stopping); done.Wait() }
}
