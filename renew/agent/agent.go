// Package agent is the lap: gather the facts of one certificate, ask
// [renew.Decide], perform the one step that it names, record the outcome, and
// come back. One loop and one heap of due times drive everything; a certificate
// has neither a goroutine nor a timer of its own. Whatever goes wrong with one
// certificate, a panic included, becomes a [renew.Trouble] of that certificate
// and of nobody else.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/crl"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

// Store is the state directory, or whatever stands in for it.
type Store interface {
	Versions(name string) ([]renew.Version, error)
	Live(name string) (n int, changedAt time.Time, err error)
	Read(name string, n int) (store.Bundle, error)
	Commit(name string, b store.Bundle) (int, error)
	Link(name string, n int) error
	LiveDir(name string) string
	Prune(name string, keep int, spare ...int) error
	Journal(name string) (renew.Journal, error)
	Record(name string, j renew.Journal) error
	Account(directory, eabKeyID string) (store.Account, bool, error)
}

// Issuer gets certificates. Errors are *renew.Failure where their class is known.
type Issuer interface {
	// Issue asks the first issuer of c.
	Issue(ctx context.Context, c renew.Cert, held renew.Version, why renew.Reason) (version int, err error)
	// Enroll registers an account at the first issuer of c, where there is none.
	Enroll(ctx context.Context, c renew.Cert) error
	Advise(ctx context.Context, c renew.Cert, held renew.Version) (renew.Advice, error)
}

// Prober looks at what endpoints serve.
type Prober interface {
	Prove(ctx context.Context, e renew.Endpoint, names []string, version int, want probe.Want, patience time.Duration) []renew.Proof
}

// Runner runs an operator's hook, once for several certificates where it can.
type Runner interface {
	Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error)
}

// Lists looks at revocation lists.
type Lists interface {
	Look(ctx context.Context, now time.Time, q crl.Query) (crl.Answer, error)
}

// Sockets knows who is connected to this host.
type Sockets interface {
	// Connected notes which connections are open at an address. Still counts those
	// of them that are open yet, at since or later; nil where there are none.
	Connected(address string) (still func(since time.Time) (int, error), err error)
}

// Parts is what an Agent is made of. Store, Prober, Runner and Log are needed.
type Parts struct {
	Store   Store
	Prober  Prober
	Runner  Runner
	Lists   Lists   // may be nil: then nobody looks
	Scout   Scout   // may be nil: then nobody searches
	Sockets Sockets // may be nil: then nobody counts connections
	Log     *slog.Logger
	Writer  install.Writer // of outputs
	// Alive is called once a turn of the loop, at least every Turn: a watchdog
	// that hears nothing knows that the lap is stuck. It may ask for a line that
	// says how things are.
	Alive func(status func() string)
	// Built is when the program was made: a clock that says less is wrong. Zero
	// means that nobody knows.
	Built time.Time
	// Turn is the longest wait between two turns; at most a minute, so that
	// suspend and a clock that jumps cost no more than that. Zero means a minute.
	Turn time.Duration
	// Drive is left zero but by a simulator.
	Drive Drive
}

// longestTurn bounds how long the loop ever sleeps, in wall-clock time.
const longestTurn = time.Minute

// Agent keeps the certificates of one configuration.
type Agent struct {
	parts Parts
	wake  chan struct{} // to look at everything
	poke  chan struct{} // to take another turn
	done  chan outcome
	now   func() time.Time

	mu       sync.Mutex // guards what follows; never held over I/O of a step
	config   *config.Config
	issuer   Issuer
	entries  map[string]*entry
	queue    queue
	lanes    []*lane                   // as they were opened
	looks    *lane                     // one of them
	hung     time.Time                 // when looks that hang were last asked for
	turned   time.Time                 // when the last turn began
	swept    time.Time                 // when everything was last made due for a look
	sweepAt  time.Time                 // when it will be; zero where nobody asked
	looked   time.Time                 // when a look last ended
	requests map[string]renew.Request  // an operator's word that is not in the journal yet
	unsaved  map[string]*renew.Journal // what the disk would not take; tried again each lap
	checkups map[string]checkup        // what preflights found that is not in the journal yet
	searches map[string]search         // what searches found that is not in the journal yet

	checks beside // preflights
	hunts  beside // searches for servers
}

// New returns an agent for cfg; nothing happens before Run or Settle.
func New(parts Parts, cfg *config.Config, issuer Issuer) *Agent {
	if parts.Turn <= 0 || parts.Turn > longestTurn {
		parts.Turn = longestTurn
	}
	if parts.Alive == nil {
		parts.Alive = func(func() string) {}
	}
	parts.Drive = parts.Drive.orReal()
	a := &Agent{
		parts: parts, wake: make(chan struct{}, 1), poke: make(chan struct{}, 1), done: make(chan outcome, min(mostRunning, 3*len(cfg.Certs))),
		entries:  map[string]*entry{},
		requests: map[string]renew.Request{}, unsaved: map[string]*renew.Journal{},
		checkups: map[string]checkup{}, searches: map[string]search{},
		checks: besides(renew.Preflight, mostChecks), hunts: besides(renew.Discover, mostSearches),
	}
	a.looks = a.lane(look, "")
	// Without the monotonic reading: due times are wall-clock times, and the
	// monotonic clock stands still while a machine sleeps.
	a.now = func() time.Time { return parts.Drive.Now().Round(0) }
	a.adopt(cfg, issuer, a.now())
	return a
}

// Wake makes the agent look at every certificate again soon. It carries no
// data: a wake that is lost costs a delay, never correctness.
func (a *Agent) Wake() { nudge(a.wake) }

// nudge sends where nobody waits to be heard already.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Reload puts another configuration in force. Steps under way go on under the
// one they began with. A certificate whose settings changed is tried at once,
// whatever it was waiting for.
func (a *Agent) Reload(cfg *config.Config, issuer Issuer) {
	a.mu.Lock()
	a.adopt(cfg, issuer, a.now())
	a.mu.Unlock()
	nudge(a.poke)
}

// ErrUnknown is what a request for a certificate that is not configured gets.
var ErrUnknown = errors.New("no such certificate is configured")

// Request records an operator's word: try name now, and with force issue a new
// certificate although none is due. It is durable with the next turn.
func (a *Agent) Request(name string, force bool) error {
	a.mu.Lock()
	e, ok := a.entries[name]
	if ok {
		now := a.now()
		a.requests[name] = renew.Request{At: now, Force: force}
		a.wakeUp(e, now)
	}
	a.mu.Unlock()
	if !ok {
		return ErrUnknown
	}
	nudge(a.poke)
	return nil
}

// drainTime is how long Run waits for steps under way once its context ends.
const drainTime = 4 * time.Second

// Run keeps the certificates until ctx ends, and returns within five seconds
// of that.
func (a *Agent) Run(ctx context.Context) {
	a.loop(ctx, func() bool { return false })
}

// Settle does what is due now, and what becomes due by that, and returns when
// nothing is left to do at once or ctx ends. Names limits it to those; none
// means all.
func (a *Agent) Settle(ctx context.Context, names ...string) {
	a.mu.Lock()
	if len(names) > 0 {
		a.only(names)
	}
	a.mu.Unlock()
	a.loop(ctx, a.settled)
}

// loop is the only place that reads the clock for the laps: each turn starts
// what is due, then waits for the next due time, an event or an outcome.
func (a *Agent) loop(ctx context.Context, finished func() bool) {
	for {
		now := a.now()
		next := a.turn(ctx, now)
		if !a.stuck(now) {
			a.parts.Alive(func() string { return a.StatusLine(now) })
		}
		if finished() {
			return
		}
		timer := time.NewTimer(min(max(next.Sub(now), time.Millisecond), a.parts.Turn))
		select {
		case <-ctx.Done():
			timer.Stop()
			a.drain(ctx)
			return
		case <-a.wake:
			a.all(a.now())
		case <-a.poke:
		case o := <-a.done:
			a.finish(ctx, o)
		case <-timer.C:
		}
		timer.Stop()
	}
}

// drain takes in the outcomes of the steps under way, for a while.
func (a *Agent) drain(ctx context.Context) {
	deadline := time.NewTimer(drainTime)
	defer deadline.Stop()
	for a.busy() > 0 {
		select {
		case o := <-a.done:
			a.finish(ctx, o)
		case <-deadline.C:
			return
		}
	}
}
