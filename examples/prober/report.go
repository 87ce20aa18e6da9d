package prober

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Record is what was counted for one target.
type Record struct {
	Target
	Handshakes int           // completed
	Lapses     map[Kind]int  // completed with a certificate that a client refuses
	First      Seen          // the first lapse; zero without one
	Last       Seen          // the last lapse
	Leaves     int           // distinct certificates seen
	Down       int           // not completed, while the server was down on purpose
	Failed     int           // not completed otherwise
	FailedAt   time.Time     // the last of those
	Failure    string        // its error
	LongestGap time.Duration // the longest time between two completed handshakes, the last one and the end included

	seenAt  time.Time
	leaves  map[string]bool // by fingerprint
	current Seen
}

func newRecord(t Target) *Record {
	return &Record{Target: t, Lapses: make(map[Kind]int), leaves: make(map[string]bool)}
}

func (r *Record) saw(s Seen) {
	r.gap(s.At)
	r.seenAt, r.current = s.At, s
	r.Handshakes++
	r.leaves[s.Fingerprint] = true
	r.Leaves = len(r.leaves)
	if s.Kind == "" {
		return
	}
	if len(r.Lapses) == 0 {
		r.First = s
	}
	r.Lapses[s.Kind]++
	r.Last = s
}

func (r *Record) failed(at time.Time, err error) {
	r.Failed++
	r.FailedAt, r.Failure = at, err.Error()
}

func (r *Record) gap(until time.Time) {
	if !r.seenAt.IsZero() {
		r.LongestGap = max(r.LongestGap, until.Sub(r.seenAt))
	}
}

func (r *Record) copy(now time.Time) Record {
	r.gap(now)
	c := *r
	c.Lapses, c.leaves = maps.Clone(r.Lapses), nil
	return c
}

// Current returns what the last completed handshake showed.
func (r Record) Current() Seen { return r.current }

// Lapsed counts the lapses of every kind.
func (r Record) Lapsed() int {
	n := 0
	for _, k := range r.Lapses {
		n += k
	}
	return n
}

// Report is what was counted for every target, in the order they were given.
type Report struct {
	At      time.Time
	Records []Record
}

// Lapses counts the lapses of all targets.
func (r Report) Lapses() int { return r.sum(Record.Lapsed) }

// Handshakes counts the completed handshakes of all targets.
func (r Report) Handshakes() int { return r.sum(func(t Record) int { return t.Handshakes }) }

// Failed counts the handshakes that failed while the server was up.
func (r Report) Failed() int { return r.sum(func(t Record) int { return t.Failed }) }

// Down counts the handshakes that failed while the server was down on purpose.
func (r Report) Down() int { return r.sum(func(t Record) int { return t.Down }) }

func (r Report) sum(count func(Record) int) int {
	n := 0
	for _, t := range r.Records {
		n += count(t)
	}
	return n
}

// Blind lists the targets that no handshake was ever completed with: nothing
// can be said of them, which is not the same as no lapse.
func (r Report) Blind() []Target {
	var blind []Target
	for _, t := range r.Records {
		if t.Handshakes == 0 {
			blind = append(blind, t.Target)
		}
	}
	return blind
}

// WriteTo writes the report as a table, and the first and last lapse of every
// target that had one.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "NAME\tADDRESS\tHANDSHAKES\tLAPSES\tCERTIFICATES\tFAILED\tDOWN\tLONGEST GAP")
	for _, rec := range r.Records {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\n", rec.Name, rec.Address, rec.Handshakes, rec.Lapsed(),
			rec.Leaves, rec.Failed, rec.Down, rec.LongestGap.Round(time.Millisecond))
	}
	t.Flush()
	for _, rec := range r.Records {
		rec.explain(&b)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

func (r Record) explain(b *strings.Builder) {
	if r.Lapsed() > 0 {
		kinds := slices.Sorted(maps.Keys(r.Lapses))
		fmt.Fprintf(b, "lapse: %s: %v, first %s (%s), last %s (%s)\n", r.Target, kinds,
			r.First.At.Format(time.TimeOnly), r.First.Detail, r.Last.At.Format(time.TimeOnly), r.Last.Detail)
	}
	if r.Failed > 0 {
		fmt.Fprintf(b, "failed: %s: %d, last %s: %s\n", r.Target, r.Failed, r.FailedAt.Format(time.TimeOnly), r.Failure)
	}
}
