package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// Planned is one step that lies ahead of one certificate.
type Planned struct {
	Cert string `json:"certificate"`
	renew.Step
	// Projected marks a renewal that assumes that the one before it succeeds and
	// that the CA goes on issuing for the same lifetime.
	Projected bool `json:"projected,omitempty"`
}

// Plan lists what would be done until then, the earliest first: nothing is done.
func (a *Agent) Plan(now, until time.Time) []Planned {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Planned
	for _, e := range a.entries {
		all = append(all, ahead(now, until, e.cert, e.facts)...)
	}
	return sorted(all)
}

// OfflinePlan is Plan from the state directory alone.
func OfflinePlan(now, until time.Time, st Store, cfg *config.Config) ([]Planned, error) {
	var all []Planned
	for _, c := range cfg.Certs {
		f, err := Gather(now, st, cfg, c)
		if err != nil {
			return nil, err
		}
		all = append(all, ahead(now, until, c, f)...)
	}
	return sorted(all), nil
}

func sorted(all []Planned) []Planned {
	slices.SortFunc(all, func(a, b Planned) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Cert, b.Cert))
	})
	return all
}

// ahead is what every stage of c wants next, and the renewals that would follow
// the next one.
func ahead(now, until time.Time, c renew.Cert, f renew.Facts) []Planned {
	var list []Planned
	for _, s := range renew.Ahead(now, &c, &f) {
		if s.At.After(until) {
			continue
		}
		list = append(list, Planned{Cert: c.Name, Step: s})
		if s.Do != renew.Issue || f.Held.N == 0 {
			continue
		}
		every := f.Held.Lifetime() - renew.Slack(&c, &f)
		at := renew.Opening(&c, &f, s.At.Add(every))
		for ; every > 0 && !at.After(until) && len(list) < longestPlan; at = renew.Opening(&c, &f, at.Add(every)) {
			list = append(list, Planned{c.Name, renew.Step{Do: renew.Issue, At: at, Reason: renew.Lifetime}, true})
		}
	}
	return list
}

// longestPlan bounds what is projected for one certificate: one of a minute
// over a year is no plan.
const longestPlan = 400
