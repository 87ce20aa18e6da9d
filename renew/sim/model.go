package sim

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

//go:embed model.json
var standard []byte

// Model is what can go wrong, how often, and for how long.
type Model struct {
	HostsCerts   int        `json:"hosts_certs"`   // certificates on one host, which share its server, disk and clock
	SecondIssuer float64    `json:"second_issuer"` // the share of hosts that have a fallback configured
	Lifetimes    []Lifetime `json:"lifetimes"`
	Names        []int      `json:"names"` // how many names a certificate has, drawn evenly
	Human        Human      `json:"human"`
	Faults       []Rate     `json:"faults"`
}

// Lifetime is what a share of the certificates are issued for. Cut tells that
// the CA's policy shortens it: to 64 days, later to 45.
type Lifetime struct {
	Life  span    `json:"life"`
	Share float64 `json:"share"`
	Cut   bool    `json:"cut"`
}

// Human is who answers an alarm: after a log-normal while, never at all on a
// share of the hosts, and not in the two weeks that somebody is away.
type Human struct {
	Median   span     `json:"median"`
	P99      span     `json:"p99"`
	Never    float64  `json:"never"`
	Away     []string `json:"away"` // months
	AwayDays int      `json:"away_days"`
}

// Rate is how often one kind of fault strikes one subject ("fleet", "ca", "host"
// or "cert"), and how long it lasts: between Min and Max, or log-normal by
// Median and P99, or for ever, which for some kinds is until a human comes.
type Rate struct {
	Kind        Kind    `json:"kind"`
	Of          string  `json:"of"`
	PerYear     float64 `json:"per_year"`
	PerIssuance float64 `json:"per_issuance"` // of the schedule's own
	Share       float64 `json:"share"`        // of the certificates that it strikes
	Min         span    `json:"min"`
	Max         span    `json:"max"`
	Median      span    `json:"median"`
	P99         span    `json:"p99"`
	Forever     bool    `json:"forever"`
	Most        int     `json:"most"` // in one history; zero means any number
}

// span is a duration that JSON writes as Go does: "30m".
type span time.Duration

func (s *span) UnmarshalText(text []byte) error {
	d, err := time.ParseDuration(string(text))
	*s = span(d)
	return err
}

// Standard returns the model that is built in.
func Standard() Model {
	m, err := ParseModel(standard)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return m
}

// ParseModel reads a model in the form of model.json. What it does not know is
// an error: a misspelt rate must not be a rate of zero.
func ParseModel(text []byte) (Model, error) {
	var m Model
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, fmt.Errorf("reading the fault model: %w", err)
	}
	if m.HostsCerts < 1 || len(m.Lifetimes) == 0 || len(m.Names) == 0 {
		return m, errors.New("the fault model needs hosts_certs, lifetimes and names")
	}
	for _, r := range m.Faults {
		switch {
		case !slices.Contains(kinds, r.Kind):
			return m, fmt.Errorf("the fault model knows no kind %q", r.Kind)
		case !slices.Contains([]string{"fleet", "ca", "host", "cert"}, r.Of):
			return m, fmt.Errorf("%s: a fault is of a fleet, ca, host or cert, not of %q", r.Kind, r.Of)
		}
	}
	return m, nil
}

// Only returns the model with no other faults than those of the kinds.
func (m Model) Only(list ...Kind) Model {
	m.Faults = slices.DeleteFunc(slices.Clone(m.Faults), func(r Rate) bool { return !slices.Contains(list, r.Kind) })
	return m
}

// lasts draws how long a fault of the rate goes on.
func (r Rate) lasts(dice *rand.Rand) time.Duration {
	switch {
	case r.Forever:
		return forever
	case r.Median > 0:
		return logNormal(dice, time.Duration(r.Median), time.Duration(r.P99))
	default:
		return time.Duration(r.Min) + time.Duration(dice.Float64()*float64(r.Max-r.Min))
	}
}

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263

func logNormal(dice *rand.Rand, median, p99 time.Duration) time.Duration {
	sigma := math.Log(float64(p99)/float64(median)) / z99
	return time.Duration(float64(median) * math.Exp(sigma*dice.NormFloat64()))
}
