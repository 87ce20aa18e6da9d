package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxQuoted bounds how much of a value a diagnostic repeats.
const maxQuoted = 80

// quoted shows s in a diagnostic: escaped, and cut where it is long.
func quoted(s string) string {
	if utf8.RuneCountInString(s) > maxQuoted {
		s = string([]rune(s)[:maxQuoted]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// nearest returns the candidate that given is most likely a slip of; empty
// where none is near enough.
func nearest(given string, candidates []string) string {
	if len(given) > maxQuoted {
		return ""
	}
	best, at := "", 3 // more than two slips is another word
	for _, c := range candidates {
		d := distance(strings.ToLower(given), strings.ToLower(c))
		if d < at && d*2 <= max(len(c), len(given)) {
			best, at = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, substitutions and swaps of
// neighbours between a and b (optimal string alignment).
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	before, last := make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := range s {
		row := make([]int, len(t)+1)
		row[0] = i + 1
		for j := range t {
			cost := 1
			if s[i] == t[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && s[i] == t[j-1] && s[i-1] == t[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(t)]
}

// maxListed bounds how many candidates an advice lists.
const maxListed = 20

// didYouMean is the advice for an unknown word: the nearest candidate, or else
// all of them, each shown behind prefix. none is the advice where there are none.
func didYouMean(prefix, given string, candidates []string, none string) string {
	if near := nearest(given, candidates); near != "" {
		return fmt.Sprintf("Did you mean %s%s?", prefix, near)
	}
	if len(candidates) == 0 {
		return none
	}
	sorted := slices.Sorted(slices.Values(candidates))
	more := ""
	if len(sorted) > maxListed {
		sorted, more = sorted[:maxListed], ", …"
	}
	return fmt.Sprintf("There is: %s%s%s.", prefix, strings.Join(sorted, ", "+prefix), more)
}
