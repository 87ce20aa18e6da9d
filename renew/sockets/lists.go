package sockets

import (
	"net/netip"
	"sync"
	"time"
)

// Lists reads the lists, once for all who ask at about the same time: a reload may
// be for a thousand certificates, and a host have a hundred thousand connections.
// The zero value is usable.
type Lists struct {
	mu   sync.Mutex // guards what follows, and all readings and notes; held while the lists are read
	last *reading   // nil before the first
	read func() (*reading, error)
}

// How old a reading may be that is shared. What a server is about to forget is
// noted as it is: one reload asks for all of its certificates at once. How much is
// left of it is asked by proofs, one after the other.
const (
	noteShared  = 50 * time.Millisecond
	countShared = time.Second
)

// Connected notes which connections are open at an endpoint's address. Still
// counts those of them that are open yet, at since or later; it is nil where
// nobody is connected, or nobody listens on this host.
func (l *Lists) Connected(address string) (still func(since time.Time) (int, error), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, err := l.reading(time.Time{}, noteShared)
	if err != nil {
		return nil, err
	}
	var notes []*note
	for _, at := range r.listeners(address, isHere) {
		if len(r.open[at]) > 0 {
			notes = append(notes, r.note(at))
		}
	}
	if len(notes) == 0 {
		return nil, nil
	}
	return func(since time.Time) (int, error) { return l.count(notes, since) }, nil
}

func (l *Lists) count(notes []*note, since time.Time) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, err := l.reading(since, countShared)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, n := range notes {
		total += n.left(r)
	}
	return total, nil
}

// reading returns one that began at since or later, and ended so long ago at most.
// The caller holds l.mu.
func (l *Lists) reading(since time.Time, age time.Duration) (*reading, error) {
	if r := l.last; r != nil && !r.began.Before(since) && time.Since(r.ended) < age {
		return r, nil
	}
	do := l.read
	if do == nil {
		do = read
	}
	r, err := do()
	if err == nil {
		l.last = r
	}
	return r, err
}

// note is who was connected to one listener and has not been gone since. Inodes
// are given again some day, so that each count forgets those that are gone.
type note struct {
	at     netip.AddrPort
	inodes []uint64 // in order
	asOf   time.Time
}

func (n *note) left(r *reading) int {
	if r.began.After(n.asOf) {
		n.inodes, n.asOf = common(n.inodes, r.open[n.at]), r.began
	}
	return len(n.inodes)
}

// common is what is in both, each of which is in order.
func common(a, b []uint64) []uint64 {
	var both []uint64
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			both = append(both, a[0])
			a, b = a[1:], b[1:]
		}
	}
	return both
}
