package sim

import "testing"

// BenchmarkYear is what a year of one certificate costs, of the standard mix.
func BenchmarkYear(b *testing.B) {
	m := Standard()
	years := 0.0
	for seed := uint64(1); years < float64(b.N); seed++ {
		for _, h := range m.Histories(seed, 100, 5*year) {
			years += Run(h, Options{}, nil).Years
			if years >= float64(b.N) {
				return
			}
		}
	}
}
