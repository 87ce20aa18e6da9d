package agent

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// gatherForeign looks at every place where ours should be and is not, for a pair
// that someone else put there after we did. What was there before certvigil was
// is nobody's answer to it.
func gatherForeign(now time.Time, st Store, cfg *config.Config, c renew.Cert, versions []renew.Version, f *renew.Facts) {
	placed := f.Journal.Placed
	if c.OnChange == renew.Restoring || placed.Version == 0 {
		return
	}
	var ours []store.Bundle
	for _, place := range suspects(c, versions, *f) {
		if ours == nil {
			ours = bundles(st, c.Name, versions)
		}
		path, found, err := find(st, c, place, ours)
		since := found.ChangedAt.After(placed.At.Add(-coarse))
		if found.Ours || !since && len(f.Journal.Left) == 0 {
			continue
		}
		x := renew.Foreign{Place: place, Path: path, ChangedAt: found.ChangedAt}
		if err == nil {
			_, x.Fingerprint, x.NotAfter, err = judge(now, st, cfg, c, f.Held, found)
		}
		if !since && !slices.Contains(f.Journal.Left, x.Fingerprint) {
			continue
		}
		if err != nil {
			x.Fault = err.Error()
		}
		f.Foreign = append(f.Foreign, x)
	}
}

// coarse is more than the clock of a file system is behind that of the process:
// it ticks 100 times a second at least.
const coarse = 20 * time.Millisecond

// suspects lists the places that do not hold what they should: the live link
// where it leads to no whole version, and outputs with another content.
func suspects(c renew.Cert, versions []renew.Version, f renew.Facts) []int {
	var places []int
	whole := slices.ContainsFunc(versions, func(v renew.Version) bool { return v.N == f.Live && v.Usable() })
	if !whole {
		places = append(places, renew.AtLive)
	}
	for i := range c.Outputs {
		// Without a pair of ours there is nothing that the output was compared with.
		if i >= len(f.Outputs) || f.Outputs[i].Reason == renew.InstallPending {
			places = append(places, i)
		}
	}
	return places
}

func bundles(st Store, name string, versions []renew.Version) []store.Bundle {
	all := []store.Bundle{}
	for _, v := range versions {
		if b, err := st.Read(name, v.N); err == nil { // one that can't be used has no parts
			all = append(all, b)
		}
	}
	return all
}

func find(st Store, c renew.Cert, place int, ours []store.Bundle) (path string, found install.Found, err error) {
	if place == renew.AtLive {
		dir := st.LiveDir(c.Name)
		found, err = install.FindLive(dir, ours)
		return dir, found, err
	}
	o := c.Outputs[place]
	if paths := o.Paths(); len(paths) > 0 {
		path = paths[0]
	}
	found, err = install.Find(o, ours)
	return path, found, err
}

// judge tells whether what was found is good, and makes a bundle of it. An
// output without a key is taken to be for the key that is held.
func judge(now time.Time, st Store, cfg *config.Config, c renew.Cert, held renew.Version, found install.Found) (b store.Bundle, fingerprint string, end time.Time, err error) {
	if found.Key == nil && held.N > 0 {
		if old, err := st.Read(c.Name, held.N); err == nil {
			found.Key = old.Key
		}
	}
	got, pair, err := keypair.Foreign(found.Key, found.Fullchain, keypair.Want{Names: c.Names, Now: now, Roots: roots(cfg, c)})
	if err != nil {
		return b, pair.Fingerprint, pair.NotAfter, err
	}
	signer, err := keypair.DecodeKey(found.Key)
	if err == nil {
		b.Key, err = keypair.EncodeKey(signer)
	}
	b.Cert, b.Chain = got.Cert, got.Chain
	b.Meta = store.Meta{Reason: renew.ForeignChange, IssuedAt: now.UTC(), Foreign: true, Fingerprint: got.Pair.Fingerprint}
	v := got.Pair.Fill(renew.Version{})
	return b, pair.Fingerprint, v.End(), err
}

// roots are those that the certificate's issuers are trusted by, beside the
// system's.
func roots(cfg *config.Config, c renew.Cert) *x509.CertPool {
	pool := x509.NewCertPool()
	for _, i := range c.Issuers {
		pool.AppendCertsFromPEM(cfg.Issuers[i.Name].TrustRoots)
	}
	return pool
}

// noticed dates what was found by when it was first seen: by the look before,
// where it was there already. A restart forgets that, and costs a few seconds.
func noticed(now time.Time, before, found []renew.Foreign) []renew.Foreign {
	for i := range found {
		found[i].Since = now
		for _, b := range before {
			if b.Place == found[i].Place && !b.Since.IsZero() && !b.Since.After(now) {
				found[i].Since = b.Since
			}
		}
	}
	return found
}

// adopt takes over the pair that the lap found, read and judged once more.
func (j *job) adopt(ctx context.Context) {
	x, ok := renew.Adoptable(&j.cert, &j.facts)
	if !ok {
		return
	}
	n, err := j.takeOver(x)
	j.record(func(journal *renew.Journal) {
		if err != nil {
			j.fail(ctx, journal, &renew.Failure{Op: "adopting the certificate at " + x.Path, Class: renew.Local, Err: err})
			return
		}
		journal.Adopt, journal.Adopted = renew.Trouble{}, journal.Adopted.Adopts(j.clock())
	})
	if err == nil {
		j.log.Warn("certificate of someone else adopted", "version", n, "path", x.Path, "fingerprint", x.Fingerprint, "not_after", x.NotAfter)
	}
}

// takeOver keeps the pair as a version. Power fails before the commit: it is
// found and judged again; after it: it is one of ours, and is put in place.
func (j *job) takeOver(x renew.Foreign) (int, error) {
	versions, err := j.parts.Store.Versions(j.cert.Name)
	if err != nil {
		return 0, err
	}
	_, found, err := find(j.parts.Store, j.cert, x.Place, bundles(j.parts.Store, j.cert.Name, versions))
	if err != nil {
		return 0, err
	}
	b, fingerprint, _, err := judge(j.clock(), j.parts.Store, j.config, j.cert, j.facts.Held, found)
	if err != nil {
		return 0, err
	}
	if fingerprint != x.Fingerprint {
		return 0, errors.New("it was exchanged since it was judged")
	}
	n, err := j.parts.Store.Commit(j.cert.Name, b)
	if err != nil {
		return 0, fmt.Errorf("keeping it: %w", err)
	}
	return n, nil
}
