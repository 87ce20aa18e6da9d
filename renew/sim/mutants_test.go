package sim

import (
	"flag"
	"slices"
	"testing"
)

var search = flag.Bool("sim.search", false, "look for the first seed that finds each planted fault, and print it")

// mutantHost is the history of one host in which a planted fault is looked for:
// of the standard model, but what the fault has to do with happens twenty times
// as often, and half of the hosts have nobody who answers alarms.
func mutantHost(seed uint64, often []Kind) History {
	m := Standard()
	m.Human.Never = 0.5
	m.Faults = slices.Clone(m.Faults)
	for i, r := range m.Faults {
		if slices.Contains(often, r.Kind) {
			m.Faults[i].PerYear, m.Faults[i].PerIssuance = 20*r.PerYear, min(0.5, 20*r.PerIssuance)
		}
	}
	return m.Histories(seed, 2, 2*year)[0]
}

// found lists, for each planted fault, what happens often and a seed whose
// history finds it.
var found = map[string]struct {
	often []Kind
	seed  uint64
}{
	"backstop removed":                                {nil, 0},
	"ARI may postpone past the backstop":              {nil, 0},
	"backoff never ends":                              {[]Kind{PortBlocked}, 0},
	"failure class is terminal":                       {[]Kind{CALie}, 0},
	"failover off":                                    {[]Kind{CADeath}, 0},
	"rescue off":                                      {[]Kind{NameGone}, 2},
	"hook forgotten after its first failure":          {[]Kind{HookFails}, 0},
	"reload's exit code is proof enough":              {[]Kind{ReloadLies}, 0},
	"proofs never made again":                         {[]Kind{ReloadLies}, 0},
	"brake off":                                       {nil, 0},
	"Retry-After ignored":                             {[]Kind{CABusy}, 5},
	"the CA's clock is not asked":                     {[]Kind{ClockJump}, 3},
	"what the CA issued is not checked":               {[]Kind{CALie}, 3},
	"order in flight not gone on with":                {[]Kind{OOMKill}, 7},
	"broken files are not mended":                     {[]Kind{Deleted}, 0},
	"an expired pair is put in place of a broken one": {[]Kind{Deleted}, 4},
	"health is always ok":                             {[]Kind{CADeath}, 6},
}

// TestPlantedFaultsAreFound: a fault of the policy that the simulator can't find
// is one that could be in it.
func TestPlantedFaultsAreFound(t *testing.T) {
	for _, m := range Mutants() {
		how, ok := found[m.Name]
		if !ok {
			t.Errorf("%s: no seed is known that finds it", m.Name)
			continue
		}
		if *search {
			how.seed = searched(how.often, m)
			t.Logf("%q: {%v, %d}", m.Name, how.often, how.seed)
		}
		fate := mutantHost(how.seed, how.often)
		if Run(fate, Options{Planted: m}, nil).Good() {
			t.Errorf("%s: seed %d does not find it", m.Name, how.seed)
		}
		if r := Run(fate, Options{}, nil); !r.Good() {
			t.Errorf("seed %d fails without %s:\n%s", how.seed, m.Name, r.Summary())
		}
	}
}

// searched returns the first seed that finds the planted fault.
func searched(often []Kind, m *Planted) uint64 {
	for seed := range uint64(200) {
		fate := mutantHost(seed, often)
		if !Run(fate, Options{Planted: m}, nil).Good() && Run(fate, Options{}, nil).Good() {
			return seed
		}
	}
	return 0 // which does not find it either, so that the test fails
}
