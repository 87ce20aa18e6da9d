package sim

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestNoPreventableLapse is the short form of make sim.
func TestNoPreventableLapse(t *testing.T) {
	r := Fleet{Model: Standard(), First: 1, Seeds: 10, Certs: 20, Length: year}.Run(t.Context(), nil)
	t.Log("\n" + r.Summary())
	for _, f := range slices.Concat(r.Harm, r.Unheard) {
		t.Error(f)
	}
	if r.Impolite > 0 {
		t.Errorf("%d requests to a CA that had asked for time", r.Impolite)
	}
	// 80 % of what Let's Encrypt publishes.
	if l := r.Limits; l.Orders > 240 || l.Set > 4 || l.Domain > 40 || l.Failed > 4 {
		t.Errorf("limits: %+v", l)
	}
	// That nothing lapsed is worth something only if the world was hard.
	if r.Years < 199 || r.Issued < 2000 || len(r.Lapses) < 10 || r.Starts < 200 {
		t.Error("hardly anything went wrong")
	}
}

func TestTheStandardModelHasEveryKind(t *testing.T) {
	m := Standard()
	for _, k := range kinds {
		if !slices.ContainsFunc(m.Faults, func(r Rate) bool { return r.Kind == k && r.PerYear+r.PerIssuance > 0 }) {
			t.Errorf("%s never strikes", k)
		}
	}
}

func TestAModelThatIsMisspeltIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{"hosts_certs": 1, "lifetimes": [{}], "names": [1], "faults": [{"kind": "ca-outrage", "of": "ca"}]}`: "ca-outrage",
		`{"hosts_certs": 1, "lifetimes": [{}], "names": [1], "faults": [{"kind": "reboot", "of": "hosts"}]}`:  "not of \"hosts\"",
		`{"host_certs": 1}`: "host_certs",
		`{}`:                "needs",
	} {
		if _, err := ParseModel([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestTheOracleSharesNoCodeWithTheAgent: it imports the standard library alone.
func TestTheOracleSharesNoCodeWithTheAgent(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard", "./oracle").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var foreign, all []string
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p struct {
			ImportPath string
			Standard   bool
		}
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p.ImportPath)
		if !p.Standard {
			foreign = append(foreign, p.ImportPath)
		}
	}
	if len(all) < 5 || len(foreign) != 1 || !strings.HasSuffix(foreign[0], "renew/sim/oracle") {
		t.Errorf("of %d packages these are not the standard library's: %v", len(all), foreign)
	}
}
