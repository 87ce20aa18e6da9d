package sim

import (
	"maps"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Mutants are deliberate faults in the policy. A simulator that does not find
// each of them would not find one that nobody planted.
func Mutants() []*Planted {
	return []*Planted{
		{Name: "backstop removed", Step: onlyAdvised},
		{Name: "ARI may postpone past the backstop", Facts: lateAdvice, Step: whenAdvised},
		{Name: "backoff never ends", Facts: waitForEver},
		{Name: "failure class is terminal", Step: givesUp},
		{Name: "failover off", Facts: oneIssuer},
		{Name: "rescue off", Facts: func(_ time.Time, c *renew.Cert, _ *renew.Facts) { c.Rescue = false }},
		{Name: "hook forgotten after its first failure", Facts: hooksAcknowledged},
		{Name: "reload's exit code is proof enough", Proofs: believed},
		{Name: "proofs never made again", Step: provesOnce},
		{Name: "brake off", Facts: neverIssued, Step: again},
		{Name: "Retry-After ignored", Facts: noHold, Flaw: impatient},
		{Name: "the CA's clock is not asked", Flaw: clockTrusted},
		{Name: "what the CA issued is not checked", Flaw: lieAccepted},
		{Name: "order in flight not gone on with", Flaw: orderForgotten},
		{Name: "broken files are not mended", Step: blind},
		{Name: "an expired pair is never put in place of a broken one", Step: keepsBroken},
		{Name: "health is always ok", Mute: true},
	}
}

func putOff(s renew.Step, at time.Time) renew.Step {
	if s.Do == renew.Issue && at.After(s.At) {
		return renew.Step{Do: renew.Wait, At: at, Reason: renew.NothingToDo}
	}
	return s
}

// onlyAdvised renews when the CA says so, and else when it has expired.
func onlyAdvised(_ time.Time, _ *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
	if s.Reason != renew.Lifetime {
		return s
	}
	return putOff(s, f.Held.NotAfter)
}

// lateAdvice: every window of the CA's is drawn a third of a lifetime later.
func lateAdvice(_ time.Time, _ *renew.Cert, f *renew.Facts) {
	if a := &f.Journal.Advice; !a.Chosen.IsZero() && a.Chosen.After(f.Held.NotBefore) {
		a.Chosen = a.Chosen.Add(f.Held.Lifetime() * 2 / 3)
	}
}

func whenAdvised(_ time.Time, _ *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
	if s.Reason != renew.Lifetime || f.Journal.Advice.CertID != f.Held.CertID {
		return s
	}
	return putOff(s, f.Journal.Advice.Chosen)
}

func waitForEver(now time.Time, _ *renew.Cert, f *renew.Facts) {
	changeIssuers(f, func(t renew.Trouble) renew.Trouble {
		if t.Count >= 4 {
			t.RetryAt = now.Add(365 * day)
		}
		return t
	})
}

// changeIssuers changes the failures to issue; the journal's own map stays as it
// is.
func changeIssuers(f *renew.Facts, change func(renew.Trouble) renew.Trouble) {
	all := maps.Clone(f.Journal.Issuers)
	for label, t := range all {
		all[label] = change(t)
	}
	f.Journal.Issuers = all
}

// givesUp: what the CA refused is never asked for again.
func givesUp(now time.Time, _ *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
	for _, t := range f.Journal.Issuers {
		if t.Class == renew.Refused {
			return putOff(s, now.Add(365*day))
		}
	}
	return s
}

func oneIssuer(_ time.Time, c *renew.Cert, f *renew.Facts) {
	c.Issuers = c.Issuers[:1]
	f.Standings = f.Standings[:min(1, len(f.Standings))]
}

func hooksAcknowledged(_ time.Time, _ *renew.Cert, f *renew.Facts) {
	all := maps.Clone(f.Journal.Hooks)
	for name, h := range all {
		if h.Trouble.Count > 0 {
			h.Acknowledged, h.Saw, h.Trouble = f.Live, f.Seen, renew.Trouble{}
			all[name] = h
		}
	}
	f.Journal.Hooks = all
	proofs := append([]renew.Proof(nil), f.Journal.Proofs...)
	for i := range proofs {
		proofs[i].Served = true
	}
	f.Journal.Proofs = proofs
}

func believed(list []renew.Proof) {
	for i := range list {
		list[i].Served, list[i].Unverifiable, list[i].Error = true, false, ""
	}
}

func provesOnce(now time.Time, _ *renew.Cert, _ *renew.Facts, s renew.Step) renew.Step {
	if s.Do == renew.Verify && s.Reason != renew.NotProved || s.Do == renew.Deploy && s.Reason == renew.NotServed {
		return renew.Step{Do: renew.Wait, At: now.Add(30 * day), Reason: renew.NothingToDo}
	}
	return s
}

func neverIssued(_ time.Time, _ *renew.Cert, f *renew.Facts) { f.Journal.Issued = nil }

// again issues once more every hour while the deployment fails.
func again(now time.Time, c *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
	if s.Do == renew.Deploy && f.Journal.Hooks["server"].Trouble.Count > 0 && now.Sub(f.Held.IssuedAt) > time.Hour && len(f.Journal.Issuers) == 0 {
		return renew.Step{Do: renew.Issue, At: now, Reason: renew.Missing, Issuer: c.Issuers[len(c.Issuers)-1].Name}
	}
	return s
}

func noHold(_ time.Time, _ *renew.Cert, f *renew.Facts) {
	standings := append([]renew.Standing(nil), f.Standings...)
	for i := range standings {
		standings[i].HoldUntil = time.Time{}
	}
	f.Standings = standings
	changeIssuers(f, func(t renew.Trouble) renew.Trouble {
		if t.Class == renew.Limited {
			t.RetryAt = t.Last.Add(time.Minute)
		}
		return t
	})
}

// blind does nothing about broken versions.
func blind(now time.Time, _ *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
	if f.Newest.Fault != "" && now.Before(f.Newest.NotAfter) {
		return renew.Step{Do: renew.Wait, At: now.Add(day), Reason: renew.NothingToDo}
	}
	return s
}

// keepsBroken waits with a whole pair until what a server may have loaded has ended.
func keepsBroken(now time.Time, _ *renew.Cert, f *renew.Facts, s renew.Step) renew.Step {
	loaded := func(i renew.Issuance) bool { return now.Before(i.NotAfter) }
	if s.Do == renew.Install && f.Live != 0 && f.Live != f.Held.N && !now.Before(f.Held.NotAfter) && slices.ContainsFunc(f.Journal.Issued, loaded) {
		return renew.Step{Do: renew.Wait, At: now.Add(time.Hour), Reason: renew.NothingToDo}
	}
	return s
}
