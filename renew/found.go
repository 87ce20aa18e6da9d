package renew

import (
	"cmp"
	"slices"
	"time"
)

// Found is what the last search for servers gave, of a certificate that is to be
// found by itself ([Cert.Auto]).
type Found struct {
	At     time.Time `json:"at"`               // when the search began
	Of     string    `json:"of"`               // which settings it was for; that for others is made anew
	For    int       `json:"for,omitempty"`    // the live version, where its hooks had run before
	Places []Place   `json:"places,omitempty"` // by address, then by name
	Blind  []string  `json:"blind,omitempty"`  // what could not be looked at, and why
	Cut    bool      `json:"cut,omitempty"`    // its time was over before all was
}

// Place is one address at which a server showed a version of the certificate for
// a name.
type Place struct {
	Address       string    `json:"address"`                  // as in an [Endpoint]
	Name          string    `json:"name"`                     // that was asked for
	Protocol      string    `json:"protocol"`                 // one of Protocols
	ProxyProtocol int       `json:"proxy_protocol,omitempty"` // as in an Endpoint
	Process       string    `json:"process,omitempty"`        // whose it is, for a person
	File          string    `json:"file,omitempty"`           // what the server's configuration says that it serves
	Ours          bool      `json:"ours,omitempty"`           // that file is the live link's, or an output's
	Fingerprint   string    `json:"fingerprint_sha256"`       // of what was shown
	NotAfter      time.Time `json:"not_after"`                // of what was shown
	Older         bool      `json:"older,omitempty"`          // it was not the held version, but one before
	Copy          bool      `json:"copy,omitempty"`           // it is judged to be a copy that no hook reaches: no endpoint
	Since         time.Time `json:"since"`                    // when it was first seen as what it is
	Away          time.Time `json:"away,omitzero"`            // since when it shows no version any more, or nothing
}

// Search is what one search for servers gave.
type Search struct {
	Places []Place
	Blind  []string
	Cut    bool // its time was over before everything was asked: who is not among Places may be there all the same
}

// Next is what is known after the search that began at began.
func (last Found) Next(began time.Time, c *Cert, f *Facts, s Search) Found {
	next := Found{At: began, Of: c.searched(), Blind: s.Blind, Cut: s.Cut}
	settled, ok := settledAt(c, f)
	deployed := ok && !began.Before(settled)
	if deployed {
		next.For = f.Live
	}
	for _, p := range s.Places {
		was, known := last.find(p.Address, p.Name)
		if p.Older && !known && !deployed && !p.Ours {
			continue // whether it is one that a hook will reach is seen once they have run
		}
		p.Copy = p.Older && p.isCopy(was, known, deployed, f)
		p.Since = began
		if known && was.Copy == p.Copy {
			p.Since = earlier(was.Since, began)
		}
		next.Places = append(next.Places, p)
	}
	for _, p := range last.Places {
		if _, again := next.find(p.Address, p.Name); again || !slices.Contains(c.Names, p.Name) {
			continue
		}
		if p.Away.IsZero() && !s.Cut {
			p.Away = began
		}
		if p.Away.IsZero() || began.Sub(p.Away) < min(awayFor, f.Held.Lifetime()/awayPortion) {
			next.Places = append(next.Places, p)
		}
	}
	slices.SortStableFunc(next.Places, func(a, b Place) int {
		return cmp.Or(cmp.Compare(a.Address, b.Address), cmp.Compare(a.Name, b.Name))
	})
	return next
}

// isCopy judges a server that shows an older version. The hooks have it load the
// live one where its configuration names a file of ours. Where that names another,
// a hook may write there, and has done so once it has run. Where nobody knows, it
// is an endpoint as long as it showed the live version before, until proofs have
// failed several times.
func (p Place) isCopy(was Place, known, deployed bool, f *Facts) bool {
	switch {
	case p.Ours:
		return false
	case known && was.Copy:
		return true
	case !deployed:
		return false
	case known && p.File == "":
		return f.Journal.Verify.Count >= patientTries
	default:
		return true
	}
}

func (last *Found) find(address, name string) (Place, bool) {
	for i := range last.Places {
		if p := &last.Places[i]; p.Address == address && p.Name == name {
			return *p, true
		}
	}
	return Place{}, false
}
