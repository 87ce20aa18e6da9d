package renew

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Level is how much a human has to care.
type Level string

// The levels, mildest first.
const (
	OK        Level = "ok"
	Attention Level = "attention" // a human should look; nothing is lost yet
	Critical  Level = "critical"  // half of the slack is gone, or clients see a bad certificate
)

func (l Level) rank() int {
	return slices.Index([]Level{OK, Attention, Critical}, l)
}

// Worse returns the worse of two levels.
func (l Level) Worse(than Level) Level {
	if than.rank() > l.rank() {
		return than
	}
	return l
}

// Finding is one thing that Health noticed.
type Finding struct {
	Level  Level  `json:"level"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"`
}

// Verdict is how a certificate is: the worst level, and all that was found, the
// worst first.
type Verdict struct {
	Level    Level
	Findings []Finding
}

// Reason returns the reason of the worst finding, empty where all is well.
func (v Verdict) Reason() Reason {
	if v.Level == OK || len(v.Findings) == 0 {
		return ""
	}
	return v.Findings[0].Reason
}

// The parts of the slack that may be gone before a human hears of it.
const (
	attentionGone  = 0.25
	criticalGone   = 0.50
	patientTries   = 3 // failures to issue that pass without a word while there is slack; and of hooks that ask to be run again
	expiringLately = 0.5
)

// Alarms returns which part of the slack is left when Health first calls for
// attention over a renewal that does not come, and when it calls it critical.
func Alarms() (attention, critical float64) { return 1 - attentionGone, 1 - criticalGone }

// concerns are what Health looks at.
var concerns = [...]func(now time.Time, c *Cert, f *Facts) []Finding{
	pairHealth, issueHealth, deployHealth, rollbackHealth, proofHealth, foundHealth, foreignHealth, revokedHealth, preflightHealth,
}

// Health judges c. Like Decide it is pure and total.
func Health(now time.Time, c *Cert, f *Facts) Verdict {
	var found []Finding
	for _, look := range concerns {
		found = append(found, look(now, c, f)...)
	}
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Compare(b.Level.rank(), a.Level.rank()) })
	v := Verdict{Level: OK, Findings: found}
	if len(found) > 0 {
		v.Level = found[0].Level
	}
	return v
}

func pairHealth(now time.Time, c *Cert, f *Facts) []Finding {
	held := &f.Held
	switch {
	case held.N == 0:
		reason, level := Missing, Attention
		if f.Newest.N > 0 {
			reason, level = f.Newest.Fault, Critical
		}
		if WorstIssuer(c, &f.Journal).Count > 0 {
			level = Critical
		}
		detail := f.Newest.FaultDetail
		if reason == Missing {
			detail = "no certificate has been issued yet"
		}
		return []Finding{{level, reason, detail}}
	case !now.Before(held.NotAfter):
		return []Finding{{Critical, Expired, "expired " + held.NotAfter.UTC().Format(time.RFC3339)}}
	case now.Before(held.NotBefore):
		return []Finding{{Attention, NotYetValid, "valid from " + held.NotBefore.UTC().Format(time.RFC3339) + "; is the clock right?"}}
	}
	var found []Finding
	if f.Newest.N > held.N && f.Newest.Fault != "" {
		found = append(found, Finding{Attention, f.Newest.Fault, fmt.Sprintf("version %d: %s; version %d stands in for it", f.Newest.N, f.Newest.FaultDetail, held.N)})
	}
	if held.Untrusted {
		found = append(found, Finding{Attention, UntrustedRoot, "its root is neither among the system's nor in the issuer's trust_roots"})
	}
	return found
}

// issueHealth: a renewal that is due and does not come.
func issueHealth(now time.Time, c *Cert, f *Facts) []Finding {
	t := WorstIssuer(c, &f.Journal)
	var found []Finding
	if f.Held.valid(now) {
		at := scheduled(c, f).At
		gone := float64(now.Sub(at)) / float64(max(1, f.Held.End().Sub(at)))
		left := f.Held.End().Sub(now).Round(time.Second)
		switch {
		case gone >= criticalGone:
			found = append(found, Finding{Critical, Overdue, fmt.Sprintf("due since %s, %s left", at.UTC().Format(time.RFC3339), left)})
		case gone >= attentionGone:
			found = append(found, Finding{Attention, Overdue, fmt.Sprintf("due since %s, %s left", at.UTC().Format(time.RFC3339), left)})
		}
	}
	if t.Count > 0 && (t.Count >= patientTries || t.Class == Refused || t.Class == Config || t.Class == Bug || len(found) > 0 || !f.Held.valid(now)) {
		found = append(found, Finding{Attention, IssueFailing, t.Message})
	}
	if s, ok := brakedNow(now, c, f); ok {
		found = append(found, Finding{Attention, Braked, "too many certificates for these names lately; next at " + s.At.UTC().Format(time.RFC3339) + ", or certvigil renew --force"})
	}
	if names := LeftOut(c, f.Held); len(names) > 0 {
		found = append(found, Finding{Critical, NameLeftOut, "issued without " + strings.Join(names, ", ") + ", which did not validate, so that the other names do not lapse"})
	}
	if f.Earliest.After(now) {
		found = append(found, Finding{Attention, ClockBehind, "the clock says " + now.UTC().Format(time.RFC3339) + ", which is before " + f.Earliest.UTC().Format(time.RFC3339) + ": nothing is issued until it is right"})
	}
	return append(found, issuersHealth(c, f)...)
}

// brakedNow returns the renewal that is due, where the brake holds it.
func brakedNow(now time.Time, c *Cert, f *Facts) (Step, bool) {
	if !braked(c, f, now).After(now) || due(now, c, f).At.After(now) {
		return Step{}, false
	}
	s, ok := issueRule(now, c, f)
	return s, ok && s.Reason == Braked
}

// issuersHealth: which CA it came from, and what that CA says.
func issuersHealth(c *Cert, f *Facts) []Finding {
	var found []Finding
	if t := f.Journal.Enroll; t.Count >= patientTries {
		found = append(found, Finding{Attention, FallbackUnready, t.Message})
	}
	if len(c.Issuers) > 1 && f.Held.N > 0 && f.Held.Directory != "" && f.Held.Directory != c.Issuers[0].Directory {
		found = append(found, Finding{OK, FailedOver, "issued by " + f.Held.Issuer + "; " + c.Issuers[0].Name + " is asked first again at the next renewal"})
	}
	if a := f.Journal.Advice; a.Explanation != "" && a.CertID == f.Held.CertID {
		found = append(found, Finding{OK, ARIWindow, "the CA explains its renewal window: " + a.Explanation})
	}
	return found
}

// WorstIssuer is the run of failures to issue that has lasted longest; the zero
// Trouble where no issuer fails.
func WorstIssuer(c *Cert, j *Journal) Trouble {
	var worst Trouble
	for _, i := range c.Issuers {
		if t := j.Issuer(i); t.Count > 0 && (worst.Count == 0 || t.Since.Before(worst.Since)) {
			worst = t
		}
	}
	return worst
}

func deployHealth(now time.Time, c *Cert, f *Facts) []Finding {
	var found []Finding
	if t := f.Journal.Install; t.Count > 0 {
		found = append(found, Finding{Attention, InstallFailing, t.Message})
	}
	if p := f.Journal.Placed; p.Version == f.Held.N && p.Again >= placedAlarm && now.Sub(p.At) < placedWindow {
		found = append(found, Finding{Attention, Drift, fmt.Sprintf("put in place again %d times: who else writes there?", p.Again)})
	}
	if f.Unwritten != "" {
		found = append(found, Finding{Attention, StateUnwritable, f.Unwritten})
	}
	for _, h := range c.Hooks {
		// One that asks to be run again soon is busy, and not failing yet.
		if t := f.Journal.Hooks[h].Trouble; t.Count > 0 && (t.Class != Transient || t.Count >= patientTries) {
			found = append(found, Finding{Attention, HookFailing, h + ": " + t.Message})
		}
	}
	for _, w := range HookWaits(now, c, f) {
		found = append(found, Finding{OK, WindowShut, fmt.Sprintf("hook %s waits for its window %q, which opens %s", w.Hook, w.Window, w.Until.UTC().Format(time.RFC3339))})
	}
	return found
}

// proofHealth: what clients get is not what they should.
func proofHealth(now time.Time, c *Cert, f *Facts) []Finding {
	var found []Finding
	for p := range LiveProofs(c, f) {
		if p.Untrusted != "" {
			found = append(found, Finding{Attention, UntrustedRoot, p.Where() + ": " + p.Untrusted})
		}
		if p.Served || p.CheckedAt.IsZero() {
			continue
		}
		where := p.Where() + ": " + p.Error
		if p.Unverifiable {
			found = append(found, Finding{Attention, Unverifiable, where})
			continue
		}
		level, reason := Attention, NotServed
		margin := time.Duration(expiringLately * float64(Slack(c, f)))
		if !p.NotAfter.IsZero() && p.NotAfter.Sub(now) < margin {
			level, reason = Critical, ServedExpiring
		}
		found = append(found, Finding{level, reason, where})
	}
	if len(c.Endpoints) == 0 && !c.Auto && f.Held.N > 0 {
		found = append(found, Finding{OK, NobodyProves, "no endpoint is configured: nobody proves what is served"})
	}
	return found
}
