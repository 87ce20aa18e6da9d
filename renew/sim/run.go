// Package sim runs the agent's own code through years of a simulated world: the
// core (renew.Decide, Health, Backoff), the agent's lap, journal and failures are
// the real ones; CAs, DNS, disks, clocks, servers, hooks and the humans who
// answer alarms are simulated, in one goroutine and on virtual time. A seed
// decides all that goes wrong, and replays exactly. Package oracle judges what
// clients saw.
//
// What is left out on purpose, since it has tests of its own against the real
// thing: cryptography, ACME's wire, files, processes and handshakes.
package sim

import (
	"fmt"
	"time"

	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// Options is how a history is run.
type Options struct {
	Thorough bool     // make every proof and every poll, also those that can see no change
	Planted  *Planted // a fault of the policy itself, for tests of the simulator; nil is none
}

// Run lives through one history, and has the oracle judge it. Tell, where it is
// not nil, hears every line of what happened.
func Run(fate History, opts Options, tell func(at time.Duration, text string)) Result {
	h := newHost(fate, opts)
	h.tell = tell
	h.live()
	return h.judge()
}

// live runs the host to the end of its history.
func (h *host) live() {
	for _, c := range h.certs {
		if !c.plan.Gone {
			h.serve(c, -1, true)
		}
	}
	h.events.add(event{at: abandonEvery, do: h.retire})
	h.run()
	if h.off == 0 {
		h.serverStart()
		h.start()
	}
	due := time.Duration(0)
	for {
		if h.proc == nil || !h.up() {
			due = forever
		} else if due = h.lap(); h.proc.dead {
			h.restart(5 * time.Second) // what systemd does
			continue
		}
		at := max(h.now, min(due, h.events.next()))
		if at >= h.fate.Length {
			h.now = h.fate.Length
			return
		}
		h.now = at
		h.run()
	}
}

// note tells of something that happened; c is the certificate that it is about.
func (h *host) note(c *cert, format string, args ...any) {
	if h.tell == nil {
		return
	}
	text := fmt.Sprintf(format, args...)
	if c != nil {
		text = c.config.Name + ": " + text
	}
	h.tell(h.now, text)
}

// judge closes the books and asks the oracle.
func (h *host) judge() Result {
	r := &h.result
	all := make([]*cert, 0, len(h.certs))
	for i := range h.retired {
		all = append(all, &h.retired[i])
	}
	for _, c := range h.certs {
		if !c.plan.Gone {
			r.Years += float64(h.fate.Length) / float64(year)
			c.served[len(c.served)-1].To = h.fate.Length
			all = append(all, c)
		}
	}
	for _, c := range all {
		for _, l := range oracle.Judge(oracle.Case{Served: c.served, Obstacles: h.obstacles(c), Alarms: c.alarms}) {
			r.add(Finding{Seed: h.fate.Seed, Host: h.fate.Host, Cert: c.index, Lapse: l})
		}
	}
	return *r
}
