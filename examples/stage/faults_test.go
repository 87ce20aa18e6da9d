package stage_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/certvigil/certvigil/examples/stage"
)

// ask sends n requests through the faults and returns the outcomes: a status,
// or 0 for a connection that was cut; and how often the CA acted.
func ask(t *testing.T, f *stage.Faults, n int) (outcomes map[int]int, acted int) {
	t.Helper()
	var acts atomic.Int64
	s := httptest.NewServer(f.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { acts.Add(1) })))
	outcomes = make(map[int]int)
	for range n {
		r, err := http.Post(s.URL, "text/plain", nil)
		if err != nil {
			outcomes[0]++
			continue
		}
		r.Body.Close()
		outcomes[r.StatusCode]++
		if r.StatusCode == http.StatusTooManyRequests && r.Header.Get("Retry-After") == "" {
			t.Error("429 without Retry-After")
		}
	}
	s.Close()
	return outcomes, int(acts.Load())
}

func TestAThirdOfTheRequestsFailInEveryWay(t *testing.T) {
	f := stage.NewFaults(7)
	f.Set(1.0 / 3)
	outcomes, acted := ask(t, f, 600)
	asked, failed := f.Count()
	total := 0
	for _, n := range failed {
		total += n
	}
	if asked != 600 || total < 150 || total > 250 || len(failed) != 5 {
		t.Errorf("%d asked, %v failed", asked, failed)
	}
	if got, want := outcomes[200], asked-total; got != want {
		t.Errorf("%d answered well, want %d", got, want)
	}
	if got, want := outcomes[0], failed[stage.Reset]+failed[stage.LostAnswer]; got != want {
		t.Errorf("%d cut, want %d", got, want)
	}
	if want := outcomes[200] + failed[stage.LostAnswer]; acted != want {
		t.Errorf("the CA acted %d times, want %d: a lost answer is one to a deed done", acted, want)
	}
}

func TestFaultsFollowTheirSeed(t *testing.T) {
	counts := make([]map[stage.Fault]int, 3)
	for i, seed := range []uint64{1, 1, 2} {
		f := stage.NewFaults(seed)
		f.Set(0.5)
		ask(t, f, 60)
		_, counts[i] = f.Count()
	}
	same := func(a, b map[stage.Fault]int) bool {
		for k := range a {
			if a[k] != b[k] {
				return false
			}
		}
		return len(a) == len(b)
	}
	if !same(counts[0], counts[1]) {
		t.Errorf("one seed, two outcomes: %v, %v", counts[0], counts[1])
	}
	if same(counts[0], counts[2]) {
		t.Errorf("two seeds, one outcome: %v", counts[0])
	}
}

func TestFaultsAreSwitchedOnAndOff(t *testing.T) {
	f := stage.NewFaults(1)
	if outcomes, _ := ask(t, f, 20); outcomes[200] != 20 {
		t.Errorf("before any were set: %v", outcomes)
	}
	f.Set(1, stage.Unavailable)
	if outcomes, acted := ask(t, f, 20); outcomes[503] != 20 || acted != 0 {
		t.Errorf("all unavailable: %v, acted %d", outcomes, acted)
	}
	f.Set(0)
	if outcomes, _ := ask(t, f, 20); outcomes[200] != 20 {
		t.Errorf("after they were taken back: %v", outcomes)
	}
}
