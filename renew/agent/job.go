package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// job is one step of one certificate under way.
type job struct {
	parts  *Parts
	issuer Issuer
	config *config.Config
	hooks  map[string]hooks.Hook
	now    time.Time // the lap's time
	began  time.Time // with the monotonic clock, to measure how long the step took
	cert   renew.Cert
	facts  renew.Facts
	step   renew.Step
	older  *older
	log    *slog.Logger

	unsaved *renew.Journal // set where the journal could not be written
}

// jobs are used again, as sights are.
var jobs = sync.Pool{New: func() any { return new(job) }}

// clock is the lap's time plus what the step took so far.
func (j *job) clock() time.Time { return j.now.Add(j.parts.Drive.Now().Sub(j.began)) }

func (j *job) took() time.Duration { return j.parts.Drive.Now().Sub(j.began).Round(time.Millisecond) }

// perform runs the step and records what came of it.
func (j *job) perform(ctx context.Context) {
	defer func() {
		if r := recover(); r != nil {
			j.log.Error("step panicked", "step", j.step.Do, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			err := &renew.Failure{Op: "performing " + string(j.step.Do), Class: renew.Bug, Err: fmt.Errorf("panic: %v", r)}
			j.record(func(n *renew.Journal) {
				if j.step.Do == renew.Issue {
					j.refused(ctx, n, renew.Asked(j.cert, j.step), err)
					return
				}
				j.fail(ctx, n, err)
			})
		}
	}()
	// A name of its own: the recover above judges by the agent's context, and this
	// one has ended by then.
	bounded, cancel := j.parts.Drive.Within(ctx, j.deadline())
	defer cancel()
	switch j.step.Do {
	case renew.Issue:
		j.issue(bounded)
	case renew.Enroll:
		j.enroll(bounded)
	case renew.Adopt:
		j.adopt(bounded)
	case renew.Install:
		j.install(bounded)
	case renew.RollBack:
		j.rollBack()
	case renew.Deploy:
		j.deploy(bounded)
	case renew.Verify:
		j.verify(bounded)
	case renew.Advise:
		j.advise(bounded)
	case renew.LookUp:
		j.lookUp(bounded)
	}
}

// Bounds of a step: whatever hangs, the certificate gets its next lap. An order
// that hangs may cost half of the slack, so that there is time for another.
const (
	issueDeadline  = 10 * time.Minute
	issueShortest  = 15 * time.Second
	localDeadline  = time.Minute
	verifyDeadline = longestPatience + 50*time.Second // a slow mail server with many names needs its time after that
	deployOverhead = time.Minute
)

func (j *job) deadline() time.Duration { return deadline(j.step.Do, &j.cert, &j.facts, j.hooks) }

func deadline(do renew.Do, c *renew.Cert, f *renew.Facts, known map[string]hooks.Hook) time.Duration {
	switch do {
	case renew.Issue:
		if slack := renew.Slack(c, f); slack > 0 {
			return min(issueDeadline, max(issueShortest, slack/2))
		}
		return issueDeadline
	case renew.Deploy:
		total := deployOverhead
		for _, h := range c.Hooks {
			total += 2 * known[h].Timeout
		}
		return total
	case renew.Verify:
		return verifyDeadline
	default:
		return localDeadline
	}
}

// Busy is how long the steps of c may take one after the other, from the order
// to the proof: what it may have to wait for itself.
func Busy(cfg *config.Config, c renew.Cert, f renew.Facts) time.Duration {
	var total time.Duration
	for _, do := range []renew.Do{renew.Issue, renew.Install, renew.Deploy, renew.Verify, renew.Advise} {
		total += deadline(do, &c, &f, cfg.Hooks)
	}
	return total
}

// record changes the journal and writes it. The journal in hand is the one that
// the lap read: nobody else writes it while the step is under way.
func (j *job) record(change func(*renew.Journal)) {
	n := &j.facts.Journal // its maps and slices are shared with who reads the facts: replaced, never changed
	change(n)
	j.unsaved = nil
	// Power fails before this: the step is decided again from the artefacts. What
	// the journal alone knows (a hook's acknowledgement) is done once more.
	if err := j.parts.Store.Record(j.cert.Name, *n); err != nil {
		left := *n
		j.unsaved = &left
		j.log.Error("journal not written", "step", j.step.Do, "err", err)
	}
}

// with returns a copy of m in which label has v.
func with[V any](m map[string]V, label string, v V) map[string]V {
	changed := maps.Clone(m)
	if changed == nil {
		changed = map[string]V{}
	}
	changed[label] = v
	return changed
}

// fail enters a failure of the step into the journal and says so once.
func (j *job) fail(ctx context.Context, n *renew.Journal, err error) {
	j.failAs(ctx, n, troubleOf(n, j.step.Do), err)
}

func (j *job) failAs(ctx context.Context, n *renew.Journal, t *renew.Trouble, err error) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return // we are being stopped: that is nobody's failure
	}
	now, class := j.clock(), renew.ClassOf(err)
	wait := renew.Backoff(now, pacedAs(j.step.Do, class), t.Count+1, &j.cert, &j.facts)
	if j.step.Do == renew.Issue && class == renew.Transient && len(namesOf(err)) == 0 {
		wait = renew.Hurried(now, wait, &j.cert, &j.facts)
	}
	retryAt := now.Add(time.Duration(float64(wait) * Jitter(j.parts.Drive.Rand(j.cert.Name))))
	if f, ok := errors.AsType[*renew.Failure](err); ok && !f.RetryAt.IsZero() {
		retryAt = f.RetryAt
	}
	*t = t.Fail(now, retryAt, class, err.Error())
	level := slog.LevelWarn
	if class == renew.Refused || class == renew.Config || class == renew.Bug {
		level = slog.LevelError
	}
	if j.step.Do == renew.LookUp {
		level = slog.LevelDebug // it stops nothing, and Health tells what lasts for days
	}
	j.log.Log(ctx, level, "step failed", "step", j.step.Do, "reason", j.step.Reason, "class", class,
		"attempt", t.Count, "next", retryAt, "err", err)
}

// namesOf lists the names that a failure is about.
func namesOf(err error) []string {
	if f, ok := errors.AsType[*renew.Failure](err); ok {
		return f.Names
	}
	return nil
}

// pacedAs is the step by whose schedule a failure is tried again. Where this
// host alone stood in the way, the CA is spared nothing by waiting long: a disk
// that has room again is to be found out within a minute.
func pacedAs(do renew.Do, class renew.Class) renew.Do {
	if do == renew.Issue && class == renew.Local {
		return renew.Install
	}
	return do
}

// troubleOf is where the journal keeps the failures of a step; those of issuing
// it keeps for each issuer.
func troubleOf(n *renew.Journal, do renew.Do) *renew.Trouble {
	switch do {
	case renew.Enroll:
		return &n.Enroll
	case renew.Adopt:
		return &n.Adopt
	case renew.Install:
		return &n.Install
	case renew.Advise:
		return &n.Advise
	case renew.LookUp:
		return &n.LookUp
	default:
		return &n.Verify
	}
}
