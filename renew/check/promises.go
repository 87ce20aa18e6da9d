package check

import (
	"fmt"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// countPromises counts what was not done in time, and tells of the oldest: of a
// dead agent, all of them are in time to come.
func (r *Result) countPromises(now, began time.Time, cfg *config.Config, views []view) {
	var oldest renew.Promise
	var of view
	for _, v := range views {
		if v.err != nil {
			continue
		}
		for _, p := range v.promises(now, cfg) {
			if !p.Overdue(now, began) {
				continue
			}
			if r.overdue++; r.overdue == 1 || worse(p, oldest) {
				oldest, of = p, v
			}
		}
	}
	if r.overdue == 0 {
		return
	}
	text := "overdue: " + describe(now, oldest, of)
	if more := r.overdue - 1; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	r.Problems = append(r.Problems, Problem{State: Warning, Text: text})
}

// worse tells whether p is to be told of before than: what was due first, but for
// a preflight, which no certificate hangs on.
func worse(p, than renew.Promise) bool {
	if a, b := p.Do == renew.Preflight, than.Do == renew.Preflight; a != b {
		return b
	}
	return p.Due.Before(than.Due)
}

// describe says what was to be done, and since when.
func describe(now time.Time, p renew.Promise, v view) string {
	what := fmt.Sprintf("%s %s", p.Do, v.cert.Name)
	if p.Hook != "" {
		what += " by hook " + p.Hook
	}
	what += fmt.Sprintf(" (%s)", p.Reason)
	if !p.Due.IsZero() {
		what += fmt.Sprintf(", due %s ago", span(now.Sub(p.Due)))
	}
	if p.Do != renew.Install {
		return what
	}
	if v.facts.Live != v.facts.Held.N {
		return what + fmt.Sprintf(": version %d is held, and %d is live", v.facts.Held.N, v.facts.Live)
	}
	for _, o := range v.facts.Outputs {
		if !o.InPlace {
			return what + ": " + o.Detail
		}
	}
	return what
}
