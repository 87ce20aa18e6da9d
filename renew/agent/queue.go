package agent

import (
	"container/heap"
	"log/slog"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// entry is one certificate in the agent's hands: what the last look gave.
type entry struct {
	log   *slog.Logger
	cert  renew.Cert
	facts renew.Facts
	step  renew.Step
	level renew.Level // as of the last look; empty before the first
	busy  renew.Do    // the look or step under way; empty when none is
	since time.Time   // when the look or step under way began
	again bool        // to be looked at again after what is under way
	gone  bool        // no longer configured; dropped when what is under way has ended
	err   string      // why the facts could not be gathered
	did   renew.Do    // the step that ended last
	ended time.Time   // and when

	searched bool // one has ended
	older    older

	at    time.Time // when to look again, or, parked, the end of what is held
	in    *queue    // the queue that it stands in; nil when it stands in none
	index int       // its place there
}

// queue is a heap of entries, the earliest first.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i]; q[i].index, q[j].index = i, j }
func (q *queue) Push(x any)        { e := x.(*entry); e.index = len(*q); *q = append(*q, e) }
func (q *queue) Pop() any {
	e := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	return e
}

// put moves e into q, to stand there for at.
func (q *queue) put(e *entry, at time.Time) {
	e.leave()
	e.at, e.in = at, q
	heap.Push(q, e)
}

// take removes the earliest entry; nil where there is none.
func (q *queue) take() *entry {
	if len(*q) == 0 {
		return nil
	}
	e := (*q)[0]
	e.leave()
	return e
}

// leave takes e out of whatever queue it stands in.
func (e *entry) leave() {
	if e.in != nil {
		heap.Remove(e.in, e.index)
		e.in = nil
	}
}
