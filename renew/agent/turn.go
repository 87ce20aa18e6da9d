package agent

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// How many steps of one kind are under way at once. A deploy step mostly waits
// for company, so that one reload serves many certificates: it is only bounded
// so that a burst has an end. ARI is asked by few at a time: CAs throttle it.
func limit(do renew.Do) int {
	switch do {
	case renew.Issue:
		return 32
	case renew.Deploy:
		return 1024
	case renew.Verify:
		return 64
	case renew.Install:
		return 8
	default:
		return 4
	}
}

// mostRunning is at least the sum of all limits: an outcome never has to wait.
const mostRunning = 2048

// adopt puts cfg in force. The caller holds the lock, or has the agent to itself.
func (a *Agent) adopt(cfg *config.Config, issuer Issuer, now time.Time) {
	old := a.config
	a.config, a.issuer = cfg, issuer
	wanted := make(map[string]bool, len(cfg.Certs))
	for _, c := range cfg.Certs {
		wanted[c.Name] = true
		e, ok := a.entries[c.Name]
		if !ok {
			e = &entry{}
			a.entries[c.Name] = e
		} else if changed(old, cfg, e.cert, c) {
			a.requests[c.Name] = renew.Request{At: now, Force: a.requests[c.Name].Force}
		}
		e.cert = c
		if e.busy == "" {
			a.queue.put(e, now)
		}
	}
	for name, e := range a.entries {
		if !wanted[name] {
			e.leave()
			delete(a.entries, name)
			delete(a.requests, name)
			delete(a.unsaved, name)
		}
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

// only drops every certificate that is not among names.
func (a *Agent) only(names []string) {
	for name, e := range a.entries {
		if !slices.Contains(names, name) {
			e.leave()
			delete(a.entries, name)
		}
	}
}

// all makes every certificate due for a look.
func (a *Agent) all(now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.entries {
		if e.busy == "" && e.in != nil {
			a.queue.put(e, now)
		}
	}
}

// turn looks at every certificate whose time has come and starts what is due.
// It returns when the next one is.
func (a *Agent) turn(ctx context.Context, now time.Time) (next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ctx.Err() == nil && len(a.queue) > 0 && !a.queue[0].at.After(now) {
		a.look(ctx, now, a.queue.take())
	}
	if len(a.queue) == 0 {
		return now.Add(a.parts.Turn)
	}
	return a.queue[0].at
}

// look reads one certificate's facts, decides, and starts the step if it is
// due. What can't be read, or panics, is looked at again later, alone.
func (a *Agent) look(ctx context.Context, now time.Time, e *entry) {
	defer func() {
		if r := recover(); r != nil {
			a.unreadable(now, e, fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
	}()
	facts, err := a.gather(now, e.cert)
	if err != nil {
		a.unreadable(now, e, err)
		return
	}
	e.facts, e.err = facts, ""
	a.judge(now, e)
	e.step = renew.Decide(now, e.cert, facts)
	switch {
	case e.step.At.After(now) || e.step.Do == renew.Wait:
		a.queue.put(e, e.step.At)
	case e.step.Do == e.did && now.Sub(e.ended).Abs() < samePace:
		a.queue.put(e, now.Add(samePace))
	case a.running[e.step.Do] >= limit(e.step.Do):
		a.park(e)
	default:
		a.start(ctx, now, e)
	}
}

const unreadableRetry = 10 * time.Second

// samePace is the least time between two steps of one kind for one certificate.
// The rules never ask for less; should one ever do, it must not spin.
const samePace = 500 * time.Millisecond

func (a *Agent) unreadable(now time.Time, e *entry, err error) {
	if e.err != err.Error() {
		a.parts.Log.Error("facts unreadable", "cert", e.cert.Name, "err", err)
	}
	e.err, e.level = err.Error(), renew.Critical
	a.queue.put(e, now.Add(unreadableRetry))
}

// park lets e wait for a place: the shortest time to expiry goes first.
func (a *Agent) park(e *entry) {
	q := a.parked[e.step.Do]
	if q == nil {
		q = &queue{}
		a.parked[e.step.Do] = q
	}
	q.put(e, e.facts.Held.NotAfter)
}

// start performs e's step in a goroutine of its own; its outcome comes back
// through done, even when the step panics.
func (a *Agent) start(ctx context.Context, now time.Time, e *entry) {
	e.busy = e.step.Do
	a.running[e.busy]++
	j := job{
		parts: a.parts, issuer: a.issuer, hooks: a.config.Hooks,
		now: now, began: time.Now(), cert: e.cert, facts: e.facts, step: e.step,
		log: a.parts.Log.With("cert", e.cert.Name),
	}
	go func() {
		j.perform(ctx)
		a.done <- outcome{j.cert.Name, j.step.Do, j.unsaved}
	}()
}

// outcome says that a step has ended; what came of it is in the journal.
type outcome struct {
	name    string
	do      renew.Do
	unsaved *renew.Journal // the journal, where the disk would not take it
}

// finish takes a step's end in: its certificate is looked at again, and one
// that was parked for its place gets a turn.
func (a *Agent) finish(o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.running[o.do]--
	if o.unsaved != nil {
		a.unsaved[o.name] = *o.unsaved
	}
	if e, ok := a.entries[o.name]; ok && e.busy == o.do {
		e.busy, e.did, e.ended = "", o.do, now
		a.queue.put(e, now)
	}
	if q := a.parked[o.do]; q != nil {
		if e := q.take(); e != nil {
			a.queue.put(e, now)
		}
	}
}

func (a *Agent) busy() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, r := range a.running {
		n += r
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

// judge logs when a certificate's health changed.
func (a *Agent) judge(now time.Time, e *entry) {
	v := renew.Health(now, e.cert, e.facts)
	was := e.level
	e.level = v.Level
	if v.Level == was || (was == "" && v.Level == renew.OK) {
		return
	}
	level := map[renew.Level]slog.Level{renew.OK: slog.LevelInfo, renew.Attention: slog.LevelWarn, renew.Critical: slog.LevelError}[v.Level]
	detail := ""
	if len(v.Findings) > 0 && v.Level != renew.OK {
		detail = v.Findings[0].Detail
	}
	a.parts.Log.Log(context.Background(), level, "health changed",
		"cert", e.cert.Name, "health", v.Level, "reason", v.Reason(), "detail", detail)
}

// StatusLine says in one line how many certificates there are, how they are,
// and what comes next.
func (a *Agent) StatusLine(now time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	served, worst := 0, renew.OK
	var next *entry
	for _, e := range a.entries {
		worst = worst.Worse(e.level)
		if s := renew.StageOf(e.cert, e.facts); s == renew.Served {
			served++
		}
		if e.step.Do == renew.Verify || e.step.Do == renew.Advise || e.step.Do == renew.Wait || e.step.Do == "" {
			continue
		}
		if next == nil || e.step.At.Before(next.step.At) {
			next = e
		}
	}
	line := fmt.Sprintf("%d certificates, %d served, health %s", len(a.entries), served, worst)
	if next != nil && !next.step.At.After(now) {
		return line + fmt.Sprintf("; now: %s %s (%s)", next.step.Do, next.cert.Name, next.step.Reason)
	}
	if name, s, ok := a.nextRenewal(now); ok {
		line += fmt.Sprintf("; next: %s %s at %s (%s)", s.Do, name, s.At.UTC().Format(time.RFC3339), s.Reason)
	}
	return line
}

func (a *Agent) nextRenewal(now time.Time) (name string, next renew.Step, ok bool) {
	for _, e := range a.entries {
		s, does := renew.Renewal(now, e.cert, e.facts)
		if does && (!ok || s.At.Before(next.At)) {
			name, next, ok = e.cert.Name, s, true
		}
	}
	return name, next, ok
}
