package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// chaos does to the host what a bad year does, in minutes.
type chaos struct {
	host     *stage.Host
	watch    *prober.Prober
	lifetime time.Duration
	seed     uint64
	say      func(string, ...any)
	note     func(string, ...any) // into chaos.log, to be read beside agent.log

	mu sync.Mutex // guards the counts
	counts
}

// counts is what was done to the host.
type counts struct {
	kills    int // SIGKILLs of the agent
	restarts int // of nginx
	crashes  int // the agent ended by itself
	torn     int // pairs that were not whole after a kill
	refused  int // starts that nginx refused
}

func (c *chaos) count(add func(*counts)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.counts)
}

func (c *chaos) snapshot() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.counts
}

// moments are the lines of the log after which a kill hurts most: what was just
// done is not known to be done yet.
var moments = []string{"certificate issued", "installed", "hook tested", "hook acknowledged", "step failed"}

// kill ends the agent with SIGKILL again and again, half of the times at random
// and half right after a step, and starts it anew as systemd would. It is the
// only one who starts and ends the agent meanwhile.
func (c *chaos) kill(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(c.seed, 1))
	for {
		c.awaitVictim(ctx, between(rng, c.lifetime/12, c.lifetime/3), rng)
		if ctx.Err() != nil {
			return nil
		}
		if !c.host.Agent.Running() {
			c.count(func(n *counts) { n.crashes++ })
			c.say("the agent ended by itself")
		} else if err := c.host.Agent.Kill(); err != nil {
			return err
		} else {
			c.count(func(n *counts) { n.kills++ })
			c.note("agent killed")
		}
		c.checkPairs()
		pause(ctx, between(rng, 0, 2*time.Second))
		c.note("agent started")
		if err := c.host.Agent.Start(); err != nil {
			return err
		}
	}
}

// awaitVictim waits for the time, or from then on for a moment that hurts, at
// most as long again. An agent that ends by itself is noticed at once.
func (c *chaos) awaitVictim(ctx context.Context, wait time.Duration, rng *rand.Rand) {
	moment := ""
	if rng.IntN(2) == 0 {
		moment = moments[rng.IntN(len(moments))]
	}
	timed, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	never := func(stage.Event) bool { return false }
	if _, _, _ = c.host.Agent.Await(timed, c.host.Agent.Log.End(), never); moment == "" || !c.host.Agent.Running() {
		return
	}
	longer, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	_, _, _ = c.host.Agent.Await(longer, c.host.Agent.Log.End(), stage.Message(moment, ""))
}

// checkPairs reads every live pair as a server would: a crash must never leave a
// key beside another key's certificate.
func (c *chaos) checkPairs() {
	for _, cert := range c.host.Config.Certs {
		if _, err := c.host.Pair(cert.Name); err != nil {
			c.count(func(n *counts) { n.torn++ })
			c.say("the pair of %s is not whole after a kill: %v", cert.Name, err)
		}
	}
}

// restart stops nginx for a moment, again and again.
func (c *chaos) restart(ctx context.Context) error {
	rng := rand.New(rand.NewPCG(c.seed, 2))
	for pause(ctx, between(rng, c.lifetime/4, c.lifetime)) {
		up := c.watch.Down()
		c.note("nginx stopped")
		err := c.host.Nginx.Stop()
		if err == nil {
			pause(ctx, between(rng, 0, time.Second))
			err = c.startNginx()
		}
		up()
		if err != nil {
			return err
		}
		c.note("nginx started")
		c.count(func(n *counts) { n.restarts++ })
	}
	return nil
}

// startNginx starts it, at the end of the soak too. nginx reads certificate and
// key one after the other: a start at the very moment in which the agent
// switches the pair is refused, and is tried again as systemd would.
func (c *chaos) startNginx() error {
	var err error
	for range 3 {
		if err = c.host.Nginx.Start(context.Background()); err == nil {
			return nil
		}
		c.count(func(n *counts) { n.refused++ })
		c.say("%v", err)
	}
	return fmt.Errorf("nginx does not start any more: %w", err)
}

// between draws a duration.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)))
}

// pause waits, and tells whether the time passed before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
