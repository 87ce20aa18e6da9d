package agent

import (
	"context"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/crl"
	"github.com/certvigil/certvigil/renew/keypair"
)

// lookUp looks for what is held in its CA's revocation list. That it can't be
// told is noted, and said only once it has lasted for days.
func (j *job) lookUp(ctx context.Context) {
	a, err := j.revocation(ctx)
	now, held := j.clock(), j.facts.Held
	wait := renew.NextLookUp(now, held, a.NextUpdate)
	j.record(func(n *renew.Journal) {
		if err != nil {
			j.fail(ctx, n, err)
			return
		}
		// Hosts that were set up together do not ask together.
		next := now.Add(wait - time.Duration(j.parts.Drive.Rand(j.cert.Name)*float64(wait)/lookUpSpread))
		n.LookUp = renew.Trouble{}
		n.Revocation = renew.Revocation{Fingerprint: held.Fingerprint, ListedAt: a.ThisUpdate, NextAt: next}
		if !a.ThisUpdate.IsZero() {
			n.Revocation.CheckedAt = now
		}
		if a.Revoked {
			n.Revoked = renew.Revoked{Fingerprint: held.Fingerprint, At: a.At, Reason: a.Reason, SeenAt: now}
		}
	})
	if err == nil && a.Revoked {
		j.log.Error("certificate revoked by its CA", "version", held.N, "serial", held.Serial, "at", a.At, "crl_reason", a.Reason)
	}
}

// lookUpSpread is the part of a wait by which looks are spread.
const lookUpSpread = 10

func (j *job) revocation(ctx context.Context) (crl.Answer, error) {
	if j.parts.Lists == nil {
		return crl.Answer{}, nil
	}
	b, err := j.parts.Store.Read(j.cert.Name, j.facts.Held.N)
	if err != nil {
		return crl.Answer{}, err
	}
	r, err := keypair.RevocableOf(b.Fullchain())
	if err != nil {
		return crl.Answer{}, err
	}
	return j.parts.Lists.Look(ctx, j.clock(), crl.Query{
		URL: r.URL, Issuer: r.Issuer, Serial: r.Serial, MaxAge: renew.NextLookUp(j.clock(), j.facts.Held, time.Time{}) / 2,
	})
}
