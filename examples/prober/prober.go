package prober

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"time"
)

// Defaults of [Options].
const (
	DefaultEvery   = 100 * time.Millisecond
	DefaultTimeout = 3 * time.Second
)

// Options says what is probed and how.
type Options struct {
	Targets []Target
	Roots   *x509.CertPool // the only roots that are trusted
	Every   time.Duration  // between two handshakes of one target; zero means DefaultEvery
	Timeout time.Duration  // of one handshake; zero means DefaultTimeout
}

// Prober handshakes with its targets and keeps count. Its methods may be called
// from any goroutine.
type Prober struct {
	opts Options

	mu      sync.Mutex // guards what follows
	records map[Target]*Record
	downAt  time.Time     // since when the server is down on purpose; zero when it is not
	upAt    time.Time     // when it last came back
	changed chan struct{} // closed and replaced whenever a record changes
}

// New returns a prober that has not probed yet. It refuses options under which
// nothing could ever be judged.
func New(o Options) (*Prober, error) {
	if len(o.Targets) == 0 {
		return nil, errors.New("prober: no targets: what looks at nothing finds nothing")
	}
	if o.Roots == nil {
		return nil, errors.New("prober: no roots to judge by")
	}
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	p := &Prober{opts: o, records: make(map[Target]*Record), changed: make(chan struct{})}
	for _, t := range o.Targets {
		if p.records[t] != nil {
			return nil, errors.New("prober: " + t.String() + " is listed twice")
		}
		p.records[t] = newRecord(t)
	}
	return p, nil
}

// Run probes every target until ctx ends, then returns the report.
func (p *Prober) Run(ctx context.Context) Report {
	var targets sync.WaitGroup
	for i, t := range p.opts.Targets {
		// Spread over the period: a fleet of targets is not one burst.
		phase := p.opts.Every * time.Duration(i) / time.Duration(len(p.opts.Targets))
		targets.Go(func() { p.watch(ctx, t, phase) })
	}
	targets.Wait()
	return p.Report()
}

// watch probes one target at a steady pace. A handshake that takes longer than
// that delays the next one; the time in which nothing was seen shows as the
// record's longest gap.
func (p *Prober) watch(ctx context.Context, t Target, phase time.Duration) {
	first := time.NewTimer(phase)
	defer first.Stop()
	select {
	case <-ctx.Done():
		return
	case <-first.C:
	}
	tick := time.NewTicker(p.opts.Every)
	defer tick.Stop()
	for {
		p.probe(ctx, t)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *Prober) probe(ctx context.Context, t Target) {
	limited, cancel := context.WithTimeout(ctx, p.opts.Timeout)
	defer cancel()
	begun := time.Now()
	seen, err := Handshake(limited, t, p.opts.Roots)
	if err != nil && over(ctx) {
		return // cut off by the end of the run: says nothing of the server
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r := p.records[t]; {
	case err == nil:
		r.saw(seen)
	case p.wasDown(begun):
		r.Down++
	default:
		r.failed(time.Now(), err)
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// over tells whether ctx has ended. The network's own timer may be a moment
// ahead of the context's.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// Down tells the prober that the server is about to be stopped on purpose:
// handshakes that fail from now on, until the returned function is called, are
// counted as down. What they are answered with is judged as always.
func (p *Prober) Down() (up func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.downAt = time.Now()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.downAt, p.upAt = time.Time{}, time.Now()
	}
}

// wasDown tells whether a handshake that began then, and ends now, had any part
// in a deliberate stop. The caller holds mu.
func (p *Prober) wasDown(begun time.Time) bool {
	return !p.downAt.IsZero() || !begun.After(p.upAt)
}

// Report returns a copy of what was counted so far.
func (p *Prober) Report() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := Report{At: time.Now()}
	for _, t := range p.opts.Targets {
		r.Records = append(r.Records, p.records[t].copy(r.At))
	}
	return r
}

// Await waits until the report satisfies ok, or ctx ends, and returns the last
// report either way.
func (p *Prober) Await(ctx context.Context, ok func(Report) bool) (Report, error) {
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		r := p.Report()
		if ok(r) {
			return r, nil
		}
		select {
		case <-ctx.Done():
			return r, context.Cause(ctx)
		case <-changed:
		}
	}
}
