package sim

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Fleet is how much is simulated: so many certificates for so long, once for
// each seed.
type Fleet struct {
	Model  Model
	First  uint64 // the first seed
	Seeds  int
	Certs  int
	Length time.Duration
	Options
}

// Run simulates the fleet, as many histories at a time as there are processors,
// and returns what came of all of them. It stops early where ctx ends; each
// hears, from time to time, of what is done so far.
func (f Fleet) Run(ctx context.Context, each func(sofar Result)) Result {
	work := make(chan History, 64)
	go func() {
		defer close(work)
		for i := range f.Seeds {
			for _, h := range f.Model.Histories(f.First+uint64(i), f.Certs, f.Length) {
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
