package agent

import (
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// TestAWindowIsKeptUntilTheCAMovesIt: it is drawn from once, known since when,
// and an answer that makes no sense takes nothing back.
func TestAWindowIsKeptUntilTheCAMovesIt(t *testing.T) {
	h := newHost(90 * day)
	begun := time.Time{}
	h.advise = func(a *renew.Advice) {
		if begun.IsZero() {
			begun = a.FetchedAt
		}
		switch since := a.FetchedAt.Sub(begun); {
		case since > 3*day && since < 4*day: // nothing that can be read
		case since > 10*day && a.CertID == "www-1":
			a.Start, a.End = begun.Add(5*day), begun.Add(6*day)
		default:
			a.Start, a.End = begun.Add(50*day), begun.Add(55*day)
		}
	}
	advice := func() renew.Advice {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.journals["www"].Advice
	}
	during(t, h, []string{"www"}, func(*Agent) {
		time.Sleep(day)
		first := advice()
		if first.Chosen.IsZero() || !first.DrawnAt.Equal(begun) {
			t.Fatalf("%+v", first)
		}
		for range 9 {
			time.Sleep(day)
			if a := advice(); !a.Chosen.Equal(first.Chosen) || !a.DrawnAt.Equal(begun) || !a.End.Equal(first.End) {
				t.Fatalf("after %s: %+v, was %+v", time.Since(begun), a, first)
			}
		}
		time.Sleep(day)
		if issued, _ := h.count("www"); issued != 2 {
			t.Errorf("%d certificates after a window moved into the past, want 2", issued)
		}
	})
}
