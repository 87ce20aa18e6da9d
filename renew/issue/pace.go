package issue

import (
	"context"
	"time"
)

// Between these a CA's Retry-After is followed when something is polled.
const (
	minHint = 100 * time.Millisecond
	maxHint = 60 * time.Second
	maxPoll = 5 * time.Second // without one
)

// pace spaces out polls: each wait is twice the one before.
type pace struct{ next time.Duration }

// wait waits for the next poll. hint is the CA's Retry-After; zero where it
// named none.
func (p *pace) wait(ctx context.Context, hint time.Duration) error {
	d := min(max(p.next, firstPollMin), maxPoll)
	p.next = 2 * d
	if hint > 0 {
		d = min(max(hint, minHint), maxHint)
	}
	return sleep(ctx, d)
}
