package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// Finding is a lapse of one certificate.
type Finding struct {
	Seed uint64
	Host int
	Cert int
	oracle.Lapse
}

func (f Finding) String() string {
	s := fmt.Sprintf("seed %d host %d c%d: %s from %s for %s", f.Seed, f.Host, f.Cert, f.Why, stamp(f.From), (f.To - f.From).Round(time.Second))
	if f.Preventable() {
		s += fmt.Sprintf("; a good outcome was possible from %s on", stamp(f.Possible))
	}
	if f.Unheard {
		s += "; no alarm before half of the slack was gone"
	}
	return s
}

// stamp shows a moment of a history: day and time of day.
func stamp(at time.Duration) string {
	return fmt.Sprintf("day %d %s", at/day, epoch.Add(at).Format("15:04:05"))
}

// Call is a request to a CA that had asked for time.
type Call struct {
	Seed uint64
	Host int
	At   time.Duration
}

func (c Call) String() string {
	return fmt.Sprintf("seed %d host %d: a CA is asked at %s although it had asked for time", c.Seed, c.Host, stamp(c.At))
}

// Spin is an hour in which the agent took a certificate in hand more than mostSteps
// times: the rules ask for each step twice a minute at most.
type Spin struct {
	Seed       uint64
	Host, Cert int
	At         time.Duration
}

const mostSteps = 1000

func (s Spin) String() string {
	return fmt.Sprintf("seed %d host %d c%d: more than %d steps in the hour of %s", s.Seed, s.Host, s.Cert, mostSteps, stamp(s.At))
}

// Result is what came of histories.
type Result struct {
	Histories int
	Years     float64 // of certificates
	Looks     int64   // at one certificate: facts read, judged, decided
	Orders    int64
	Issued    int64
	Proofs    int64 // made
	Skipped   int64 // proofs and polls that could see no change
	Reloads   int64
	Starts    int64
	Lapses    []Finding // that nobody could have prevented
	Harm      []Finding
	Unheard   []Finding
	Twice     int64 // orders placed although one for the same was in flight
	Impolite  []Call
	Spins     []Spin
	Limits    Limits
}

func (r *Result) add(f Finding) {
	switch {
	case f.Preventable():
		r.Harm = append(r.Harm, f)
	case f.Why != "no answer" || f.From > 0:
		r.Lapses = append(r.Lapses, f)
	}
	if f.Unheard {
		r.Unheard = append(r.Unheard, f)
	}
}

// plus adds another's figures.
func (r Result) plus(o Result) Result {
	r.Histories += max(1, o.Histories)
	r.Years += o.Years
	r.Looks += o.Looks
	r.Orders += o.Orders
	r.Issued += o.Issued
	r.Proofs += o.Proofs
	r.Skipped += o.Skipped
	r.Reloads += o.Reloads
	r.Starts += o.Starts
	r.Lapses = append(r.Lapses, o.Lapses...)
	r.Harm = append(r.Harm, o.Harm...)
	r.Unheard = append(r.Unheard, o.Unheard...)
	r.Twice += o.Twice
	r.Impolite = append(r.Impolite, o.Impolite...)
	r.Spins = append(r.Spins, o.Spins...)
	r.Limits = r.Limits.worst(o.Limits)
	return r
}

// Summary says in a few lines what came of it.
func (r Result) Summary() string {
	return fmt.Sprintf(`%d hosts, %.0f certificate-years: %d looks, %d certificates from %d orders, %d reloads, %d restarts
%d proofs made, %d proofs and polls left out that could see no change
most of a CA's limits: %d of 5 of one set in 7 days, %d of 50 of one domain, %d of 300 orders in 3 hours, %d of 5 failed validations in an hour
%d requests to a CA that had asked for time, %d hours of more than %d steps for a certificate
%d lapses that nobody could have prevented
%d preventable lapses, %d lapses without an alarm in time
`, r.Histories, r.Years, r.Looks, r.Issued, r.Orders, r.Reloads, r.Starts-int64(r.Histories), r.Proofs, r.Skipped,
		r.Limits.Set, r.Limits.Domain, r.Limits.Orders, r.Limits.Failed, len(r.Impolite), len(r.Spins), mostSteps, len(r.Lapses), len(r.Harm), len(r.Unheard))
}

// Good tells whether the policy kept all that it promises: no preventable lapse,
// none unheard, no CA bothered beyond 80 % of what Let's Encrypt allows, nothing
// done again and again without a wait.
func (r Result) Good() bool {
	l := r.Limits
	return len(r.Harm)+len(r.Unheard)+len(r.Impolite)+len(r.Spins) == 0 && r.Twice == 0 && l.Orders <= 240 && l.Set <= 4 && l.Domain <= 40 && l.Failed <= 4
}

// sort puts the findings in an order that does not hang on who was ready first.
func (r *Result) sort() {
	for _, list := range [][]Finding{r.Harm, r.Lapses, r.Unheard} {
		slices.SortFunc(list, func(a, b Finding) int {
			return cmp.Or(cmp.Compare(a.Seed, b.Seed), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Cert, b.Cert), cmp.Compare(a.From, b.From))
		})
	}
}
