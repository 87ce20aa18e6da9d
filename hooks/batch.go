package hooks

import (
	"context"
	"time"
)

const (
	// gathering is how long a run that could begin at once waits for calls that
	// arrive together with the first.
	gathering = 20 * time.Millisecond
	// maxBatch bounds what one run serves, in bytes of names: the kernel takes
	// no longer string than 128 KiB into an environment (MAX_ARG_STRLEN).
	maxBatch = 64 << 10
)

// mostAtOnce is how many runs there are at once, of different hooks.
const mostAtOnce = 8

// line is where the batches of all hooks queue up that do the same.
type line struct {
	turn chan struct{} // capacity 1; held by the batch that runs, so that runs never overlap

	// Guarded by Runner.mu.
	open  *batch    // the one that still takes arrivals, or nil
	ended time.Time // when the last run did
}

// batch is one run and all who wait for it. Guarded by Runner.mu;
// result and err are written before done is closed and read after.
type batch struct {
	hook    Hook // as the latest arrival has it, with the longest timeout of all
	seats   []*seat
	size    int           // of the events, against maxBatch
	spacing time.Duration // from the end of the run before: the shortest that a caller asked for
	ready   time.Time     // when those are there who arrived together

	moved  chan struct{} // capacity 1: spacing or ready has changed
	cancel context.CancelFunc
	done   chan struct{}
	result Result
	err    error
}

// seat is one caller's place in a batch.
type seat struct {
	event Event
	left  bool
}

// join finds the batch that ev is to be in, or opens one. It never joins a run
// that has begun: the server may have read its files before ev's were there.
func (r *Runner) join(ctx context.Context, h Hook, ev Event, spacing time.Duration) (*batch, *seat, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, nil, errClosed
	}
	action := h.action()
	l := r.lines[action]
	if l == nil {
		l = &line{turn: make(chan struct{}, 1)}
		r.lines[action] = l
	}
	b := l.open
	if h.Each || b == nil || b.size+ev.size() > maxBatch {
		b = r.openBatch(ctx, l)
		if h.Each {
			spacing = 0
		} else {
			l.open = b
		}
	}
	s := &seat{event: ev}
	b.arrive(h, s, spacing)
	return b, s, nil
}

// openBatch starts a batch that lives apart from the caller who happened to be
// first. The caller holds r.mu.
func (r *Runner) openBatch(ctx context.Context, l *line) *batch {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &batch{moved: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	r.live.Go(func() {
		defer cancel()
		r.serve(ctx, l, b)
	})
	return b
}

// arrive adds a caller. One in a hurry hurries the others.
func (b *batch) arrive(h Hook, s *seat, spacing time.Duration) {
	ready := time.Now().Add(min(gathering, spacing))
	if len(b.seats) == 0 {
		b.spacing, b.ready = spacing, ready
	}
	b.spacing = min(b.spacing, spacing)
	if ready.Before(b.ready) {
		b.ready = ready
	}
	h.Timeout = max(h.limit(), b.hook.Timeout)
	b.hook = h
	b.seats = append(b.seats, s)
	b.size += s.event.size()
	select {
	case b.moved <- struct{}{}:
	default:
	}
}

// leave takes a caller out whose context has ended. The last one to leave ends
// the batch, whether it waits or runs.
func (r *Runner) leave(b *batch, s *seat) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.left = true
	for _, other := range b.seats {
		if !other.left {
			return
		}
	}
	if l := r.lines[b.hook.action()]; l.open == b {
		l.open = nil // who comes now must not join a batch that is ending
	}
	b.cancel()
}

// serve brings one batch to its end.
func (r *Runner) serve(ctx context.Context, l *line, b *batch) {
	defer close(b.done)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.live.Go(func() {
		select {
		case <-r.closing:
			cancel(errClosed)
		case <-ctx.Done():
		}
	})

	// The turn first: who waits for it, or for the spacing, takes nobody's place.
	if !acquire(ctx, l.turn) {
		b.err = context.Cause(ctx)
		return
	}
	defer func() { <-l.turn }()
	r.await(ctx, l, b)
	if !acquire(ctx, r.places) {
		b.err = context.Cause(ctx)
		return
	}
	defer func() { <-r.places }()
	r.mu.Lock()
	events, hook, callers := b.seal(l)
	b.err = context.Cause(ctx)
	r.mu.Unlock()
	if b.err != nil {
		return
	}
	b.result, b.err = r.execute(ctx, hook, events)
	b.result.Shared = callers > 1
	r.mu.Lock()
	l.ended = time.Now()
	r.mu.Unlock()
}

func acquire(ctx context.Context, place chan<- struct{}) bool {
	select {
	case place <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// await returns when the batch may run, or ctx ends.
func (r *Runner) await(ctx context.Context, l *line, b *batch) {
	for {
		r.mu.Lock()
		wait := max(time.Until(b.ready), time.Until(l.ended.Add(b.spacing)))
		r.mu.Unlock()
		if wait <= 0 || ctx.Err() != nil {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-b.moved:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// seal closes the batch to arrivals and returns its events: one a certificate,
// the latest, of those who still wait. The caller holds Runner.mu.
func (b *batch) seal(l *line) (events []Event, h Hook, callers int) {
	if l.open == b {
		l.open = nil
	}
	place := make(map[string]int)
	for _, s := range b.seats {
		if s.left {
			continue
		}
		callers++
		if at, ok := place[s.event.Cert]; ok {
			events[at] = s.event
			continue
		}
		place[s.event.Cert] = len(events)
		events = append(events, s.event)
	}
	return events, b.hook, callers
}
