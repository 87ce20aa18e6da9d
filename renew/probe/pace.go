package probe

import (
	"context"
	"time"
)

// The pause between two looks is a part of the time that has passed: what took
// long to come is noticed later by that part at most. Where an address is asked
// for several names, each waits as many times longer, so that together they ask no
// more than one; but none longer than the time that has passed.
const (
	share        = 20                    // one part in so many, for one name alone
	firstPause   = 10 * time.Millisecond // for one name alone
	fullFirst    = 50 * time.Millisecond // whoever waits
	longestPause = time.Second
)

// pace tells when to look again.
type pace struct {
	since time.Time
	news  <-chan struct{} // nil, or closed when it is worth looking at once
}

func newPace() pace { return pace{since: time.Now()} }

func (p *pace) restart() { p.since = time.Now() }

// next is the pause after so much time, where n wait.
func next(passed time.Duration, n int) time.Duration {
	n = min(n, share)
	pause := passed * time.Duration(n) / share
	return min(max(pause, min(firstPause*time.Duration(n), fullFirst)), longestPause)
}

// wait pauses, and reports whether there is time for another look.
func (p *pace) wait(ctx context.Context, until time.Time, n int) bool {
	left := time.Until(until)
	if left <= 0 || ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(min(next(time.Since(p.since), n), left)) // the last look is at the very end
	defer timer.Stop()
	select {
	case <-p.news:
		p.news = nil
		p.restart()
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
