package agent

import (
	"context"

	"github.com/certvigil/certvigil/renew"
)

// beside is a kind of work that is no step of its certificate: what it waits for
// would hold back what is due meanwhile. It goes on beside the steps, and what it
// found is written by the next look at the facts. The agent's lock guards it.
type beside struct {
	do      renew.Do
	most    int // at once
	running int
	waiting []*entry        // for a place
	of      map[*entry]bool // who waits, or is at it
}

func besides(do renew.Do, most int) beside {
	return beside{do: do, most: most, of: map[*entry]bool{}}
}

// add lets e wait for a place.
func (b *beside) add(e *entry) {
	b.of[e] = true
	b.waiting = append(b.waiting, e)
}

// begin gives a place to the first that waits; nil where there is no place, or
// nobody waits.
func (a *Agent) begin(ctx context.Context, b *beside) *entry {
	for b.running < b.most && len(b.waiting) > 0 {
		e := b.waiting[0]
		b.waiting[0] = nil
		b.waiting = b.waiting[1:]
		if a.entries[e.cert.Name] == e && ctx.Err() == nil {
			b.running++
			return e
		}
		delete(b.of, e)
	}
	return nil
}

// end takes the place back.
func (b *beside) end(e *entry) {
	b.running--
	delete(b.of, e)
}
