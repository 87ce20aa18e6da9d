package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// TestFewThreadsWaitForTheDisk: each change under way holds a thread, and its
// stacks stay with the process.
func TestFewThreadsWaitForTheDisk(t *testing.T) {
	var now, most atomic.Int64
	s, err := OpenAround(t.TempDir(), func(_, _ string, do func() error) error {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond) // a disk that is slow
		return do()
	})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var writing sync.WaitGroup
	for i := range 32 {
		writing.Go(func() {
			if err := s.Record(fmt.Sprintf("site%d", i), renew.Journal{}); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	if most.Load() != changesAtOnce {
		t.Errorf("%d changes were under way at once", most.Load())
	}
}
