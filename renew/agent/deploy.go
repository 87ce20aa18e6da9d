package agent

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// Hooks of certificates that change together run once: this is the least time
// from the end of one run to the start of the next. It shrinks with the lifetime,
// and with what is left of the certificate that is still served.
const (
	hookSpacing    = 5 * time.Second
	spacingPortion = 60
	endPortion     = 20
)

func (j *job) spacing() time.Duration {
	spacing := min(hookSpacing, j.facts.Held.Lifetime()/spacingPortion)
	for _, p := range j.facts.Journal.Proofs {
		if !p.NotAfter.IsZero() {
			spacing = min(spacing, max(0, p.NotAfter.Sub(j.clock())/endPortion))
		}
	}
	return spacing
}

// deploy runs the hooks that are due, one after the other; one that fails does
// not stop the next.
func (j *job) deploy(ctx context.Context) {
	live := j.parts.Store.LiveDir(j.cert.Name)
	event := hooks.Event{
		Cert: j.cert.Name, Names: j.cert.Names, Version: j.facts.Live, Dir: live,
		Fullchain: filepath.Join(live, "fullchain.pem"), Key: filepath.Join(live, "privkey.pem"),
		Fingerprint: j.facts.Held.Fingerprint, Reason: string(j.facts.Held.Reason),
	}
	var done []deployed
	for _, name := range renew.DueHooks(j.now, &j.cert, &j.facts) {
		ran := j.clock()
		res, err := j.run(ctx, name, event, &done)
		j.record(func(n *renew.Journal) {
			rec := n.Hooks[name]
			if err != nil {
				j.failAs(ctx, n, &rec.Trouble, j.hookFailure(err))
			} else {
				rec = renew.HookRecord{
					Acknowledged: event.Version, RanAt: ran, Saw: j.facts.Seen,
					Fingerprint: event.Fingerprint, NotAfter: j.facts.Held.End(), Tested: res.Test,
				}
			}
			n.Hooks = with(n.Hooks, name, rec)
		})
		if err != nil {
			continue
		}
		if res.Test > 0 {
			j.log.Info("hook tested", "hook", name, "took", res.Test.Round(time.Millisecond))
		}
		j.log.Info("hook acknowledged", "hook", name, "version", event.Version, "took", res.Reload.Round(time.Millisecond))
	}
	j.taken()
}

// taken forgets that the version was refused once.
func (j *job) taken() {
	if j.facts.Journal.Refused.Version == j.facts.Live && renew.Acknowledged(&j.cert, &j.facts) {
		j.record(func(n *renew.Journal) { n.Refused = renew.Refusal{} })
	}
}

// rollBack notes that the live version is refused, or that it was not its fault.
// The next lap installs what is then the best.
// Power fails before this: the hook fails again, and it is decided again.
func (j *job) rollBack() {
	r := renew.Refuse(j.clock(), &j.cert, &j.facts)
	j.record(func(n *renew.Journal) { n.Refused = r })
	if r.Cleared {
		j.log.Warn("the hook fails with the version before as well: the newest is put in place again", "version", r.Version)
		return
	}
	j.log.Error("a version is refused, the one before is put in place again", "version", r.Version, "before", j.facts.Standby.N, "next", r.TryAt, "err", r.Message)
}

// deployed is what came of one hook of the step.
type deployed struct {
	hook hooks.Hook
	res  hooks.Result
	err  error
}

// run runs a hook. What another hook of this step has just done for the same
// version is not done twice.
func (j *job) run(ctx context.Context, name string, event hooks.Event, done *[]deployed) (hooks.Result, error) {
	h := j.hooks[name]
	for _, d := range *done {
		if d.hook.Same(h) {
			return d.res, d.err
		}
	}
	event.Reloading = j.reloading(h)
	res, err := j.parts.Runner.Run(ctx, h, event, j.spacing())
	j.older.returned(j.parts.Drive.Now())
	*done = append(*done, deployed{h, res, err})
	return res, err
}

// hookFailure is a failure of this host alone. One that asks for it (EX_TEMPFAIL)
// is tried again soon, however often it does.
func (j *job) hookFailure(err error) error {
	if fault, ok := errors.AsType[*hooks.Error](err); ok && fault.Temporary {
		return &renew.Failure{Class: renew.Transient, RetryAt: j.clock().Add(renew.Soon(&j.cert, &j.facts)), Err: err}
	}
	return &renew.Failure{Class: renew.Local, Err: err}
}
