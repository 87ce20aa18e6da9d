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
	// Endpoints are those of a proof, with "(auto)" behind what was found; only of a
	// certificate whose endpoints are searched for.
	Endpoints []string `json:"endpoints,omitempty"`
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
		p := Planned{Cert: c.Name, Step: s}
		if s.Do == renew.Verify && c.Auto {
			p.Endpoints = places(c, f)
		}
		list = append(list, p)
		if s.Do != renew.Issue || f.Held.N == 0 {
			continue
		}
		every := f.Held.Lifetime() - renew.Slack(&c, &f)
		at := renew.Opening(&c, &f, s.At.Add(every))
		for ; every > 0 && !at.After(until) && len(list) < longestPlan; at = renew.Opening(&c, &f, at.Add(every)) {
			list = append(list, Planned{Cert: c.Name, Step: renew.Step{Do: renew.Issue, At: at, Reason: renew.Lifetime}, Projected: true})
		}
	}
	return list
}

// places are the addresses of the endpoints.
func places(c renew.Cert, f renew.Facts) []string {
	var all []string
	for _, e := range renew.Endpoints(&c, &f) {
		at := e.Address
		if e.Auto {
			at += " (auto)"
		}
		if !slices.Contains(all, at) {
			all = append(all, at)
		}
	}
	return all
}

// longestPlan bounds what is projected for one certificate: one of a minute
// over a year is no plan.
const longestPlan = 400
