package probe

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// InARow is how many handshakes one after the other must show the wanted
// certificate before it counts as served.
const InARow = 5

// closely is how many handshakes in a row are asked for in all at an address that
// is looked at closely, shared by the names. Where one of two processes at a port
// still has the old certificate, five right answers in a row come once in 32 tries;
// where one worker of eight has it, in every second. 64 come twice in ten thousand.
const closely = 64

// spoken is that of servers that are spoken to before TLS: mail servers count
// connections, some within a minute. Where one of two processes was left out, 20 right
// answers come once in a million tries.
const spoken = 20

const (
	defaultTimeout  = 5 * time.Second  // of one lookup, and of one handshake with its connection
	dialogueTimeout = 15 * time.Second // where something is said before: Postfix's postscreen alone waits 6 s
	parallel        = 8                // handshakes at once with one address
	fewer           = 2                // of those with a dialogue before: mail servers count connections
	silence         = time.Second      // how long an address that did not answer is taken to be silent
)

// Prober makes handshakes. The zero value is usable.
type Prober struct {
	Roots   *x509.CertPool // trusted beside the system's, in Look's verdict; may be nil
	Timeout time.Duration  // of one handshake, all before it included; zero means 5 s, or 15 s with a dialogue before TLS
	Rounds  int            // how many handshakes in a row Prove asks for; zero means InARow

	lookup func(ctx context.Context, host string) ([]netip.Addr, error) // nil: the system's resolver

	mu    sync.Mutex     // guards what follows
	asked map[target]int // for how many names an address is asked at the moment
}

// Want identifies the version that is looked for.
type Want struct {
	Fingerprint string // renew.Version.Fingerprint
	ChainDigest string // renew.Version.ChainDigest; empty leaves the chain out of it

	// KeyType is renew.Version.KeyType. Where the server shows a key of another
	// kind (RSA, ECDSA) it is asked again as by a client that can take only this
	// one. Empty takes what is shown first.
	KeyType renew.KeyType

	// Closely asks for more in a row, as long as there is patience: after a
	// reload, of which a part may have been left out. Of a server that is spoken to
	// before TLS it asks for fewer.
	Closely bool
}

// WantOf is what to look for of a version.
func WantOf(v renew.Version) Want {
	return Want{Fingerprint: v.Fingerprint, ChainDigest: v.ChainDigest, KeyType: v.KeyType}
}

// Prove asks the endpoint for every name, on every address that its host has,
// until all show what is wanted or patience is over, and returns one proof a
// name. An endpoint with names of its own is asked for those instead, and one
// without SNI once, for none. Each
// address and name is asked at least once, whatever the patience; zero means
// exactly once. Where addresses differ, the proof tells of the worst. Once ctx
// has ended, what has not been seen yet is unverifiable.
func (p *Prober) Prove(ctx context.Context, ep renew.Endpoint, names []string, version int, want Want, patience time.Duration) []renew.Proof {
	names = ep.NamesOr(names)
	until := time.Now().Add(patience)
	addrs, err := p.endpointAddrs(ctx, ep, until)
	if err != nil {
		addrs = []target{{}}
	}
	verdicts := make([][]verdict, len(names))
	var asking sync.WaitGroup
	for i := range names {
		verdicts[i] = make([]verdict, len(addrs))
		for j := range verdicts[i] {
			verdicts[i][j].err = err
		}
	}
	if err == nil {
		for j, addr := range addrs {
			at := &host{slots: make(chan struct{}, slots(ep)), until: until, news: make(chan struct{})}
			if want.Closely {
				at.more = (inAll(ep) + len(names) - 1) / len(names)
			}
			for i, name := range names {
				q := question{endpoint: ep, at: addr, name: name}
				asking.Go(func() { verdicts[i][j] = p.watch(ctx, at, q, want, until) })
			}
		}
	}
	asking.Wait()

	trusted := rootsOf(ep)
	proofs := make([]renew.Proof, len(names))
	for i, name := range names {
		proofs[i] = conclude(addrs, verdicts[i], want, trusted)
		proofs[i].Address, proofs[i].Name, proofs[i].Version = ep.Address, name, version
		proofs[i].CheckedAt = time.Now()
	}
	return proofs
}

// endpointAddrs resolves the endpoint's address, again and again while there is
// patience left.
func (p *Prober) endpointAddrs(ctx context.Context, ep renew.Endpoint, until time.Time) ([]target, error) {
	if err := known(ep.Protocol); err != nil {
		return nil, err
	}
	pace := newPace()
	for {
		addrs, err := p.resolve(ctx, ep)
		if err == nil {
			return addrs, nil
		}
		if _, dns := errors.AsType[*net.DNSError](err); !dns || !pace.wait(ctx, until, share) {
			return nil, err
		}
	}
}

// watch asks one address for one name until it shows what is wanted so many
// times in a row, or until the time is over. It holds one of the address's slots while
// it asks and none while it pauses, so that names which fail do not keep the
// others from being asked at all.
func (p *Prober) watch(ctx context.Context, at *host, q question, want Want, until time.Time) verdict {
	p.crowd(q.at, 1)
	defer p.crowd(q.at, -1)
	pace := newPace()
	pace.news = at.news
	for begun := false; ; {
		v, succeeded := p.round(ctx, at, q, want)
		if succeeded && !begun {
			begun = true
			pace.restart() // it has begun to change: look closely
			at.tell()
		}
		if v.good(want) || !p.pause(ctx, q, &pace, until) {
			return v
		}
	}
}

// pause waits until q is to be asked again.
func (p *Prober) pause(ctx context.Context, q question, pace *pace, until time.Time) bool {
	n := p.crowd(q.at, 0)
	if talks(q.endpoint) {
		n = share // as slow as many: mail servers count connections
	}
	return pace.wait(ctx, until, n)
}

// crowd counts the names that an address is asked for, in all proofs that are
// under way, after more have come or gone.
func (p *Prober) crowd(at target, more int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = make(map[target]int)
	}
	n := p.asked[at] + more
	if p.asked[at] = n; n == 0 {
		delete(p.asked, at)
	}
	return n
}

// round is up to InARow handshakes, or p.Rounds, or more of a host that is looked
// at closely; the first that does not show what is wanted ends it. succeeded tells
// whether any before it did.
func (p *Prober) round(ctx context.Context, at *host, q question, want Want) (v verdict, succeeded bool) {
	select {
	case at.slots <- struct{}{}:
		defer func() { <-at.slots }()
	case <-ctx.Done():
		return verdict{err: context.Cause(ctx)}, false
	}
	enough := cmp.Or(p.Rounds, InARow)
	for n := range enough {
		if v = p.once(ctx, at, q, want); !v.good(want) {
			return v, n > 0
		}
		q.only = v.shown.only // it has two, and showed ours only to who takes no other
	}
	return p.closer(ctx, at, q, want, v, at.more-enough), true
}

// closer is more handshakes after those that were enough, until there is no
// patience left. Where the address is asked for little else they are made at the
// same time. That also spreads them over the workers of a server: of one
// connection after the other the same idle worker may get all. It returns the
// first that does not show what is wanted, or v.
func (p *Prober) closer(ctx context.Context, at *host, q question, want Want, v verdict, more int) verdict {
	var (
		left   atomic.Int64
		failed = make(chan verdict, parallel)
		asking sync.WaitGroup
	)
	left.Store(int64(more))
	ask := func() {
		for left.Add(-1) >= 0 && len(failed) == 0 && time.Now().Before(at.until) {
			if v := p.once(ctx, at, q, want); !v.good(want) {
				failed <- v
				return
			}
		}
	}
	for range min(more, parallel/max(1, p.crowd(q.at, 0))) - 1 {
		select {
		case at.slots <- struct{}{}:
			asking.Go(func() {
				defer func() { <-at.slots }()
				ask()
			})
		default:
		}
	}
	ask()
	asking.Wait()
	select {
	case v = <-failed:
	default:
	}
	return v
}

// once makes one handshake, unless the address is known to be silent.
func (p *Prober) once(ctx context.Context, at *host, q question, want Want) (v verdict) {
	if err := at.silent(); err != nil {
		return verdict{err: err}
	}
	defer func() {
		if r := recover(); r != nil { // whatever a server sends, it ends no process
			v = verdict{err: fmt.Errorf("panic while it was asked: %v", r)}
		}
	}()
	v.shown, v.err = p.see(ctx, q, kindOf(want.KeyType))
	at.note(v.err)
	return v
}

func (p *Prober) timeout(e renew.Endpoint) time.Duration {
	switch {
	case p.Timeout > 0:
		return p.Timeout
	case talks(e):
		return dialogueTimeout
	default:
		return defaultTimeout
	}
}

// inAll is how many handshakes in a row a close look asks for at one address.
func inAll(e renew.Endpoint) int {
	switch {
	case e.Protocol == "mysql":
		return 0 // it blocks a host after 100 connections without a login
	case talks(e):
		return spoken
	default:
		return closely
	}
}

func slots(e renew.Endpoint) int {
	if talks(e) {
		return fewer
	}
	return parallel
}

// host is one address in the course of one Prove.
type host struct {
	slots chan struct{}
	more  int           // handshakes in a row, as long as there is time; zero for no more than enough
	until time.Time     // when patience is over
	news  chan struct{} // closed once a name has shown what is wanted: the others will, too
	told  sync.Once     // closes news

	mu       sync.Mutex // guards what follows
	answered bool       // a handshake was answered there
	since    time.Time  // when it last let one time out
	err      error
}

// tell closes news.
func (h *host) tell() { h.told.Do(func() { close(h.news) }) }

// note keeps in mind that nothing answers there at all, so that a hundred names
// need not find out one after the other, at 5 s each. A handshake that hangs
// where others are answered is the affair of its name alone.
func (h *host) note(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, dial := errors.AsType[dialError](err)
	switch {
	case err == nil:
		h.answered = true
	case errors.Is(err, ErrNoAnswer) && (dial || !h.answered):
		h.since, h.err = time.Now(), err
	}
}

func (h *host) silent() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil && time.Since(h.since) < silence {
		return h.err
	}
	return nil
}
