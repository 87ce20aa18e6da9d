package agent

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// startLook has e's facts read elsewhere: a path on a file system
// that hangs holds up its own certificate alone.
func (a *Agent) startLook(now time.Time, e *entry) {
	e.busy, e.since = look, now
	a.looks.running++
	s := sights.Get().(*sight)
	*s = sight{
		store: a.parts.Store, drive: a.parts.Drive, config: a.config, cert: e.cert, built: a.parts.Built,
		foreign: e.facts.Foreign, checking: a.checks.of[e], searching: a.hunts.of[e], unsearched: !e.searched,
	}
	name := e.cert.Name
	if s.unsaved = a.unsaved[name]; s.unsaved != nil {
		delete(a.unsaved, name)
	}
	s.request, s.checkup, s.search = take(a.requests, name), take(a.checkups, name), take(a.searches, name)
	a.parts.Drive.Start(look, func() { s.look(now) }, func() {
		a.done <- outcome{entry: e, lane: a.looks, unsaved: s.unsaved, sight: s}
	})
}

// look gathers and decides. A panic is this certificate's alone.
func (s *sight) look(now time.Time) {
	defer func() {
		if r := recover(); r != nil {
			s.err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	if s.err = s.gather(now); s.err != nil {
		return
	}
	s.verdict = s.drive.Health(now, &s.cert, &s.facts)
	s.step = s.drive.Decide(now, &s.cert, &s.facts)
}

// take removes what m has for name; nil where it has nothing.
func take[V any](m map[string]V, name string) *V {
	if _, ok := m[name]; !ok {
		return nil
	}
	v := m[name]
	delete(m, name)
	return &v
}

// sights are used again: a look is what an agent does most, and facts are large.
var sights = sync.Pool{New: func() any { return new(sight) }}

// seen takes a look's result in, and starts the step if it is due. What could
// not be read is looked at again later.
func (a *Agent) seen(ctx context.Context, now time.Time, e *entry, s *sight) {
	a.looked = now
	again := e.again
	e.again = false
	if s.err != nil {
		a.unreadable(e, s.err)
		a.queue.put(e, now.Add(unreadableRetry))
		return
	}
	if s.search != nil {
		tellFound(a.parts.Log.With("cert", e.cert.Name), s.before, s.facts.Journal.Found)
	}
	e.facts, e.step, e.err = s.facts, s.step, ""
	a.judge(e, s.verdict)
	at := s.step.At
	switch {
	case s.step.Do == renew.Wait || at.After(now) || ctx.Err() != nil:
		if again {
			at = now
		}
		a.queue.put(e, at)
	case s.step.Do == renew.Preflight:
		if !a.checks.of[e] {
			a.check(ctx, e)
		}
		a.queue.put(e, now) // for what comes next beside it
	case s.step.Do == renew.Discover:
		if !a.hunts.of[e] {
			a.searchFor(ctx, e)
		}
		a.queue.put(e, now) // likewise
	case s.step.Do == e.did && now.Sub(e.ended).Abs() < samePace:
		a.queue.put(e, now.Add(samePace))
	default:
		switch l := a.laneOf(e); {
		case !l.full():
			a.startStep(ctx, now, e, l)
		case again: // what has come since may have it do something else
			a.queue.put(e, now)
		default:
			l.park(e, now)
		}
	}
}

const (
	// unreadableRetry is when facts that could not be read are tried again.
	unreadableRetry = 10 * time.Second
	// samePace is the least time between two steps of one kind for one
	// certificate. The rules never ask for less; should one ever do, it must not
	// spin.
	samePace = 500 * time.Millisecond
	// hangTime is after how long a look counts as one that hangs.
	hangTime = 30 * time.Second
)

func (a *Agent) unreadable(e *entry, err error) {
	if e.err != err.Error() {
		a.parts.Log.Error("facts unreadable", "cert", e.cert.Name, "err", err)
	}
	e.err, e.level = err.Error(), renew.Critical
}

// hanging lists those whose facts are being read for longer than that.
func (a *Agent) hanging(now time.Time, than time.Duration) iter.Seq[*entry] {
	return func(yield func(*entry) bool) {
		if a.looks.running == 0 {
			return
		}
		for _, e := range a.entries {
			if e.busy == look && now.Sub(e.since) > than && !yield(e) {
				return
			}
		}
	}
}

// noticeHangs says of which certificates the facts can't be read to an end. Where
// nothing else has been looked at lately, another is, to see whether looks end at all.
func (a *Agent) noticeHangs(now time.Time) {
	if now.Sub(a.hung).Abs() < time.Second {
		return
	}
	a.hung = now
	hangs := false
	for e := range a.hanging(now, hangTime) {
		hangs = true
		a.unreadable(e, fmt.Errorf("reading its files hangs since %s: does one lie on a file system that does not answer?", e.since.UTC().Format(time.RFC3339)))
	}
	if !hangs || now.Sub(a.looked) < hangTime {
		return
	}
	for _, e := range a.entries {
		if e.busy == "" && !e.gone {
			a.queue.put(e, now)
			return
		}
	}
}

// stuck tells whether looks are under way and none has ended for long: then it
// is not one certificate that hangs but the lap, and the watchdog is to hear
// nothing.
func (a *Agent) stuck(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.looked) > longestTurn {
		for range a.hanging(now, longestTurn) {
			return true
		}
	}
	return false
}

// judge logs when a certificate's health changed.
func (a *Agent) judge(e *entry, v renew.Verdict) {
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
		if e.gone {
			continue
		}
		worst = worst.Worse(e.level)
		if s := renew.StageOf(&e.cert, &e.facts); s == renew.Served {
			served++
		}
		if quiet(e.step) || e.step.Do == renew.Verify || e.step.Do == renew.Wait || e.step.Do == "" {
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
		if e.gone {
			continue
		}
		s, does := renew.Renewal(now, &e.cert, &e.facts)
		if does && (!ok || s.At.Before(next.At)) {
			name, next, ok = e.cert.Name, s, true
		}
	}
	return name, next, ok
}
