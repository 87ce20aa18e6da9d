package discover

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew/probe"
)

// Scout searches this host. What it finds out of the listeners it shares among
// certificates. The zero value is usable.
type Scout struct {
	once  sync.Once
	turn  chan struct{} // held by who lists; guards what follows
	at    time.Time     // when they were listed, by the monotonic clock
	list  []listener
	blind []string
	known map[string]word // by listener.socket

	self bool // this process's own listeners are asked too: in tests it is the server
}

// word is what a listener said, and when.
type word struct {
	tls answer
	at  time.Time
}

const (
	atOnce      = 16             // listeners that are asked at once
	wordHolds   = 24 * time.Hour // a server may begin to speak TLS on the socket that it has
	handshake   = 3 * time.Second
	listPortion = 2 // of the time that a search has, for the listing
)

// listed returns the listeners, as old as age at most.
func (s *Scout) listed(ctx context.Context, age time.Duration) (all []listener, blind []string, cut bool) {
	s.once.Do(func() { s.turn, s.known = make(chan struct{}, 1), map[string]word{} })
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, nil, true
	}
	if !s.at.IsZero() && time.Since(s.at) < age {
		return s.list, s.blind, false
	}
	if until, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(until)/listPortion)
		defer cancel()
	}
	var mine map[uint64]bool
	if !s.self {
		mine = own()
	}
	all, blind = listeners(ctx, mine)
	s.ask(ctx, all)
	if ctx.Err() != nil {
		return all, blind, true // kept by nobody: the next search goes on with it
	}
	s.list, s.blind, s.at = all, blind, time.Now()
	return all, blind, false
}

// ask finds out who speaks TLS. Those that did come first, and last those that
// gave no answer before: their silence is to cost nobody else the time.
func (s *Scout) ask(ctx context.Context, all []listener) {
	known := map[string]word{}
	order := func(l listener) int {
		w, met := known[l.socket]
		switch {
		case met && w.tls == yes:
			return 0
		case !met:
			return 1
		default:
			return 2
		}
	}
	for _, l := range all {
		if w, ok := s.known[l.socket]; ok && time.Since(w.at) < wordHolds {
			known[l.socket] = w
		}
	}
	slices.SortStableFunc(all, func(a, b listener) int { return order(a) - order(b) })
	var mu sync.Mutex // guards known
	each(ctx, len(all), func(i int) {
		l := &all[i]
		mu.Lock()
		l.tls = known[l.socket].tls
		mu.Unlock()
		if l.tls != unknown {
			return
		}
		l.tls = speaks(ctx, l)
		if ctx.Err() != nil && l.tls == unknown {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		known[l.socket] = word{l.tls, time.Now()}
	})
	s.known = known
}

// speaks asks whether l speaks TLS, for no name. A socket of every IPv6 address
// takes IPv4 as well where IPv6 is off at the loopback.
func speaks(ctx context.Context, l *listener) answer {
	_, err := greet(ctx, l)
	if probe.Unreached(err) && l.bound.Addr().Is6() && l.bound.Addr().IsUnspecified() {
		l.address = v4(l.bound.Port())
		_, err = greet(ctx, l)
	}
	switch {
	case err == nil, probe.Refused(err):
		return yes
	case errors.Is(err, probe.ErrNotTLS):
		return no
	default:
		return unknown
	}
}

func greet(ctx context.Context, l *listener) (probe.Seen, error) {
	e := l.endpoint()
	e.NoSNI = true
	return prober(e.Protocol).Look(ctx, e, "")
}

// prober waits as long as package probe does where something is said before TLS:
// mail servers let strangers wait.
func prober(protocol string) *probe.Prober {
	if protocol == "tls" {
		return &probe.Prober{Timeout: handshake}
	}
	return &probe.Prober{}
}

// each does f for 0 to n-1, so many at once, until ctx ends. It reports whether
// all were begun.
func each(ctx context.Context, n int, f func(int)) bool {
	var doing sync.WaitGroup
	defer doing.Wait()
	places := make(chan struct{}, atOnce)
	for i := range n {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		doing.Go(func() {
			defer func() { <-places }()
			f(i)
		})
	}
	return true
}
