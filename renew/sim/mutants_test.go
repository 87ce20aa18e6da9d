package sim

import (
	"slices"
	"testing"
)

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
	"backstop removed":                                      {nil, 0},
	"ARI may postpone past the backstop":                    {nil, 0},
	"backoff never ends":                                    {[]Kind{PortBlocked}, 1},
	"failure class is terminal":                             {[]Kind{CALie}, 0},
	"failover off":                                          {[]Kind{CADeath}, 0},
	"rescue off":                                            {[]Kind{NameGone}, 2},
	"hook forgotten after its first failure":                {[]Kind{HookFails}, 0},
	"reload's exit code is proof enough":                    {[]Kind{ReloadLies}, 0},
	"proofs never made again":                               {[]Kind{ReloadLies}, 0},
	"brake off":                                             {nil, 0},
	"Retry-After ignored":                                   {[]Kind{CABusy}, 5},
	"the CA's clock is not asked":                           {[]Kind{ClockJump}, 3},
	"what the CA issued is not checked":                     {[]Kind{CALie}, 3},
	"order in flight not gone on with":                      {[]Kind{OOMKill}, 19},
	"broken files are not mended":                           {[]Kind{Deleted}, 3},
	"an expired pair is never put in place of a broken one": {[]Kind{Deleted, Reboot, PortBlocked}, 12},
	"health is always ok":                                   {[]Kind{CADeath}, 6},
}

// TestPlantedFaultsAreFound: a fault of the policy that the simulator can't find
// is one that could be in it. A seed that finds it no longer, since the policy
// changed and with it what follows from what, is replaced by one that does; the
// table keeps the test quick.
func TestPlantedFaultsAreFound(t *testing.T) {
	mutants := Mutants()
	if len(mutants) != len(found) {
		t.Errorf("%d planted faults, %d in the table", len(mutants), len(found))
	}
	for _, m := range mutants {
		how, ok := found[m.Name]
		if !ok {
			t.Errorf("%s: no seed is known that finds it", m.Name)
			continue
		}
		seed, ok := finds(m, how.often, how.seed)
		if !ok {
			t.Errorf("%s: no seed finds it", m.Name)
		} else if seed != how.seed {
			t.Logf("%s: found by seed %d, no longer by %d", m.Name, seed, how.seed)
		}
	}
}

// finds returns a seed whose history breaks a promise with the planted fault, and
// none without it: the one that is known, else the first of a hundred.
func finds(m *Planted, often []Kind, known uint64) (seed uint64, ok bool) {
	for _, seed := range append([]uint64{known}, firstSeeds(100)...) {
		fate := mutantHost(seed, often)
		if !Run(fate, Options{Planted: m}, nil).Good() && Run(fate, Options{}, nil).Good() {
			return seed, true
		}
	}
	return 0, false
}

func firstSeeds(n uint64) []uint64 {
	var list []uint64
	for seed := range n {
		list = append(list, seed)
	}
	return list
}
