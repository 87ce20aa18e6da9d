package sim

import (
	"bytes"
	"strings"
	"testing"
)

// TestAFailingHistoryIsShrunkToItsCause: of a hundred faults, the one that
// matters is left, and told.
func TestAFailingHistoryIsShrunkToItsCause(t *testing.T) {
	how := found["failover off"]
	var opts Options
	for _, m := range Mutants() {
		if m.Name == "failover off" {
			opts.Planted = m
		}
	}
	seed, _ := finds(opts.Planted, how.often, how.seed)
	fate := mutantHost(seed, how.often)
	if len(fate.Faults) < 100 {
		t.Fatalf("%d faults are too few for this test", len(fate.Faults))
	}
	short := Shrink(fate, opts, Harmed, 400)
	kept := 0
	for _, c := range short.Certs {
		if !c.Gone {
			kept++
		}
	}
	if kept != 1 || len(short.Faults) > 3 || short.Length > fate.Length {
		t.Errorf("%d certificates, %d faults, %s are left: %v", kept, len(short.Faults), short.Length, short.Faults)
	}
	var told bytes.Buffer
	if r := Tell(&told, short, opts, 50); len(r.Harm) == 0 {
		t.Error("what is left does not fail")
	}
	if text := told.String(); !strings.Contains(text, "ca0") || !strings.Contains(text, "a good outcome was possible from") || strings.Count(text, "\n") > 60 {
		t.Errorf("told as:\n%s", text)
	}
}
