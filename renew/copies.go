package renew

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// StaleCopy is a server that goes on with an older version: a copy of its files
// that nobody renews, or one that was started before and never told.
type StaleCopy struct {
	Level       Level     `json:"level"`
	Address     string    `json:"address"`
	Names       []string  `json:"names"`
	Process     string    `json:"process,omitempty"`
	File        string    `json:"file,omitempty"`
	Fingerprint string    `json:"fingerprint_sha256"`
	NotAfter    time.Time `json:"not_after"`
	Since       time.Time `json:"since"`
}

// Copies lists the stale copies that were found, one for each address and what it
// shows.
func Copies(now time.Time, c *Cert, f *Facts) []StaleCopy {
	var all []StaleCopy
	if !c.Auto {
		return nil
	}
	margin := time.Duration(expiringLately * float64(Slack(c, f)))
	for _, p := range f.Journal.Found.Places {
		if !p.Copy || !p.Away.IsZero() || p.Fingerprint == f.Held.Fingerprint || !slices.Contains(c.Names, p.Name) {
			continue
		}
		i := slices.IndexFunc(all, func(s StaleCopy) bool { return s.Address == p.Address && s.Fingerprint == p.Fingerprint })
		if i >= 0 {
			all[i].Names = append(all[i].Names, p.Name)
			continue
		}
		s := StaleCopy{Attention, p.Address, []string{p.Name}, p.Process, p.File, p.Fingerprint, p.NotAfter, p.Since}
		if p.NotAfter.Sub(now) < margin {
			s.Level = Critical
		}
		all = append(all, s)
	}
	return all
}

// mostNamed bounds how many names a line shows.
const mostNamed = 3

// String is the copy in one line, for a person.
func (s StaleCopy) String() string {
	text := s.Address
	if s.Process != "" {
		text += " (" + s.Process + ")"
	}
	text += " shows an older version, which ends " + s.NotAfter.UTC().Format(time.RFC3339) + ", for " + strings.Join(s.Names[:min(len(s.Names), mostNamed)], ", ")
	if more := len(s.Names) - mostNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	if s.File != "" {
		text += ", from " + s.File
	}
	return text
}

// Remedy says what to do about the copy.
func (s StaleCopy) Remedy() string {
	if s.File != "" {
		return "Point it at the files in live/, have an install block write " + s.File + ", and add its reload to the hooks; or stop it."
	}
	return "Point it at the files in live/, or have an install block write those that it reads, and add its reload to the hooks; or stop it."
}

// foundHealth: who goes on with an older version, and what could not be looked at.
func foundHealth(now time.Time, c *Cert, f *Facts) []Finding {
	if !c.Auto {
		return nil
	}
	var found []Finding
	for _, s := range Copies(now, c, f) {
		found = append(found, Finding{s.Level, IsStaleCopy, s.String() + ". " + s.Remedy()})
	}
	last := &f.Journal.Found
	if len(last.Blind) > 0 {
		found = append(found, Finding{OK, DiscoveryBlind, "not all servers can be looked at: " + strings.Join(last.Blind, "; ")})
	}
	if len(Endpoints(c, f)) == 0 && last.For > 0 && last.For == f.Live {
		found = append(found, Finding{Attention, NobodyProves, "no server on this host shows it: nobody proves what is served"})
	}
	return found
}
