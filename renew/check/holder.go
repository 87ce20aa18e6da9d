package check

import (
	"context"
	"fmt"
	"time"

	"github.com/certvigil/certvigil/renew/store"
)

const (
	// glanceEvery is how often the lock is looked at while nobody holds it.
	glanceEvery = 100 * time.Millisecond
	// patient is which part of the whole time is spent on waiting for an agent
	// that is just being started again.
	patient = 3.0 / 4
	// signless is after how long without a sign of life an agent hangs: two beats
	// and two of its longest turns.
	signless = 2*store.BeatEvery + 2*time.Minute
	// restless is the time within which as many starts as the store tells of mean
	// that the agent does not stay up.
	restless = 30 * time.Minute
	starts   = 5
)

// await looks at the lock until somebody holds it, or ctx ends.
func await(ctx context.Context, st *store.Store) (store.Holder, error) {
	tick := time.NewTicker(glanceEvery)
	defer tick.Stop()
	for {
		h, err := st.Holder()
		if err != nil || h.Held {
			return h, err
		}
		select {
		case <-ctx.Done():
			return h, nil
		case <-tick.C:
		}
	}
}

// judgeHolder tells what is wrong with the agent, and since when what it
// promised is to be counted.
func judgeHolder(now time.Time, dir string, h store.Holder) (problems []Problem, began time.Time) {
	if len(h.Starts) > 0 && !h.Starts[0].After(now) { // or the clock was set back since
		began = h.Starts[0]
	}
	switch age := now.Sub(h.Sign); {
	case !h.Held && h.Sign.IsZero():
		problems = append(problems, Problem{State: Warning, Text: fmt.Sprintf("no agent is running: nobody ever held the lock in %s", dir)})
	case !h.Held:
		problems = append(problems, Problem{State: Warning, Text: fmt.Sprintf("no agent is running: nobody holds the lock in %s; last sign of life %s ago", dir, span(age))})
	case age > signless:
		problems = append(problems, Problem{State: Warning, Text: fmt.Sprintf("the agent hangs: process %d gave no sign of life for %s", h.PID, span(age))})
	}
	if len(h.Starts) >= starts {
		first := h.Starts[starts-1]
		if within := h.Starts[0].Sub(first); within < restless && now.Sub(h.Starts[0]) < restless {
			problems = append(problems, Problem{State: Warning, Text: fmt.Sprintf("the agent was started %d times within %s: see its log", starts, span(within))})
			began = first // or nothing would ever be overdue
		}
	}
	return problems, began
}
