package config

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// report collects problems while a configuration is read. Source lines are put
// to them only at the end, when it is known which lines hold a secret.
type report struct {
	files  []*source
	byName map[string]*source
	found  []finding
	known  map[finding]bool
}

type finding struct {
	severity Severity
	rng      hcl.Range // zero for a problem of no place; without a line for one of a whole file
	summary  string
	advice   string
	foreign  bool // words that are not ours: dropped where the line is hidden
}

func newReport() *report {
	return &report{byName: map[string]*source{}, known: map[finding]bool{}}
}

func (r *report) addSource(src *source) {
	r.files = append(r.files, src)
	r.byName[src.name] = src
}

// fail adds an error. Neither text may hold anything of a secret value.
func (r *report) fail(rng hcl.Range, summary, advice string) {
	r.add(finding{severity: Error, rng: rng, summary: summary, advice: advice})
}

// warn adds a warning, under the same condition.
func (r *report) warn(rng hcl.Range, summary, advice string) {
	r.add(finding{severity: Warning, rng: rng, summary: summary, advice: advice})
}

// add drops what was said already: one block under for_each is read many times.
func (r *report) add(f finding) {
	if !r.known[f] {
		r.known[f] = true
		r.found = append(r.found, f)
	}
}

// foreign adds what package hcl has to say.
func (r *report) foreign(diags hcl.Diagnostics) {
	for _, d := range diags {
		f := finding{severity: Error, summary: d.Summary, advice: d.Detail, foreign: true}
		if d.Severity == hcl.DiagWarning {
			f.severity = Warning
		}
		if d.Subject != nil {
			f.rng = *d.Subject
		}
		r.add(f)
	}
}

// hide keeps the lines of rng out of all diagnostics.
func (r *report) hide(rng hcl.Range) {
	if src := r.byName[rng.Filename]; src != nil {
		src.hide(rng)
	}
}

func (r *report) failed() bool {
	return slices.ContainsFunc(r.found, func(f finding) bool { return f.severity == Error })
}

// diagnostics returns all that was found, in the order of files and lines.
func (r *report) diagnostics() Diagnostics {
	slices.SortStableFunc(r.found, func(a, b finding) int {
		return cmp.Or(cmp.Compare(r.position(a), r.position(b)), cmp.Compare(a.rng.Start.Byte, b.rng.Start.Byte))
	})
	var all Diagnostics
	for _, f := range r.found {
		all = append(all, r.diagnostic(f))
	}
	return all
}

// position orders files as they were read, and what has no file before them.
func (r *report) position(f finding) int {
	return slices.IndexFunc(r.files, func(s *source) bool { return s.name == f.rng.Filename })
}

func (r *report) diagnostic(f finding) Diagnostic {
	d := Diagnostic{Severity: f.severity, File: f.rng.Filename, Summary: f.summary, Advice: f.advice}
	src := r.byName[f.rng.Filename]
	line := f.rng.Start.Line
	if src == nil || line < 1 {
		return d
	}
	d.Line = line
	if src.hidden[line] {
		d.Source = hiddenLine
		if f.foreign {
			d.Advice = "Look at the quotes, brackets and equals signs on this line."
		}
		return d
	}
	if line > len(src.lines) { // the end of the file
		d.Source, d.markTo = "", 0
		return d
	}
	d.Source = src.lines[line-1]
	d.markFrom, d.markTo = src.columns(f.rng)
	return d
}

// columns returns the characters of its first line that rng covers, at least
// one. Ranges inside of a JSON string are approximate, hence the clamps.
func (s *source) columns(rng hcl.Range) (from, to int) {
	line, start := s.lines[rng.Start.Line-1], s.starts[rng.Start.Line-1]
	first := clamp(rng.Start.Byte-start, len(line))
	last := len(line)
	if rng.End.Line == rng.Start.Line {
		last = clamp(rng.End.Byte-start, len(line))
	}
	last = max(first, last)
	from = utf8.RuneCountInString(line[:first])
	return from, max(from+utf8.RuneCountInString(line[first:last]), min(from+1, utf8.RuneCountInString(line)))
}

func clamp(n, limit int) int { return max(0, min(n, limit)) }

// at names a place in the words of another diagnostic.
func at(rng hcl.Range) string {
	return fmt.Sprintf("%s:%d", rng.Filename, rng.Start.Line)
}
