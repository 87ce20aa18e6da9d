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

// sight is one look at a certificate: what it is to read, and what it gave. A
// journal that the disk would not take, an operator's request that waits, and
// what a preflight found are written first: until they can be, they are kept in
// hand, so that a full disk makes no one forget a backoff.
type sight struct {
	store   Store
	drive   Drive
	config  *config.Config
	cert    renew.Cert
	built   time.Time
	request *renew.Request
	unsaved *renew.Journal  // what is in hand; nil once it is written
	foreign []renew.Foreign // what the look before saw

	checkup    *checkup    // what a preflight has just found
	checking   bool        // another is under way
	search     *search     // what a search for servers has just found
	before     renew.Found // what was known until then
	searching  bool        // another is under way
	unsearched bool        // none has ended yet

	facts   renew.Facts
	verdict renew.Verdict
	step    renew.Step
	err     error
}

// gather reads the facts.
func (s *sight) gather(now time.Time) error {
	f := &s.facts
	err := gather(now, s.store, s.config, &s.cert, s.unsaved, f)
	f.Foreign = noticed(now, s.foreign, f.Foreign)
	if s.built.After(f.Earliest) {
		f.Earliest = s.built
	}
	f.Checking = s.checking
	f.Searching, f.Unsearched = s.searching, s.unsearched
	if err != nil || s.request == nil && s.unsaved == nil && s.checkup == nil && s.search == nil {
		// What could not be read is no journal: what is in hand stays there, until
		// there is one that it can be added to.
		return err
	}
	if s.unsaved == nil {
		s.unsaved = new(f.Journal)
	}
	j := s.unsaved
	if s.request != nil {
		j.Request = *s.request
	}
	if c := s.checkup; c != nil {
		j.Preflight = j.Preflight.Next(c.began, &c.cert, c.found)
	}
	if s.search != nil {
		s.before = j.Found
		*j = s.search.enter(*j, f)
	}
	f.Journal = *j
	renew.Believe(now, f)
	// Power fails before this: the step is decided again from the artefacts, and
	// the operator sees that nothing happened and asks again.
	if err := s.store.Record(s.cert.Name, *j); err != nil {
		f.Unwritten = err.Error()
		return nil
	}
	s.unsaved = nil
	return nil
}

// Gather reads the facts of c from st: parsed files and the journal. Nothing
// that was known before counts.
func Gather(now time.Time, st Store, cfg *config.Config, c renew.Cert) (f renew.Facts, err error) {
	err = gather(now, st, cfg, &c, nil, &f)
	return f, err
}

// gather reads the facts. A journal that is in hand stands for the one on disk: what
// is held hangs on it too.
func gather(now time.Time, st Store, cfg *config.Config, c *renew.Cert, inHand *renew.Journal, f *renew.Facts) error {
	versions, err := st.Versions(c.Name)
	if err != nil {
		return fmt.Errorf("reading the versions of %s: %w", c.Name, err)
	}
	if n := len(versions); n > 0 {
		f.Newest = versions[n-1]
	}
	if f.Live, f.ChangedAt, err = st.Live(c.Name); err != nil {
		return fmt.Errorf("reading the live link of %s: %w", c.Name, err)
	}
	if f.Journal, err = st.Journal(c.Name); err != nil {
		return fmt.Errorf("reading the journal of %s: %w", c.Name, err)
	}
	if inHand != nil {
		f.Journal = *inHand
	}
	f.Held = renew.Best(now, f.Journal.Fit(now, versions))
	f.Standby = f.Journal.StandbyOf(f.Held.N, c.Hooks, versions)
	f.Journal.Issued = issuances(f.Journal.Issued, versions)
	f.Standings = standings(st, cfg, c)
	f.Earliest = renew.Earliest(versions)
	var seen [40]byte
	f.Seen = string(strconv.AppendInt(append(strconv.AppendInt(seen[:0], int64(f.Live), 10), ' '), f.ChangedAt.UnixNano(), 10))
	if f.Held.N > 0 && len(c.Outputs) > 0 {
		err = gatherOutputs(st, c, f)
	}
	if err == nil {
		gatherForeign(now, st, cfg, *c, versions, f)
	}
	renew.Believe(now, f)
	return err
}

func gatherOutputs(st Store, c *renew.Cert, f *renew.Facts) error {
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
func standings(st Store, cfg *config.Config, c *renew.Cert) []renew.Standing {
	all := make([]renew.Standing, 0, len(c.Issuers))
	for _, issuer := range c.Issuers {
		acc, _, err := st.Account(issuer.Directory, cfg.Issuers[issuer.Name].EAB.KeyID)
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
func issuances(counted []renew.Issuance, versions []renew.Version) []renew.Issuance {
	all := counted
	for i := range versions {
		v := &versions[i]
		if v.IssuedAt.IsZero() || v.Foreign || counts(all, v.IssuedAt) {
			continue
		}
		if len(all) == len(counted) { // what is added is never written into the journal's own
			all = append(make([]renew.Issuance, 0, len(counted)+len(versions)-i), counted...)
		}
		all = append(all, renew.Issuance{At: v.IssuedAt, Set: renew.Cert{Names: v.Names}.Set(), NotAfter: v.NotAfter})
	}
	if len(all) > len(counted) {
		slices.SortFunc(all, func(x, y renew.Issuance) int { return x.At.Compare(y.At) })
	}
	return all[max(0, len(all)-keepIssuances):]
}

// counts tells whether what was issued at at is among all, of which the latest
// are asked for most.
func counts(all []renew.Issuance, at time.Time) bool {
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].At.Equal(at) {
			return true
		}
	}
	return false
}

// keepIssuances is more than the brake ever counts.
const keepIssuances = 32
