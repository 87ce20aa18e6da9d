package agent

import (
	"time"

	"github.com/certvigil/certvigil/renew"
)

// look is what an entry is busy with while its facts are read.
const look renew.Do = "look"

// lane is a kind of work of which so much goes on at once. What asks a CA has a
// lane for each, so that one that never answers takes no place from the others.
type lane struct {
	do        renew.Do
	directory string    // of the CA, or its revocation list; empty for what asks none
	running   int       // looks or steps that are under way
	ended     time.Time // when one of them last did
	parked    queue     // who waits for a place
}

func (a *Agent) laneOf(e *entry) *lane {
	directory := ""
	switch e.step.Do {
	case renew.Issue, renew.Enroll:
		if asked := renew.Asked(e.cert, e.step); len(asked.Issuers) > 0 {
			directory = asked.Issuers[0].Directory
		}
	case renew.LookUp:
		directory = e.facts.Held.CRL // a list's own
	case renew.Advise:
		directory = e.facts.Held.Directory
	}
	return a.lane(e.step.Do, directory)
}

// lane finds one of a few, or opens it.
func (a *Agent) lane(do renew.Do, directory string) *lane {
	for _, l := range a.lanes {
		if l.do == do && l.directory == directory {
			return l
		}
	}
	l := &lane{do: do, directory: directory}
	a.lanes = append(a.lanes, l)
	return l
}

// full tells whether nothing more may begin.
func (l *lane) full() bool { return l.running >= limit(l.do) }

// limit is how many of one kind are under way at once. A deploy step mostly
// waits for its hook to be run again, so that one reload serves many: it is
// only bounded so that a burst has an end. ARI is asked by few at a time: CAs
// throttle it.
func limit(do renew.Do) int {
	switch do {
	case renew.Issue:
		return 32
	case renew.Deploy:
		return 1024
	case renew.Verify, look:
		return 64
	case renew.Install, renew.Adopt:
		return 8
	default:
		return 4
	}
}

// mostRunning is about the sum of all limits, so that hardly an outcome has to
// wait to be taken in. A certificate has a step, a preflight and a search under way
// at most.
const mostRunning = 2048

// newcomer is where a certificate that was never issued stands among those that
// wait for a place: behind all that end within a day, since those are served.
const newcomer = 24 * time.Hour

// park lets e wait for a place: the shortest time to expiry goes first.
func (l *lane) park(e *entry, now time.Time) {
	end := e.facts.Held.NotAfter
	if e.facts.Held.N == 0 {
		end = now.Add(newcomer)
	}
	l.parked.put(e, end)
}

// unpark gives the places of lanes in which nothing is under way. Whoever ends
// gives his place to one that waits; but where that one finds, at its look, that
// it is to do something else, nobody may be left to call the next.
// Those who were just called are at their look, and come first.
func (a *Agent) unpark(now time.Time) {
	for _, l := range a.lanes {
		if len(l.parked) == 0 || l.running > 0 || now.Sub(l.ended).Abs() < samePace {
			continue
		}
		for range min(limit(l.do), len(l.parked)) {
			a.queue.put(l.parked.take(), now)
		}
	}
}
