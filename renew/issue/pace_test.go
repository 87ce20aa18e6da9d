package issue

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestPollsAreSpacedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			hint time.Duration
			want []time.Duration
		}{
			"alone":  {0, []time.Duration{10 * time.Millisecond, 20 * time.Millisecond, 40 * time.Millisecond}},
			"hinted": {3 * time.Second, []time.Duration{3 * time.Second, 3 * time.Second}},
			"hasty":  {time.Millisecond, []time.Duration{100 * time.Millisecond}},
			"lazy":   {24 * time.Hour, []time.Duration{time.Minute}},
		} {
			var p pace
			for i, want := range c.want {
				began := time.Now()
				if err := p.wait(context.Background(), c.hint); err != nil {
					t.Fatal(err)
				}
				if got := time.Since(began); got != want {
					t.Errorf("%s: wait %d took %s, not %s", name, i, got, want)
				}
			}
		}
		var p pace
		for range 20 {
			_ = p.wait(context.Background(), 0)
		}
		began := time.Now()
		_ = p.wait(context.Background(), 0)
		if got := time.Since(began); got != maxPoll {
			t.Errorf("after many: %s", got)
		}
	})
}

func TestTheFirstPollFollowsWhatTheCATakes(t *testing.T) {
	var s settling
	if s.first() != firstPollMin {
		t.Errorf("at first %s", s.first())
	}
	for range 20 {
		s.observe(false)
	}
	if s.first() != firstPollMax {
		t.Errorf("of a slow one %s", s.first())
	}
	for range 50 {
		s.observe(true)
	}
	if s.first() != firstPollMin {
		t.Errorf("of a quick one %s", s.first())
	}
}

func TestNoncesGoOffAndTheNewestIsTakenFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n nonces
		n.put("old")
		time.Sleep(nonceAge - time.Second)
		n.put("new")
		time.Sleep(2 * time.Second)
		if got, _ := n.take(); got != "new" {
			t.Errorf("%q", got)
		}
		if got, ok := n.take(); ok {
			t.Errorf("%q is too old", got)
		}
		n.put("")
		for range 10 * maxNonces {
			n.put("x")
		}
		if len(n.kept) != maxNonces {
			t.Errorf("%d are kept", len(n.kept))
		}
		n.keepNewest()
		if len(n.kept) != 1 {
			t.Errorf("%d are kept after a rejection", len(n.kept))
		}
	})
}
