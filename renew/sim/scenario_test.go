package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// scenario is a history with exactly these faults, and nobody who answers alarms.
func scenario(life, length time.Duration, names int, faults ...Fault) History {
	byTime(faults)
	return History{Seed: 1, Length: length, Certs: []plan{{Life: life, Names: names}}, Faults: faults}
}

// lived runs a history and returns its result and when each line was told.
func lived(fate History) (Result, map[string][]time.Duration) {
	lines := map[string][]time.Duration{}
	r := Run(fate, Options{}, func(at time.Duration, text string) { lines[text] = append(lines[text], at) })
	return r, lines
}

// first returns when a line with the text was first told at or after from.
func first(lines map[string][]time.Duration, text string, from time.Duration) time.Duration {
	earliest := forever
	for line, all := range lines {
		for _, at := range all {
			if at >= from && strings.Contains(line, text) {
				earliest = min(earliest, at)
			}
		}
	}
	return earliest
}

// beforeWindow is a moment before the first that the CA suggests for a renewal.
func beforeWindow(life time.Duration) time.Duration { return plan{Life: life}.every() - life/50 }

func TestTheOnlyCAIsDeadForMostOfTheSlack(t *testing.T) {
	for _, tc := range []struct{ life, dead, longer time.Duration }{
		{90 * day, 20 * day, 31 * day}, {45 * day, 10 * day, 16 * day}, {160 * time.Hour, 60 * time.Hour, 81 * time.Hour},
	} {
		due := plan{Life: tc.life}.every()
		for u := range 2 { // refusing, and swallowing what it is sent
			f := Fault{Kind: CAOutage, From: beforeWindow(tc.life), To: due + tc.dead, U: float64(u) / 1.5}
			if r, _ := lived(scenario(tc.life, 2*tc.life, 1, f)); len(r.Harm)+len(r.Lapses) > 0 {
				t.Errorf("%s, dead for %s: %v %v", tc.life, tc.dead, r.Harm, r.Lapses)
			}
			f.To = due + tc.longer
			if r, _ := lived(scenario(tc.life, 2*tc.life, 1, f)); len(r.Lapses) == 0 {
				t.Errorf("%s: nothing lapses although the CA was dead for %s: this test can't fail", tc.life, tc.longer)
			}
		}
	}
}

func TestACAThatIsDeadForGoodIsLeftBeforeHalfOfTheSlack(t *testing.T) {
	for _, life := range []time.Duration{90 * day, 45 * day, 160 * time.Hour} {
		due := plan{Life: life}.every()
		fate := scenario(life, 2*life, 1, Fault{Kind: CADeath, From: beforeWindow(life), To: forever})
		fate.Fallback = true
		r, lines := lived(fate)
		half := due + (life-due)/2
		if at := first(lines, "c0: ca1 issues", 0); at > half || len(r.Harm)+len(r.Lapses) > 0 {
			t.Errorf("%s: the other CA issues at %s, half of the slack is gone at %s; %v %v", life, stamp(at), stamp(half), r.Harm, r.Lapses)
		}
	}
}

func TestOneDeadNameOfAHundred(t *testing.T) {
	for _, life := range []time.Duration{90 * day, 160 * time.Hour} {
		due := plan{Life: life}.every()
		r, lines := lived(scenario(life, 2*life, 100, Fault{Kind: NameGone, From: due / 2, To: forever}))
		if len(r.Harm)+len(r.Lapses) > 0 {
			t.Errorf("%s: %v %v", life, r.Harm, r.Lapses)
		}
		alarm := first(lines, "health is attention", due/2)
		if alarm > due+day {
			t.Errorf("%s: alarm at %s, due at %s", life, stamp(alarm), stamp(due))
		}
		if at := first(lines, "(rescue)", 0); at == forever {
			t.Errorf("%s: the others were not rescued", life)
		}
	}
}

// TestAThousandRestarts: whatever a restart loop does, the CA sees one order.
func TestAThousandRestarts(t *testing.T) {
	var faults []Fault
	for i := range 1000 {
		at := time.Duration(i) * 20 * time.Second
		faults = append(faults, Fault{Kind: Upgrade, From: at, To: at})
	}
	r, _ := lived(scenario(90*day, day, 3, faults...))
	if r.Orders != 1 || r.Starts < 1000 {
		t.Errorf("%d orders in %d starts", r.Orders, r.Starts)
	}
}

// TestMassRevocation: half of 1,000 certificates are to be replaced at once.
// Those are, within a poll and an hour, and no other is.
func TestMassRevocation(t *testing.T) {
	const at, certs = 30*day + 17*time.Minute, 10
	called, replaced, late, spared := 0, 0, 0, 0
	for host := range 100 {
		fate := scenario(90*day, 40*day, 1, Fault{Kind: ARIMass, From: at, To: at + day, X: 0.5})
		for range certs - 1 {
			fate.Certs = append(fate.Certs, fate.Certs[0])
		}
		fate.Host = host
		_, lines := lived(fate)
		for c := range certs {
			affected := first(lines, fmt.Sprintf("c%d: its certificate", c), 0) != forever
			issued := first(lines, fmt.Sprintf("c%d: ca0 issues", c), day)
			switch {
			case affected && issued <= at+7*time.Hour:
				replaced++
			case affected:
				late++
			case issued == forever:
				spared++
			}
			if affected {
				called++
			}
		}
	}
	if called < 400 || called > 600 || replaced != called || late > 0 || spared != 100*certs-called {
		t.Errorf("%d called back: %d replaced in time, %d late; %d of the others left alone", called, replaced, late, spared)
	}
}

// TestACAThatAsksForTimeIsNotAsked, where this host can know: an agent that can
// write nothing forgets when it is ended, and a clock that jumps takes all times
// with it.
func TestACAThatAsksForTimeIsNotAsked(t *testing.T) {
	const life = 160 * time.Hour
	due := plan{Life: life}.every()
	busy := Fault{Kind: CABusy, From: beforeWindow(life), To: due + 5*time.Hour}
	for name, others := range map[string][]Fault{
		"":             nil,
		"clock jumps":  {{Kind: ClockJump, From: due + 2*time.Hour, To: due + 3*time.Hour, U: 0.9}},
		"full disk":    {{Kind: DiskFull, From: beforeWindow(life), To: due + 4*time.Hour}},
		"and a reboot": {{Kind: DiskFull, From: beforeWindow(life), To: due + 4*time.Hour}, {Kind: Reboot, From: due + 2*time.Hour, To: due + 2*time.Hour + time.Minute}},
	} {
		fate := scenario(life, life, 1, append(others, busy)...)
		r := Run(fate, Options{}, nil)
		if len(r.Impolite) > 0 {
			t.Errorf("%s: %v", name, r.Impolite)
		}
		if r.Issued == 0 {
			t.Errorf("%s: nothing is issued: this test can't fail", name)
		}
		if r := Run(fate, Options{Planted: &Planted{Facts: noHold, Flaw: impatient}}, nil); len(r.Impolite) == 0 {
			t.Errorf("%s: an agent that does not wait is polite", name)
		}
	}
}

// TestNothingIsDoneWithoutAWait: a server that refuses a new version while the disk
// takes no note of that.
func TestNothingIsDoneWithoutAWait(t *testing.T) {
	const life = 90 * day
	bad := Fault{Kind: BadConfig, From: beforeWindow(life), To: beforeWindow(life) + 5*day}
	_, lines := lived(scenario(life, life, 1, bad))
	issued := first(lines, "c0: ca0 issues", bad.From)
	full := Fault{Kind: DiskFull, From: issued + 5*time.Minute, To: issued + 6*time.Hour}
	if r := Run(scenario(life, life, 1, bad, full), Options{}, nil); len(r.Spins) > 0 {
		t.Error(r.Spins)
	}
	again := func(_ time.Time, _ *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
		if s.Do == renew.Wait || s.Do == renew.Verify {
			s.Do, s.Reason, s.At = renew.Verify, renew.ProofDue, time.Time{}
		}
		return s
	}
	if r := Run(scenario(life, day, 1), Options{Planted: &Planted{Step: again}}, nil); len(r.Spins) == 0 {
		t.Error("proofs without a pause are no spin")
	}
}
