package sim

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Fleet is how much is simulated: so many certificates, or an operator's own, for
// so long, once for each seed.
type Fleet struct {
	Model  Model
	First  uint64 // the first seed
	Seeds  int
	Certs  int
	Own    Own // in place of Certs
	Length time.Duration
	Options
}

func (f Fleet) histories(seed uint64) []History {
	if !f.Own.none() {
		return []History{f.Own.history(f.Model, seed, f.Length)}
	}
	return f.Model.Histories(seed, f.Certs, f.Length)
}

// History is the fate of one host under one seed.
func (f Fleet) History(seed uint64, host int) History { return f.histories(seed)[host] }

// Run simulates the fleet, as many histories at a time as there are processors,
// and returns what came of all of them. It stops early where ctx ends; each
// hears, from time to time, of what is done so far.
func (f Fleet) Run(ctx context.Context, each func(sofar Result)) Result {
	work := make(chan History, 64)
	go func() {
		defer close(work)
		for i := range f.Seeds {
			for _, h := range f.histories(f.First + uint64(i)) {
				select {
				case work <- h:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	var mu sync.Mutex // guards total
	var total Result
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for h := range work {
				r := Run(h, f.Options, nil)
				mu.Lock()
				total = total.plus(r)
				if each != nil {
					each(total)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	total.sort()
	return total
}
