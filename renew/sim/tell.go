package sim

import (
	"fmt"
	"io"
	"time"
)

// shownTimes is how often a line is shown that comes again and again.
const shownTimes = 3

// Tell writes what happens in a history, the last so many lines of it, and what
// came of it.
func Tell(w io.Writer, fate History, opts Options, most int) Result {
	kept := 0
	for _, c := range fate.Certs {
		if !c.Gone {
			kept++
		}
	}
	fmt.Fprintf(w, "seed %d, host %d: %d certificates, %d faults, %.0f days; fallback %t, somebody answers alarms %t\n",
		fate.Seed, fate.Host, kept, len(fate.Faults), fate.Length.Hours()/24, fate.Fallback, !fate.Deaf)
	var lines []string
	left := 0
	write := func(at time.Duration, text, more string) {
		if lines = append(lines, fmt.Sprintf("  %-18s %s%s", stamp(at), text, more)); len(lines) > most {
			lines, left = lines[1:], left+1
		}
	}
	times := map[string]int{}
	r := Run(fate, opts, func(at time.Duration, text string) {
		if times[text]++; times[text] <= shownTimes {
			write(at, text, "")
		} else if n := times[text]; n&(n-1) == 0 { // 4, 8, 16 …
			write(at, text, fmt.Sprintf(" (%d times by now)", n))
		}
	})
	if left > 0 {
		fmt.Fprintf(w, "  … %d lines\n", left)
	}
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	for _, list := range [][]Finding{r.Harm, r.Unheard} {
		for _, f := range list {
			fmt.Fprintln(w, f)
		}
	}
	return r
}
