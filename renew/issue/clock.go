package issue

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// clock is what the CA's Date headers (RFC 9110, section 6.6.1) say of the time.
type clock struct {
	mu   sync.Mutex
	said time.Time // the CA's word; zero before the first
	at   time.Time // when it was heard, with the monotonic reading
}

// note takes in an answer's Date. One that a cache kept says nothing.
func (c *clock) note(header http.Header) {
	said, err := http.ParseTime(header.Get("Date"))
	if err != nil || header.Get("Age") != "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said, c.at = said, time.Now()
}

// ahead is how far this host's clock is ahead of the CA's; zero where the CA
// never said. The time since then is taken from the monotonic clock, so that a
// jump of the wall clock shows.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said.IsZero() {
		return 0
	}
	return time.Now().Round(0).Sub(c.said.Add(time.Since(c.at)))
}

// checkClock refuses to order while this host's clock can't be right: what a wrong
// clock accepts is expired, or not valid yet, for everybody else. A machine
// that slept looks as if its clock had jumped, so the CA is asked before.
func (s *session) checkClock(ctx context.Context) error {
	if s.clock.ahead().Abs() <= renew.ClockTolerance {
		return nil
	}
	value, err := retry(ctx, func() (string, error) { return s.newNonce(ctx) })
	if err != nil {
		return fmt.Errorf("asking for the time: %w", err)
	}
	s.nonces.put(value)
	ahead := s.clock.ahead()
	if ahead.Abs() <= renew.ClockTolerance {
		return nil
	}
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	return local(fmt.Errorf("this host's clock is %s %s the CA's (%s): nothing is ordered until it is right",
		ahead.Abs().Round(time.Second), direction, s.origin.Host))
}
