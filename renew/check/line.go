package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// State is what a plugin's exit code says.
type State int

// The states, by exit code.
const (
	OK State = iota
	Warning
	Critical
	Unknown
)

func (s State) String() string {
	return [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}[s]
}

// rank puts what could not be judged between what is bad and what is critical.
func (s State) rank() int { return [...]int{OK: 0, Warning: 1, Unknown: 2, Critical: 3}[s] }

// Problem is one thing that is not as it should be.
type Problem struct {
	State State
	Cert  string // empty for what concerns all
	Text  string
}

// Result is what was found.
type Result struct {
	Problems []Problem // the worst first
	Figures  []Figure  // of those that are held, in the order of their end

	certs     int // that are configured
	endpoints int // handshakes
	unserved  int // of which showed what they should not, or nothing
	overdue   int // promises
}

// Figure is what is left of one certificate.
type Figure struct {
	Cert              string
	Left              time.Duration // negative once it has expired
	Warning, Critical time.Duration // alarms below this
}

// State is the worst of all.
func (r Result) State() State {
	if len(r.Problems) == 0 {
		return OK
	}
	return r.Problems[0].State
}

// sort puts the worst problem first, and the certificate that ends first.
func (r *Result) sort() {
	slices.SortStableFunc(r.Problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.State.rank(), a.State.rank()), cmp.Compare(a.Cert, b.Cert))
	})
	slices.SortStableFunc(r.Figures, func(a, b Figure) int {
		return cmp.Or(cmp.Compare(a.Left, b.Left), cmp.Compare(a.Cert, b.Cert))
	})
}

// Monitoring systems cut long output (Nagios reads 8 KB, NRPE sent 1 KB), and
// draw a graph for each label: with very many certificates only the sums are
// given, so that the labels do not come and go.
const (
	mostProblems = 4
	mostFigures  = 64
	mostText     = 300 // runes of one problem
)

// Line is the whole output: the state, the problems, and the performance data.
func (r Result) Line() string {
	var said []string
	for _, p := range r.Problems[:min(len(r.Problems), mostProblems)] {
		text := p.Text
		if p.Cert != "" {
			text = p.Cert + ": " + text
		}
		said = append(said, plain(text))
	}
	if more := len(r.Problems) - len(said); more > 0 {
		said = append(said, fmt.Sprintf("and %d more", more))
	}
	said = append(said, r.summary())
	return fmt.Sprintf("CERTVIGIL %s - %s | %s", r.State(), strings.Join(said, "; "), strings.Join(r.performance(), " "))
}

// UnknownLine is the output where there is no result.
func UnknownLine(err error) string { return "CERTVIGIL UNKNOWN - " + plain(err.Error()) }

func (r Result) summary() string {
	text := fmt.Sprintf("%d certificates", r.certs)
	switch {
	case r.certs == 0:
		return "no certificate is configured"
	case r.certs == 1:
		text = "1 certificate"
	}
	if len(r.Figures) == 0 {
		return text + ", none is held"
	}
	return text + ", next expiry " + r.Figures[0].String()
}

func (f Figure) String() string {
	if f.Left <= 0 {
		return f.Cert + " has expired"
	}
	return f.Cert + " in " + span(f.Left)
}

// performance is the performance data of the Nagios plugin guidelines:
// 'label'=value[unit];warn;crit;min;max. A threshold is a range, and an alarm is
// what lies outside of it: "100:" is below 100, "0" is above 0.
func (r Result) performance() []string {
	var all []string
	if len(r.Figures) <= mostFigures {
		for _, f := range r.Figures {
			all = append(all, fmt.Sprintf("%s=%ds;%d:;%d:;", label(f.Cert+"_left"), seconds(f.Left), seconds(f.Warning), seconds(f.Critical)))
		}
	}
	if len(r.Figures) > 0 { // a label that no certificate's can be
		all = append(all, fmt.Sprintf("left_min=%ds;;;", seconds(r.Figures[0].Left)))
	}
	return append(all, fmt.Sprintf("certificates=%d;;;0", r.certs),
		fmt.Sprintf("endpoints=%d;;;0", r.endpoints), fmt.Sprintf("not_served=%d;0;;0", r.unserved),
		fmt.Sprintf("overdue=%d;0;;0", r.overdue))
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// label quotes where the guidelines ask for it.
func label(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool {
		return r > unicode.MaxASCII || !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.-", r))
	}) {
		return "'" + strings.NewReplacer("'", "", "=", "").Replace(text) + "'"
	}
	return text
}

// plain makes one line of what others said, without the "|" that begins the
// performance data.
func plain(text string) string {
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == '|':
			return '/'
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)), " ")
	if runes := []rune(text); len(runes) > mostText {
		text = string(runes[:mostText]) + "…"
	}
	return text
}

// span is a duration in the one unit that a person would use.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%dd", d/day)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	default:
		return fmt.Sprintf("%ds", max(d, 0)/time.Second)
	}
}
