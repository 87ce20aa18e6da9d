package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
)

// keepVersions is how many versions stay on disk, beside any that is served.
const keepVersions = 5

func (j *job) issue(ctx context.Context) {
	asked := renew.Asked(j.cert, j.step)
	n, err := j.issuer.Issue(ctx, asked, j.facts.Held, j.step.Reason)
	var v renew.Version
	if err == nil {
		v, err = j.version(n)
	}
	j.record(func(n *renew.Journal) {
		if err != nil {
			j.refused(ctx, n, asked, err)
			return
		}
		n.Issuers, n.Advise = nil, renew.Trouble{} // a new leaf: nobody was asked about it
		n.Issued = issuances(n.Issued, []renew.Version{v})
	})
	if err == nil {
		j.log.Info("certificate issued", "version", v.N, "issuer", v.Issuer, "reason", j.step.Reason,
			"not_after", v.NotAfter, "took", j.took())
		if len(j.step.Without) > 0 {
			j.log.Error("issued without names that do not validate", "version", v.N, "left_out", j.step.Without)
		}
	}
}

// refused enters a failure to issue, which is that of the one issuer that was
// asked. The names that it is about stay known until a failure is about others:
// one of the network says nothing of them.
func (j *job) refused(ctx context.Context, n *renew.Journal, asked renew.Cert, err error) {
	var issuer renew.Issuer
	if len(asked.Issuers) > 0 {
		issuer = asked.Issuers[0]
	}
	t := n.Issuer(issuer)
	was := t.Names
	if j.failAs(ctx, n, &t, err); t.Count == n.Issuer(issuer).Count {
		return
	}
	if names := namesOf(err); len(names) > 0 {
		t.Names = slices.Concat(j.step.Without, names)
	} else {
		t.Names = was
	}
	t.Directory = issuer.Directory
	n.Issuers = with(n.Issuers, issuer.Name, t)
}

// enroll registers an account at an issuer that may be needed.
func (j *job) enroll(ctx context.Context) {
	err := j.issuer.Enroll(ctx, renew.Asked(j.cert, j.step))
	j.record(func(n *renew.Journal) {
		if err != nil {
			j.fail(ctx, n, err)
			return
		}
		n.Enroll = renew.Trouble{}
	})
}

// version reads back the version that was just committed.
func (j *job) version(n int) (renew.Version, error) {
	versions, err := j.parts.Store.Versions(j.cert.Name)
	if err != nil {
		return renew.Version{}, err
	}
	for _, v := range versions {
		if v.N == n && v.Usable() {
			return v, nil
		}
		if v.N == n {
			return v, &renew.Failure{Op: fmt.Sprintf("reading back version %d", n), Class: renew.Local, Err: errors.New(v.FaultDetail)}
		}
	}
	return renew.Version{}, &renew.Failure{Op: fmt.Sprintf("reading back version %d", n), Class: renew.Local, Err: errors.New("it is not there")}
}

// install switches the live link, then writes each output that differs. One
// that can't be written does not keep the others from being written.
func (j *job) install(ctx context.Context) {
	held := j.facts.Held
	var errs []error
	if j.facts.Live != held.N && !renew.LeftAlone(&j.cert, &j.facts, renew.AtLive) {
		// Power fails after this: key and certificate have switched together; the
		// outputs are found to differ at the next start and are written then.
		if err := j.parts.Store.Link(j.cert.Name, held.N); err != nil {
			errs = append(errs, fmt.Errorf("linking version %d: %w", held.N, err))
		}
	}
	b, err := j.parts.Store.Read(j.cert.Name, held.N)
	if err != nil {
		errs = append(errs, err)
	} else {
		for i, o := range j.cert.Outputs {
			if i < len(j.facts.Outputs) && j.facts.Outputs[i].InPlace || renew.LeftAlone(&j.cert, &j.facts, i) {
				continue
			}
			errs = append(errs, j.parts.Writer.Write(o, b))
		}
	}
	err = errors.Join(errs...)
	j.record(func(n *renew.Journal) {
		if err != nil {
			j.fail(ctx, n, &renew.Failure{Op: "installing", Class: renew.Local, Err: err})
			return
		}
		n.Install, n.Verify = renew.Trouble{}, renew.Trouble{}
		n.Placed, n.Left = n.Placed.Place(j.clock(), held.N), renew.LeftBy(&j.cert, &j.facts)
		for name, h := range n.Hooks { // another version: no hook has failed for it
			if h.Trouble.Count > 0 {
				h.Trouble = renew.Trouble{}
				n.Hooks = with(n.Hooks, name, h)
			}
		}
	})
	if err != nil {
		return
	}
	j.log.Info("installed", "version", held.N, "reason", j.step.Reason)
	if len(j.cert.Endpoints) == 0 && !j.cert.Auto {
		j.prune(nil) // no proof will come that could say what is still served
	}
}

// How long a proof waits for the new certificate to appear. nginx with 5,000
// server blocks takes 7 s to begin, and a busy machine longer: how long the server
// took to test its configuration tells how long it takes to load it. That is the
// affair of the endpoints that its hook is for. A look without a reload before it
// needs only patience for a hiccup.
const (
	reloadPatience  = 10 * time.Second
	testsWorth      = 5                // so many times what the test took, where that is more
	longestPatience = 40 * time.Second // within the deadline of the step
	idlePatience    = 2 * time.Second
	slackShare      = 4 // at most this part of the slack, for very short certificates
)

func (j *job) patience(e renew.Endpoint) time.Duration {
	p := idlePatience
	own := e.HooksOr(j.cert.Hooks)
	for name, r := range j.facts.Journal.Hooks {
		if r.Acknowledged != j.facts.Live || j.step.Reason == renew.ProofDue {
			continue
		}
		p = max(p, reloadPatience)
		if slices.Contains(own, name) {
			p = max(p, testsWorth*max(0, min(r.Tested, longestPatience/testsWorth))) // whatever the journal says
		}
	}
	return min(p, renew.Slack(&j.cert, &j.facts)/slackShare)
}

func (j *job) verify(ctx context.Context) {
	want := probe.WantOf(j.facts.Held)
	want.Closely = j.step.Reason != renew.ProofDue
	proofs := j.prove(ctx, want)
	if ctx.Err() != nil && errors.Is(context.Cause(ctx), context.Canceled) {
		return
	}
	now := j.clock()
	var missed error
	for i := range proofs {
		proofs[i].CheckedAt = now
		proofs[i] = renew.AsBefore(now, proofs[i], &j.cert, &j.facts)
		if p := proofs[i]; !p.Served && missed == nil {
			missed = fmt.Errorf("%s: %s", p.Where(), p.Error)
		}
	}
	j.older.count(proofs, j.log)
	before := renew.StageOf(&j.cert, &j.facts)
	j.record(func(n *renew.Journal) {
		n.Proofs = proofs
		if missed != nil {
			j.fail(ctx, n, &renew.Failure{Op: "proving version " + fmt.Sprint(j.facts.Live), Class: renew.Local, Err: missed})
			return
		}
		n.Verify = renew.Trouble{}
	})
	if missed != nil {
		return
	}
	if before != renew.Served && renew.StageOf(&j.cert, &j.facts) == renew.Served {
		j.logServed(now, proofs)
	}
	j.prune(proofs)
}

func (j *job) logServed(now time.Time, proofs []renew.Proof) {
	next, _ := renew.Renewal(now, &j.cert, &j.facts)
	log := j.log
	if n := mostOlder(proofs); n > 0 {
		log = log.With("older_connections", n)
	}
	log.Info("served", "version", j.facts.Live, "endpoints", len(proofs), "took", j.took(),
		"fingerprint", j.facts.Held.Fingerprint, "next", next.At, "next_reason", next.Reason)
}

// prune drops old versions, never one that an endpoint still answers with.
func (j *job) prune(proofs []renew.Proof) {
	versions, err := j.parts.Store.Versions(j.cert.Name)
	if err != nil || len(versions) <= keepVersions {
		return
	}
	spare := []int{j.facts.Live}
	for _, v := range versions {
		for _, p := range proofs {
			if v.Fingerprint != "" && p.Fingerprint == v.Fingerprint {
				spare = append(spare, v.N)
			}
		}
	}
	if err := j.parts.Store.Prune(j.cert.Name, keepVersions, spare...); err != nil {
		j.log.Warn("old versions not pruned", "err", err)
	}
}

func (j *job) advise(ctx context.Context) {
	a, err := j.issuer.Advise(ctx, j.cert, j.facts.Held)
	old := j.facts.Journal.Advice
	moved := false
	j.record(func(n *renew.Journal) {
		if err != nil {
			j.fail(ctx, n, err)
			return
		}
		n.Advise = renew.Trouble{}
		if a.Start.IsZero() && a.CertID == old.CertID {
			a.Start, a.End = old.Start, old.End // an answer without a window takes none back
		}
		same := a.CertID == old.CertID && a.Start.Equal(old.Start) && a.End.Equal(old.End)
		switch {
		case same:
			a.Chosen, a.DrawnAt = old.Chosen, old.DrawnAt // drawn once a window
		case !a.Start.IsZero():
			a.DrawnAt = a.FetchedAt
			a.Chosen = renew.Draw(j.facts.Held, a.Start, a.End, j.parts.Drive.Rand(j.cert.Name))
			moved = a.CertID == old.CertID && !old.Start.IsZero()
		}
		n.Advice = a
	})
	if err == nil && (moved || (a.Explanation != "" && a.Explanation != old.Explanation)) {
		j.log.Warn("the CA moved its renewal window", "start", a.Start, "end", a.End, "chosen", a.Chosen, "explanation", a.Explanation)
	}
}
