package agent

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// older is what is known of the connections that were open when a server was last
// reloaded: its old workers keep them, with the certificate that they began with.
// Nothing is done about them. After a restart nobody knows of them any more.
type older struct {
	mu    sync.Mutex                                          // guards what follows: a hook that nobody waits for any more may reload all the same
	asOf  time.Time                                           // when a hook last returned
	still map[string]func(since time.Time) (n int, err error) // by the endpoint's address
}

// reloading returns what h is to call just before it reloads: who is connected to
// its endpoints is noted. It is nil where nobody counts.
func (j *job) reloading(h hooks.Hook) func() {
	if j.parts.Sockets == nil {
		return nil
	}
	var addresses []string
	for _, e := range renew.Endpoints(&j.cert, &j.facts) {
		theirs := func(name string) bool { return j.hooks[name].Same(h) }
		if !slices.Contains(addresses, e.Address) && !j.shows(e.Address) && slices.ContainsFunc(e.HooksOr(j.cert.Hooks), theirs) {
			addresses = append(addresses, e.Address)
		}
	}
	o, from, log := j.older, j.parts.Sockets, j.log // j may be another step by then
	return func() { o.note(from, addresses, log) }
}

// shows tells whether an endpoint was proved to show the live version. Whoever came
// since has that one too, though a hook runs once more: another server's, maybe,
// which fails, where the endpoint names none of its own.
func (j *job) shows(address string) bool {
	shown := false
	for p := range renew.LiveProofs(&j.cert, &j.facts) {
		if p.Address != address {
			continue
		}
		if shown = p.Served; !shown {
			break
		}
	}
	return shown
}

// note takes the place of what was noted before: who was connected then and still
// is, is among those who are.
func (o *older) note(from Sockets, addresses []string, log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.survive(log)
	for _, address := range addresses {
		still, err := from.Connected(address)
		switch {
		case err != nil:
			log.Debug("connections not noted", "endpoint", address, "err", err)
		case still == nil:
			delete(o.still, address)
		default:
			if o.still == nil {
				o.still = map[string]func(time.Time) (int, error){}
			}
			o.still[address] = still
		}
	}
}

// returned notes that a hook has.
func (o *older) returned(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asOf = now
}

// count enters into proofs how many of them are left at the endpoints that show
// what they should, and forgets those of which none is.
func (o *older) count(proofs []renew.Proof, log *slog.Logger) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer o.survive(log)
	for address, still := range o.still {
		there := func(p renew.Proof) bool { return p.Address == address }
		shown := func(p renew.Proof) bool { return p.Served && p.Address == address }
		if !slices.ContainsFunc(proofs, there) {
			delete(o.still, address) // no endpoint any more
		}
		if !slices.ContainsFunc(proofs, shown) {
			continue
		}
		n, err := still(o.asOf)
		if err != nil {
			log.Debug("connections not counted", "endpoint", address, "err", err)
			continue
		}
		if n == 0 {
			delete(o.still, address)
		}
		for i := range proofs {
			if shown(proofs[i]) {
				proofs[i].OlderConnections = n
			}
		}
	}
}

// survive, deferred, ends a panic: neither a reload nor a proof fails for the sake of
// a number, nor the process, whose hooks run elsewhere than its steps. What was
// noted is forgotten. The caller holds o.mu.
func (o *older) survive(log *slog.Logger) {
	if r := recover(); r != nil {
		o.still = nil
		log.Error("counting connections panicked", "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
	}
}

// mostOlder is the largest number of older connections at one address. Two
// addresses may be those of one server: a sum would count its connections twice.
func mostOlder(proofs []renew.Proof) int {
	most := 0
	for _, p := range proofs {
		most = max(most, p.OlderConnections)
	}
	return most
}

// Older lists the addresses at which there are older connections, each once.
func (r CertReport) Older() []EndpointReport {
	var all []EndpointReport
	for _, e := range r.Endpoints {
		if e.OlderConnections > 0 && !slices.ContainsFunc(all, func(o EndpointReport) bool { return o.Address == e.Address }) {
			all = append(all, e)
		}
	}
	return all
}

// Older says how many there are.
func (e EndpointReport) Older() string {
	if e.OlderConnections == 1 {
		return "1 connection from before the reload is still open"
	}
	return fmt.Sprintf("%d connections from before the reload are still open", e.OlderConnections)
}
