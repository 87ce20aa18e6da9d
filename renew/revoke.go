package renew

import (
	"fmt"
	"time"
)

// Revocation is what the CA's revocation list said of a leaf when it was last
// looked at.
type Revocation struct {
	Fingerprint string    `json:"fingerprint_sha256"`  // of the leaf; of any other it says nothing
	CheckedAt   time.Time `json:"checked_at,omitzero"` // the last time that a list was found that could be believed
	ListedAt    time.Time `json:"listed_at,omitzero"`  // when the CA made that list
	NextAt      time.Time `json:"next_at"`             // look again then
}

// Revoked is the last leaf that was found revoked. It stays noted when another
// is held: an endpoint may go on serving it.
type Revoked struct {
	Fingerprint string    `json:"fingerprint_sha256"`
	At          time.Time `json:"at"`               // when the CA says it was
	Reason      int       `json:"reason,omitempty"` // RFC 5280, section 5.3.1
	SeenAt      time.Time `json:"seen_at"`
}

// How often the list is looked at: when the CA makes the next one, within these;
// more often in a short lifetime.
const (
	lookUpFirst   = time.Hour
	lookUpLongest = 24 * time.Hour
	lookUpPortion = 20 // of the lifetime, at least
)

// NextLookUp returns how long to wait for the next look at v's revocation list,
// of which the CA makes the next at nextUpdate (zero: it does not say).
func NextLookUp(now time.Time, v Version, nextUpdate time.Time) time.Duration {
	wait := lookUpLongest
	if !nextUpdate.IsZero() {
		wait = min(max(nextUpdate.Sub(now), lookUpFirst), lookUpLongest)
	}
	return min(wait, max(v.Lifetime()/lookUpPortion, shortest))
}

// lookUpRule: what is held is looked up in its CA's revocation list now and
// then. Nothing else waits for it.
func lookUpRule(now time.Time, _ *Cert, f *Facts) (Step, bool) {
	if f.Held.N == 0 || f.Held.CRL == "" || !now.Before(f.Held.NotAfter) || f.revoked() {
		return Step{}, false
	}
	s := Step{Do: LookUp, Reason: RevocationDue}
	if r := f.Journal.Revocation; r.Fingerprint == f.Held.Fingerprint {
		s.At = r.NextAt
	}
	return retried(s, f.Journal.LookUp, f.Journal.Request), true
}

// revoked tells whether what is held was revoked.
func (f *Facts) revoked() bool {
	return f.Held.N > 0 && f.Held.Fingerprint != "" && f.Journal.Revoked.Fingerprint == f.Held.Fingerprint
}

// unknownAfter is how long nothing may be known of revocation without a word: a
// CA's list that can't be had stops no client.
const unknownAfter = 3 * 24 * time.Hour

// revokedHealth: clients may refuse what was revoked, and some do.
func revokedHealth(now time.Time, c *Cert, f *Facts) []Finding {
	var found []Finding
	r := f.Journal.Revoked
	served, looked := false, false
	for _, p := range f.Journal.Proofs {
		looked = true
		served = served || p.Fingerprint == r.Fingerprint
	}
	said := ""
	if r.Fingerprint != "" {
		said = fmt.Sprintf("revoked by its CA %s (reason %d)", r.At.UTC().Format(time.RFC3339), r.Reason)
	}
	switch {
	case r.Fingerprint == "":
	case served:
		found = append(found, Finding{Critical, IsRevoked, said + ", and still served"})
	case f.revoked() && !looked:
		found = append(found, Finding{Critical, IsRevoked, said})
	case f.revoked():
		found = append(found, Finding{Attention, IsRevoked, said})
	}
	if t := f.Journal.LookUp; t.Count > 0 && now.Sub(t.Since) > unknownAfter {
		found = append(found, Finding{Attention, RevocationUnknown, t.Message})
	}
	return found
}
