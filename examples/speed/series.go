package main

import (
	"math"
	"slices"
	"time"
)

// series is a measured time, once a round.
type series []time.Duration

// at is the value that so many of a hundred do not exceed (nearest rank): of
// fewer than a hundred the 99th is the longest.
func (s series) at(percent int) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[int(math.Ceil(float64(len(sorted)*percent)/100))-1]
}

// over is by how much s exceeds t, at the same place of both.
func (s series) over(t series, percent int) time.Duration { return s.at(percent) - t.at(percent) }

// ms is d as the tables have it.
func ms(d time.Duration) int64 { return d.Round(time.Millisecond).Milliseconds() }
