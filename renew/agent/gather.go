package agent

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/store"
)

// gathering is one look's reading of facts. A journal that the disk would not
// take, an operator's request that waits, and what a preflight found are written
// first: until they can be, they are kept in hand, so that a full disk makes no
// one forget a backoff.
type gathering struct {
	store   Store
	drive   Drive
	config  *config.Config
	cert    renew.Cert
	built   time.Time
	request *renew.Request
	unsaved *renew.Journal  // what is in hand; nil once it is written
	foreign []renew.Foreign // what the look before saw

	checkup  *checkup // what a preflight has just found
	checking bool     // another is under way
}

func (g *gathering) facts(now time.Time) (renew.Facts, error) {
	f, err := Gather(now, g.store, g.config, g.cert)
	f.Foreign = noticed(now, g.foreign, f.Foreign)
	if g.built.After(f.Earliest) {
		f.Earliest = g.built
	}
	f.Checking = g.checking
	if err != nil || g.request == nil && g.unsaved == nil && g.checkup == nil {
		// What could not be read is no journal: what is in hand stays there, until
		// there is one that it can be added to.
		return f, err
	}
	j := f.Journal
	if g.unsaved != nil {
		j = *g.unsaved
	}
	if g.request != nil {
		j.Request = *g.request
	}
	if c := g.checkup; c != nil {
		j.Preflight = j.Preflight.Next(c.began, c.cert, c.found)
	}
	g.unsaved = &j
	f.Journal = j
	f = renew.Believable(now, f)
	// Power fails before this: the step is decided again from the artefacts, and
	// the operator sees that nothing happened and asks again.
	if err := g.store.Record(g.cert.Name, j); err != nil {
		f.Unwritten = err.Error()
		return f, nil
	}
	g.unsaved = nil
	return f, nil
}

// Gather reads the facts of c from st: parsed files and the journal. Nothing
// that was known before counts.
func Gather(now time.Time, st Store, cfg *config.Config, c renew.Cert) (renew.Facts, error) {
	var f renew.Facts
	versions, err := st.Versions(c.Name)
	if err != nil {
		return f, fmt.Errorf("reading the versions of %s: %w", c.Name, err)
	}
	if n := len(versions); n > 0 {
		f.Newest = versions[n-1]
	}
	f.Held = renew.Best(now, versions)
	if f.Live, f.ChangedAt, err = st.Live(c.Name); err != nil {
		return f, fmt.Errorf("reading the live link of %s: %w", c.Name, err)
	}
	if f.Journal, err = st.Journal(c.Name); err != nil {
		return f, fmt.Errorf("reading the journal of %s: %w", c.Name, err)
	}
	f.Journal.Issued = issuances(c, f.Journal.Issued, versions)
	f.Standings = standings(st, cfg, c)
	f.Earliest = renew.Earliest(versions)
	f.Seen = strconv.Itoa(f.Live) + " " + strconv.FormatInt(f.ChangedAt.UnixNano(), 10)
	if f.Held.N > 0 && len(c.Outputs) > 0 {
		err = gatherOutputs(st, c, &f)
	}
	if err == nil {
		gatherForeign(now, st, cfg, c, versions, &f)
	}
	return renew.Believable(now, f), err
}

func gatherOutputs(st Store, c renew.Cert, f *renew.Facts) error {
	b, err := st.Read(c.Name, f.Held.N)
	if err != nil {
		return fmt.Errorf("reading version %d of %s: %w", f.Held.N, c.Name, err)
	}
	for _, o := range c.Outputs {
		f.Outputs = append(f.Outputs, install.Check(o, b))
		f.Seen += " " + install.Seen(o)
		if at := install.ChangedAt(o); at.After(f.ChangedAt) {
			f.ChangedAt = at
		}
	}
	return nil
}

// standings reads how this host stands with each issuer of c. An account that
// can't be read is as good as none: the certificate does not hang on it. Whoever
// is to use that account fails with the reason, a preflight tells it, and the
// next issuer has its turn.
func standings(st Store, cfg *config.Config, c renew.Cert) []renew.Standing {
	var all []renew.Standing
	for _, issuer := range c.Issuers {
		i := cfg.Issuers[issuer.Name]
		acc, _, err := st.Account(i.Directory, i.EAB.KeyID)
		if err != nil {
			acc = store.Account{}
		}
		all = append(all, renew.Standing{HoldUntil: acc.HoldUntil, Registered: acc.URL != ""})
	}
	return all
}

// issuances adds to what the journal counted the versions that it missed: a
// crash between the commit of a version and the journal's entry must not make
// the brake forget it.
func issuances(c renew.Cert, counted []renew.Issuance, versions []renew.Version) []renew.Issuance {
	all := slices.Clip(counted) // what is added is never written into the journal's own
	for _, v := range versions {
		known := v.IssuedAt.IsZero() || v.Foreign || slices.ContainsFunc(all, func(i renew.Issuance) bool {
			return i.At.Equal(v.IssuedAt)
		})
		if !known {
			all = append(all, renew.Issuance{At: v.IssuedAt, Set: renew.Cert{Names: v.Names}.Set(), NotAfter: v.NotAfter})
		}
	}
	if byTime := func(x, y renew.Issuance) int { return x.At.Compare(y.At) }; !slices.IsSortedFunc(all, byTime) {
		all = slices.Clone(all)
		slices.SortFunc(all, byTime)
	}
	return all[max(0, len(all)-keepIssuances):]
}

// keepIssuances is more than the brake ever counts.
const keepIssuances = 32
