package config

import (
	"errors"
	"strings"
	"testing"
)

func TestDiagnosticsAsError(t *testing.T) {
	var none Diagnostics
	if none.HasErrors() || none.Err() != nil || none.String() != "" || none.Error() != "no errors" {
		t.Errorf("no diagnostics: %v, %q", none.Err(), none.String())
	}
	warning := Diagnostic{Severity: Warning, File: "a.hcl", Line: 1, Summary: "odd"}
	one := Diagnostic{Severity: Error, File: "b.hcl", Line: 2, Summary: "wrong"}
	all := Diagnostics{warning, one, one}
	if got := all.Error(); got != "b.hcl:2: error: wrong (and 1 more)" {
		t.Errorf("Error() = %q", got)
	}
	if _, ok := errors.AsType[Diagnostics](all.Err()); !ok || (Diagnostics{warning}).Err() != nil || all.Len() != 3 {
		t.Error("Err does not tell errors from warnings")
	}
	var b strings.Builder
	if n, err := all.WriteTo(&b); err != nil || n != int64(b.Len()) || b.String() != all.String() {
		t.Errorf("WriteTo: %d, %v, %q", n, err, b.String())
	}
}

func TestMarksStandUnderWhatTheyMean(t *testing.T) {
	_, diags := loadText(t, minimal+"certificate \"w\" {\n\tnames = [\"bücher.example\",\t\"bad name\"]\n}\n")
	if len(diags) != 1 {
		t.Fatal(diags.String())
	}
	text, mark := diags[0].excerpt()
	if from := strings.Index(mark, "^"); string([]rune(text)[from:len(mark)]) != `"bad name"` {
		t.Errorf("\n%s\n%s", text, mark)
	}
	if strings.Count(mark, "\t") != 2 {
		t.Errorf("tabs are not kept in %q", mark)
	}
}

func TestReportsAreSafeForATerminal(t *testing.T) {
	_, diags := loadText(t, "locals {\n  a = \"\x1b[2J\u202e\" + b # \x07\n}\n")
	if got := diags.String(); !diags.HasErrors() || strings.ContainsAny(got, "\x1b\x07\u202e") {
		t.Errorf("%q", got)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"names", "issuers", "solver", "key", "le"}
	for given, want := range map[string]string{
		"name": "names", "nmaes": "names", "isuers": "issuers", "Solver": "solver", "el": "le", "kye": "key",
		"x": "", "certificate": "", "": "", "hook": "", strings.Repeat("names", 99): "",
	} {
		if got := nearest(given, words); got != want {
			t.Errorf("nearest(%q) = %q, want %q", given, got, want)
		}
	}
}
