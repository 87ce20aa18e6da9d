package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"
)

var crashLosses = flag.Int("crash.losses", 10, "how often the power is lost at a random time")

// lossesEach is how many of the losses one host gets at most.
const lossesEach = 25

// TestThePowerIsLostAtRandomTimes loses the power at times that nobody chose,
// most of them in the middle of a renewal: what was synced is left, and any part
// of the rest.
func TestThePowerIsLostAtRandomTimes(t *testing.T) {
	t.Parallel()
	seed, began := drawSeed(), time.Now()
	hosts := max(2, (*crashLosses+lossesEach-1)/lossesEach)
	var orders, wrongs atomic.Int64
	t.Run("hosts", func(t *testing.T) {
		for i := range hosts {
			losses := *crashLosses / hosts
			if i < *crashLosses%hosts {
				losses++
			}
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				c := newMatrixHost(t, false, func(format string, args ...any) {
					wrongs.Add(1)
					t.Errorf(format, args...)
				})
				orders.Add(c.losePower(rand.New(rand.NewPCG(seed, uint64(i))), losses))
			})
		}
	})
	t.Logf("random losses of power: %d on %d hosts, %d violations, %d orders lost, seed %d, %s",
		*crashLosses, hosts, wrongs.Load(), orders.Load(), seed, time.Since(began).Round(time.Second))
}

// losePower loses the power of one host so often, and returns how many orders
// that cost.
func (c *crashHost) losePower(rng *rand.Rand, losses int) (lost int64) {
	c.t.Helper()
	c.start()
	c.served("www", 1)
	url := c.account()
	c.stop()
	c.read()
	for i := range losses {
		c.doom(crashStep{name: "at any time"}, faultPower, rng.Uint64(), i)
		c.until("the agent answers", c.running) // before, the signal would end it by itself
		c.renewFor(time.Duration(rng.Int64N(int64(3 * time.Second))))
		c.strike(faultPower)
		if !exists(c.path("struck")) {
			c.t.Fatalf("loss %d: the agent did not die of it", i)
		}
		c.powerBack()
		c.readable(c.wrong)
	}
	c.start()
	last := c.served("www", 1)
	c.closeReaders()
	if now := c.account(); now != url {
		c.wrong("the account was %s and is %s", url, now)
	}
	orders, accounts := c.counted()
	lost = int64(orders - last.Version)
	if accounts != 1 || lost > int64(losses) {
		c.wrong("%d accounts and %d orders for %d versions and %d losses", accounts, orders, last.Version, losses)
	}
	c.stop()
	c.remains("in the end")
	return lost
}
