package sim

import (
	"slices"
	"time"
)

// Shrink returns the shortest history that it finds in which what fails still
// fails: cut off after it, with fewer certificates and fewer faults. It tries so
// many histories at most.
func Shrink(fate History, opts Options, fails func(Result) (end time.Duration, failed bool), tries int) History {
	s := shrinking{opts: opts, fails: fails, tries: tries, best: fate}
	if !s.still(fate) {
		return fate
	}
	s.shorten()
	for i := range fate.Certs {
		less := s.best
		less.Certs = slices.Clone(less.Certs)
		less.Certs[i].Gone = true
		s.still(less)
	}
	for size := max(1, len(s.best.Faults)/2); size > 0; size /= 2 {
		for at := 0; at < len(s.best.Faults); {
			less := s.best
			less.Faults = slices.Delete(slices.Clone(less.Faults), at, min(at+size, len(less.Faults)))
			if !s.still(less) {
				at += size
			}
		}
		s.shorten()
	}
	return s.best
}

type shrinking struct {
	opts  Options
	fails func(Result) (time.Duration, bool)
	tries int
	best  History
	end   time.Duration
}

// still tells whether a history still fails, and keeps it if it does.
func (s *shrinking) still(h History) bool {
	if s.tries--; s.tries < 0 {
		return false
	}
	end, failed := s.fails(Run(h, s.opts, nil))
	if failed {
		s.best, s.end = h, end
	}
	return failed
}

// shorten cuts the history off where it has failed.
func (s *shrinking) shorten() {
	less := s.best
	less.Length = min(less.Length, s.end+time.Hour)
	less.Faults = slices.DeleteFunc(slices.Clone(less.Faults), func(f Fault) bool { return f.From > less.Length })
	s.still(less)
}

// Harmed is what fails where a lapse was preventable, or a CA was not left in
// peace.
func Harmed(r Result) (time.Duration, bool) {
	for _, list := range [][]Finding{r.Harm, r.Unheard} {
		if len(list) > 0 {
			return min(list[0].To, max(list[0].From, list[0].Possible)+time.Hour), true
		}
	}
	return 0, false
}
