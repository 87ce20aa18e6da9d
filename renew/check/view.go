package check

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

// view is one certificate as it was seen.
type view struct {
	cert   renew.Cert
	facts  renew.Facts
	live   renew.Version // what live/<name> points at; zero where that is nothing of ours
	proofs []renew.Proof // by a handshake of now; nil where none was made
	err    error         // it could not be seen
}

// see reads what is on disk and asks the endpoints. No store is an empty one.
func see(ctx context.Context, now time.Time, st *store.Store, cfg *config.Config, c renew.Cert, o Options) view {
	v := view{cert: c}
	if st == nil {
		return v
	}
	if v.facts, v.err = agent.Gather(now, st, cfg, c); v.err != nil {
		return v
	}
	versions, err := st.Versions(c.Name)
	if v.err = err; err != nil {
		return v
	}
	if i := slices.IndexFunc(versions, func(x renew.Version) bool { return x.N == v.facts.Live }); i >= 0 {
		v.live = versions[i]
	}
	if o.NoEndpoints || v.facts.Held.N == 0 {
		return v
	}
	want := probe.WantOf(v.facts.Held)
	for _, e := range renew.Endpoints(&c, &v.facts) {
		v.proofs = append(v.proofs, o.Prober.Prove(ctx, e, e.NamesOr(c.Names), v.facts.Held.N, want, 0)...)
	}
	return v
}

// judge adds what is to be said of the certificate.
func (v view) judge(now time.Time, cfg *config.Config, o Options, r *Result) {
	say := func(s State, text string, args ...any) {
		r.Problems = append(r.Problems, Problem{s, v.cert.Name, fmt.Sprintf(text, args...)})
	}
	if v.err != nil {
		say(Unknown, "%v", readable(v.err))
		return
	}
	for _, f := range renew.Health(now, &v.cert, &v.facts).Findings {
		if state := stateOf(f.Level); state != OK && !v.judgedHere(now, f.Reason) {
			say(state, "%s: %s", f.Reason, f.Detail)
		}
	}
	held := v.facts.Held
	if held.N == 0 {
		return
	}
	switch {
	case v.live.N > 0 && !v.live.Usable():
		say(Critical, "%s: what live/%s points at can't be used: %s", v.live.Fault, v.cert.Name, v.live.FaultDetail)
	case v.live.N == 0:
		say(Warning, "%s: live/%s is missing or points at nothing of certvigil's", renew.InstallPending, v.cert.Name)
	}
	figure := v.figure(now, o)
	r.Figures = append(r.Figures, figure)
	if state := figure.state(); state != OK && figure.Left > 0 {
		say(state, "expires in %s, less than %s", span(figure.Left), span(figure.limit()))
	}
	v.judgeEndpoints(now, cfg, figure, r, say)
}

// judgedHere tells whether Health's word counts for nothing: the limits of how
// much may be left are this check's own, and its own look at an endpoint is
// newer than the journal's.
func (v view) judgedHere(now time.Time, why renew.Reason) bool {
	switch why {
	case renew.Overdue:
		return true
	case renew.NotServed, renew.ServedExpiring, renew.Unverifiable:
		return v.proofs != nil && !v.disputed(now)
	}
	return false
}

// disputed tells whether the agent keeps seeing what one handshake did not: a
// server of which one process in four still has the old certificate shows the
// new one at most looks, and never five times in a row for long.
func (v view) disputed(now time.Time) bool {
	t := v.facts.Journal.Verify
	if t.Count < disputedTries || now.Sub(t.Last) > disputedFor {
		return false
	}
	return !slices.ContainsFunc(v.proofs, func(p renew.Proof) bool { return !p.Served })
}

const (
	disputedTries = 3
	disputedFor   = 5 * time.Minute // the agent looks once a minute while it fails
)

func stateOf(l renew.Level) State {
	switch l {
	case renew.Critical:
		return Critical
	case renew.Attention:
		return Warning
	default:
		return OK
	}
}

// figure is what is left of the pair that servers are pointed at, or of the one
// that is held where that is none.
func (v view) figure(now time.Time, o Options) Figure {
	shown := v.facts.Held
	if v.live.Usable() {
		shown = v.live
	}
	slack := renew.Slack(&v.cert, &renew.Facts{Held: shown})
	return Figure{v.cert.Name, shown.End().Sub(now), o.Warning.of(slack), o.Critical.of(slack)}
}

func (f Figure) state() State { return f.judge(f.Left) }

// judge judges what is left of whatever is served in the certificate's place.
func (f Figure) judge(left time.Duration) State {
	switch {
	case left < f.Critical || left <= 0:
		return Critical
	case left < f.Warning:
		return Warning
	default:
		return OK
	}
}

// limit is the threshold that was passed.
func (f Figure) limit() time.Duration {
	if f.state() == Critical {
		return f.Critical
	}
	return f.Warning
}

// judgeEndpoints judges what was seen. Another certificate than the newest is in
// order for as long as it takes to deploy that one, provided that it is valid
// for long enough itself.
func (v view) judgeEndpoints(now time.Time, cfg *config.Config, f Figure, r *Result, say func(State, string, ...any)) {
	settling := now.Sub(v.facts.Held.IssuedAt) < v.deployment(now, cfg)
	for _, p := range v.proofs {
		r.endpoints++
		if p.Served {
			continue
		}
		state := Warning
		if !p.Unverifiable && p.Fingerprint != v.facts.Held.Fingerprint {
			state = f.judge(p.NotAfter.Sub(now))
			if state == OK && !settling {
				state = Warning
			}
		}
		reason := renew.NotServed
		switch {
		case p.Unverifiable:
			reason = renew.Unverifiable
		case state == Critical:
			reason = renew.ServedExpiring
		}
		if state != OK {
			r.unserved++
			say(state, "%s: %s: %s", reason, p.Where(), p.Error)
		}
	}
}

// deployment is how long a new version may take to reach the endpoints: the
// grace that its promises have.
func (v view) deployment(now time.Time, cfg *config.Config) time.Duration {
	var longest time.Duration
	for _, p := range v.promises(now, cfg) {
		longest = max(longest, p.Grace)
	}
	return longest
}

func (v view) promises(now time.Time, cfg *config.Config) []renew.Promise {
	return renew.Promises(now, &v.cert, &v.facts, agent.Busy(cfg, v.cert, v.facts))
}
