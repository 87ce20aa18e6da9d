package sim

import (
	"cmp"
	"slices"
	"time"
)

// event is something that happens at a moment.
type event struct {
	at time.Duration
	do func()
}

// queue is what is to happen: the fault trace, known beforehand, and what came
// up on the way, which is little at any time.
type queue struct {
	trace []edge // in order
	extra []event
}

// edge is the beginning or the end of a fault of the trace.
type edge struct {
	at    time.Duration
	fault int
	ends  bool
}

// schedule puts the beginnings and ends of all faults in order.
func (h *host) schedule() {
	edges := make([]edge, 0, 2*len(h.fate.Faults))
	for i, f := range h.fate.Faults {
		edges = append(edges, edge{at: f.From, fault: i})
		if f.To > f.From && f.To < h.fate.Length {
			edges = append(edges, edge{at: f.To, fault: i, ends: true})
		}
	}
	slices.SortStableFunc(edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
	h.events.trace = edges
}

func (q *queue) add(e event) { q.extra = append(q.extra, e) }

// next is when the next thing happens; forever where nothing does.
func (q *queue) next() time.Duration {
	at := forever
	if len(q.trace) > 0 {
		at = q.trace[0].at
	}
	for _, e := range q.extra {
		at = min(at, e.at)
	}
	return at
}

// run has everything happen that is due at h.now.
func (h *host) run() {
	q := &h.events
	for len(q.trace) > 0 && q.trace[0].at <= h.now {
		e := q.trace[0]
		q.trace = q.trace[1:]
		f := h.fate.Faults[e.fault]
		if e.ends {
			h.lift(f)
		} else {
			h.begun = e.fault + 1
			h.strike(f)
		}
	}
	for i := 0; i < len(q.extra); {
		if e := q.extra[i]; e.at <= h.now {
			q.extra = slices.Delete(q.extra, i, i+1)
			e.do()
			i = 0 // it may have added others
		} else {
			i++
		}
	}
}
