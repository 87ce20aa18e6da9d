package sim

import (
	"flag"
	"testing"
)

var search = flag.Bool("sim.search", false, "look for the first seed that finds each planted fault, and print it")

// mutantHost is the history of one host in which planted faults are looked for.
func mutantHost(seed uint64) History { return Standard().Histories(seed, 5, 3*year)[0] }

// found lists, for each planted fault, a seed whose history finds it.
var found = map[string]uint64{}

// TestPlantedFaultsAreFound: a fault of the policy that the simulator can't find
// is one that could be in it.
func TestPlantedFaultsAreFound(t *testing.T) {
	if *search {
		for _, m := range Mutants() {
			for seed := uint64(1); seed <= 300; seed++ {
				fate := mutantHost(seed)
				if r := Run(fate, Options{Planted: m}, nil); !r.Good() && Run(fate, Options{}, nil).Good() {
					t.Logf("	%q: %d, // %d lapses, %d unheard, %d impolite, %d twice, %+v", m.Name, seed, len(r.Harm), len(r.Unheard), r.Impolite, r.Twice, r.Limits)
					break
				}
			}
		}
		return
	}
	for _, m := range Mutants() {
		seed, ok := found[m.Name]
		if !ok {
			t.Errorf("%s: no seed is known that finds it", m.Name)
			continue
		}
		fate := mutantHost(seed)
		if Run(fate, Options{Planted: m}, nil).Good() {
			t.Errorf("%s: seed %d does not find it", m.Name, seed)
		}
		if r := Run(fate, Options{}, nil); !r.Good() {
			t.Errorf("seed %d fails without %s:\n%s", seed, m.Name, r.Summary())
		}
	}
}
