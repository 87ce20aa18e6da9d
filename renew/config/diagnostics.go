package config

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Severity says whether a configuration with this problem can be used.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // there is no configuration
	Warning Severity = "warning" // it is used all the same
)

// hiddenLine stands in place of a source line with a secret on it.
const hiddenLine = "(hidden: it holds a secret)"

// maxSourceLine bounds how much of a source line is shown, in characters.
const maxSourceLine = 160

// Diagnostic is one problem: where, what, and what to write instead.
type Diagnostic struct {
	Severity Severity
	File     string // as Load came to it: relative where its argument was
	Line     int    // from 1; 0 where the problem is that of a whole file, or of no file
	Summary  string // one line
	Advice   string // what to write instead; one line
	Source   string // the source line without its line end; never one with a secret on it

	markFrom, markTo int // the offending characters of Source, counted from 0; none when equal
}

// Diagnostics are all problems of a configuration, in the order of its files
// and lines. As an error it is one line long; String is the whole report.
type Diagnostics []Diagnostic

// HasErrors tells whether there is more than warnings.
func (d Diagnostics) HasErrors() bool { return d.count() > 0 }

// Len is the number of problems, warnings included.
func (d Diagnostics) Len() int { return len(d) }

// Err returns d where it has errors, and nil otherwise.
func (d Diagnostics) Err() error {
	if d.HasErrors() {
		return d
	}
	return nil
}

// Error returns the first error, and how many others there are.
func (d Diagnostics) Error() string {
	for _, one := range d {
		if one.Severity != Error {
			continue
		}
		text := one.head()
		if n := d.count() - 1; n > 0 {
			text += fmt.Sprintf(" (and %d more)", n)
		}
		return text
	}
	return "no errors"
}

func (d Diagnostics) count() int {
	n := 0
	for _, one := range d {
		if one.Severity == Error {
			n++
		}
	}
	return n
}

// WriteTo writes the whole report as plain text: each problem with its place,
// its source line with the offending part marked, and the advice.
func (d Diagnostics) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, d.String())
	return int64(n), err
}

// String returns what WriteTo writes.
func (d Diagnostics) String() string {
	var b strings.Builder
	for i, one := range d {
		if i > 0 {
			b.WriteByte('\n')
		}
		one.render(&b)
	}
	return b.String()
}

func (d Diagnostic) head() string {
	place := ""
	switch {
	case d.Line > 0:
		place = fmt.Sprintf("%s:%d: ", d.File, d.Line)
	case d.File != "":
		place = d.File + ": "
	}
	return printable(fmt.Sprintf("%s%s: %s", place, d.Severity, d.Summary))
}

func (d Diagnostic) render(b *strings.Builder) {
	b.WriteString(d.head() + "\n")
	if d.Line > 0 {
		number := fmt.Sprintf("%4d", d.Line)
		text, mark := d.excerpt()
		fmt.Fprintf(b, "%s | %s\n", number, text)
		if mark != "" {
			fmt.Fprintf(b, "%s | %s\n", strings.Repeat(" ", len(number)), mark)
		}
	}
	if d.Advice != "" {
		b.WriteString("  " + printable(d.Advice) + "\n")
	}
}

// excerpt returns the part of the source line around the offending characters,
// and the line of marks to put under it.
func (d Diagnostic) excerpt() (text, mark string) {
	line := []rune(d.Source)
	from, to := min(d.markFrom, len(line)), min(d.markTo, len(line))
	if len(line) > maxSourceLine {
		start := max(0, min(from-maxSourceLine/4, len(line)-maxSourceLine))
		line = line[start : start+maxSourceLine]
		from, to = from-start, min(to-start, maxSourceLine)
	}
	if to <= from {
		return printable(string(line)), ""
	}
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, string(line[:from]))
	return printable(string(line)), pad + strings.Repeat("^", to-from)
}

// printable keeps what a terminal would act on from reaching one: a
// configuration may have been pasted from anywhere.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '�'
	}, s)
}
