package oracle

import (
	"cmp"
	"slices"
	"time"
)

// union merges spans that overlap or touch; the result is in order.
func union(lists ...[]Span) []Span {
	all := slices.Concat(lists...)
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	merged := all[:0]
	for _, s := range all {
		if n := len(merged); n > 0 && s.From <= merged[n-1].To {
			merged[n-1].To = max(merged[n-1].To, s.To)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// without returns what of s lies in none of the spans, in order.
func without(s Span, lists ...[]Span) []Span {
	var free []Span
	at := s.From
	for _, gone := range union(lists...) {
		if gone.To <= at {
			continue
		}
		if gone.From >= s.To {
			break
		}
		if gone.From > at {
			free = append(free, Span{at, gone.From})
		}
		at = gone.To
	}
	if at < s.To {
		free = append(free, Span{at, s.To})
	}
	return free
}

func overlaps(s Span, list []Span) bool {
	return slices.ContainsFunc(list, func(o Span) bool { return o.From < s.To && s.From < o.To })
}

// occasion is when, from a moment on, nothing had stood in the way for as long
// as it lasts, and once more for each single fault that could fall into it.
func occasion(from, lasts time.Duration, once []time.Duration, obstacles ...[]Span) time.Duration {
	for _, free := range without(Span{from, never}, obstacles...) {
		end := free.From + lasts
		for _, at := range waiting(from, once) {
			if at < end {
				end += lasts
			}
		}
		if end <= free.To {
			return end
		}
	}
	return never
}

// waiting returns the single faults that strike at or after from, in order, and
// the last before it, which may still have been lying in wait.
func waiting(from time.Duration, once []time.Duration) []time.Duration {
	list := slices.Sorted(slices.Values(once))
	i, _ := slices.BinarySearch(list, from)
	return list[max(0, i-1):]
}
