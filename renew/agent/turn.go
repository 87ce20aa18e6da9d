package agent

import (
	"context"
	"reflect"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// adopt puts cfg in force. The caller holds the lock, or has the agent to itself.
func (a *Agent) adopt(cfg *config.Config, issuer Issuer, now time.Time) {
	old := a.config
	a.config, a.issuer = cfg, issuer
	wanted := make(map[string]bool, len(cfg.Certs))
	for _, c := range cfg.Certs {
		wanted[c.Name] = true
		e, ok := a.entries[c.Name]
		if !ok {
			e = &entry{log: a.parts.Log.With("cert", c.Name)}
			a.entries[c.Name] = e
		} else if changed(old, cfg, e.cert, c) {
			a.requests[c.Name] = edited(now, a.requests[c.Name])
		}
		e.cert, e.gone = c, false
		a.wakeUp(e, now)
	}
	for name, e := range a.entries {
		if !wanted[name] {
			a.drop(name, e)
		}
	}
}

// edited asks for what the changed settings may have made possible. A word of
// the operator's that waits stays one.
func edited(now time.Time, r renew.Request) renew.Request {
	return renew.Request{At: now, Force: r.Force, Edited: r.At.IsZero() || r.Edited}
}

// drop takes a certificate out. One with a step under way stays until that has
// ended, so that it is not begun twice when it comes back before.
func (a *Agent) drop(name string, e *entry) {
	e.leave()
	if e.gone = e.busy != ""; !e.gone {
		delete(a.entries, name)
		delete(a.requests, name)
		delete(a.unsaved, name)
		delete(a.checkups, name)
		delete(a.searches, name)
	}
}

// changed tells whether anything that bears on a certificate differs between
// two configurations.
func changed(old, cfg *config.Config, was, is renew.Cert) bool {
	if !reflect.DeepEqual(was, is) || !reflect.DeepEqual(old.Solvers[was.Solver], cfg.Solvers[is.Solver]) {
		return true
	}
	for _, h := range is.Hooks {
		if !reflect.DeepEqual(old.Hooks[h], cfg.Hooks[h]) {
			return true
		}
	}
	for _, i := range is.Issuers {
		if !reflect.DeepEqual(old.Issuers[i.Name], cfg.Issuers[i.Name]) {
			return true
		}
	}
	return false
}

// lookShare is ten times what a look takes. Where files change without a pause, as
// when a thousand certificates are renewed, a tenth of a processor goes into looking
// at what they are all like.
const lookShare = 5 * time.Millisecond

// all makes every certificate due for a look, unless that was just so: then soon.
func (a *Agent) all(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := a.swept.Add(lookShare * time.Duration(len(a.entries)))
	if now.Before(a.swept) || !now.Before(free) {
		a.wakeAll(now)
	} else if a.sweepAt.IsZero() {
		a.sweepAt = free
	}
}

// wakeAll is all at once, in the order of the configuration.
func (a *Agent) wakeAll(now time.Time) {
	a.swept, a.sweepAt = now, time.Time{}
	for _, c := range a.config.Certs {
		if e, ok := a.entries[c.Name]; ok && !e.gone {
			a.wakeUp(e, now)
		}
	}
}

// wakeUp makes e due for a look: at once, or after what is under way.
func (a *Agent) wakeUp(e *entry, now time.Time) {
	if e.busy == "" {
		a.queue.put(e, now)
		return
	}
	e.again = true
}

// turn starts a look at every certificate whose time has come. It returns when
// the next one is due.
func (a *Agent) turn(ctx context.Context, now time.Time) (next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.turned.Sub(now) > longestTurn || !a.sweepAt.IsZero() && !now.Before(a.sweepAt) {
		// Either a wake is due. Or the clock was set back: what waits for a time by the
		// one before could wait for a year. Less than a turn is worth no look at
		// everything.
		a.wakeAll(now)
	}
	a.turned = now
	a.noticeHangs(now)
	a.unpark(now)
	for ctx.Err() == nil && len(a.queue) > 0 && !a.queue[0].at.After(now) {
		e := a.queue.take()
		if a.looks.full() {
			a.looks.park(e, now)
			continue
		}
		a.startLook(now, e)
	}
	next = now.Add(a.parts.Turn)
	if len(a.queue) > 0 {
		next = a.queue[0].at
	}
	if !a.sweepAt.IsZero() && a.sweepAt.Before(next) {
		next = a.sweepAt
	}
	return next
}

// startStep has e's step performed in l, elsewhere; its outcome comes back
// through done, even when the step panics.
func (a *Agent) startStep(ctx context.Context, now time.Time, e *entry, l *lane) {
	e.busy, e.since = e.step.Do, now
	l.running++
	j := jobs.Get().(*job)
	*j = job{
		parts: &a.parts, issuer: a.issuer, config: a.config, hooks: a.config.Hooks,
		now: now, began: a.parts.Drive.Now(), cert: e.cert, facts: e.facts, step: e.step,
		older: &e.older, log: e.log,
	}
	a.parts.Drive.Start(j.step.Do, func() { j.perform(ctx) }, func() {
		a.done <- outcome{entry: e, lane: l, unsaved: j.unsaved}
		jobs.Put(j)
	})
}

// outcome says that a look or a step has ended. What came of a step is in the
// journal.
type outcome struct {
	entry   *entry
	lane    *lane
	unsaved *renew.Journal // the journal, where the disk would not take it
	sight   *sight         // of a look
	checkup *checkup       // of a preflight, which is neither
	search  *search        // of a search for servers, nor is that
}

// finish takes an outcome in: after a step its certificate is looked at again,
// after a look its step is started if it is due. One that was parked for the
// place gets it.
func (a *Agent) finish(ctx context.Context, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, e := a.now(), o.entry
	if o.checkup != nil {
		a.checked(ctx, now, e, o.checkup)
		return
	}
	if o.search != nil {
		a.searched(ctx, now, e, o.search)
		return
	}
	o.lane.running--
	o.lane.ended = now
	name := e.cert.Name
	e.busy = ""
	if o.sight != nil && o.sight.err != nil && !e.gone {
		a.takeBack(name, o.sight)
	}
	switch {
	case e.gone:
		a.drop(name, e)
	case o.unsaved != nil:
		a.unsaved[name] = o.unsaved
		fallthrough
	default:
		if o.sight != nil {
			a.seen(ctx, now, e, o.sight)
			sights.Put(o.sight)
		} else {
			e.did, e.ended, e.again = o.lane.do, now, false
			a.queue.put(e, now)
		}
	}
	if e := o.lane.parked.take(); e != nil {
		a.queue.put(e, now)
	}
}

// takeBack keeps what a look that failed had in hand and is still to be done, but
// for what has come since.
func (a *Agent) takeBack(name string, s *sight) {
	giveBack(a.requests, name, s.request)
	giveBack(a.checkups, name, s.checkup)
	giveBack(a.searches, name, s.search)
}

// giveBack undoes take, but for what has come since.
func giveBack[V any](m map[string]V, name string, v *V) {
	if _, newer := m[name]; !newer && v != nil {
		m[name] = *v
	}
}

// busy counts the looks and steps that are under way.
func (a *Agent) busy() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.checks.running + a.hunts.running
	for _, l := range a.lanes {
		n += l.running
	}
	return n
}

// settled tells whether nothing is under way and nothing is due.
func (a *Agent) settled() bool {
	if a.busy() > 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.queue) == 0 || a.queue[0].at.After(a.now())
}

// only drops every certificate that is not among names.
func (a *Agent) only(names []string) {
	for name, e := range a.entries {
		if !slices.Contains(names, name) {
			a.drop(name, e)
		}
	}
}
