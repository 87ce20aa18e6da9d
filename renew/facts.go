package renew

import "time"

// Version is one numbered pair of the state directory, as read back from its
// files: what is in memory of a certificate, never key bytes or parsed x509.
type Version struct {
	N           int    // 1 and up; 0 means that there is none
	Fault       Reason // why the pair can't be used (Unreadable, PairMismatch, Altered); empty when it can
	FaultDetail string // the fault in words, for a person

	Fingerprint   string    // SHA-256 of the leaf's DER, lower-case hex
	ChainDigest   string    // SHA-256 over the DER of the leaf and all that follows it, lower-case hex
	Serial        string    // lower-case hex
	CertID        string    // RFC 9773, section 4.1; empty where the leaf has no authority key identifier
	CRL           string    // where its CA's revocation list is; empty where that can't be asked or not be verified
	Names         []string  // as ParseName returns them, sorted
	KeyType       KeyType   //
	NotBefore     time.Time //
	NotAfter      time.Time //
	ChainNotAfter time.Time // the earliest end among the intermediates; zero without any

	// As noted down when it was issued.
	Issuer    string // the issuer block's label then
	Directory string
	Account   string // the account's URL: the kid of RFC 8555, section 6.2
	Profile   string
	Reason    Reason // why it was ordered
	IssuedAt  time.Time
	Foreign   bool // put in place by someone else, and adopted
	Untrusted bool // its root is neither one of the system's nor one of the issuer's trust_roots
}

// Usable tells whether the pair is whole; it may be expired all the same.
func (v *Version) Usable() bool { return v.N > 0 && v.Fault == "" }

// Lifetime is how long the certificate is valid, from first to last second.
func (v *Version) Lifetime() time.Duration { return v.NotAfter.Sub(v.NotBefore) }

// End is when clients stop taking the certificate: at its own end, or at that of
// an intermediate that ends before it.
func (v *Version) End() time.Time {
	if !v.ChainNotAfter.IsZero() {
		return earlier(v.NotAfter, v.ChainNotAfter)
	}
	return v.NotAfter
}

// Best picks the pair to hold: the newest that is whole and not expired at now,
// else the newest that is whole, else the zero Version. One that is not valid
// yet is as good as one that is: none gets here that was not valid when it was
// issued, so it is the clock that is wrong, and an older pair may be expired.
func Best(now time.Time, versions []Version) Version {
	best := &Version{}
	for i := range versions {
		if v := &versions[i]; v.Usable() && better(now, v, best) {
			best = v
		}
	}
	return *best
}

func better(now time.Time, v, than *Version) bool {
	if a, b := now.Before(v.NotAfter), now.Before(than.NotAfter); a != b {
		return a
	}
	return v.N > than.N
}

func (v *Version) valid(now time.Time) bool {
	return v.N > 0 && now.Before(v.NotAfter) && !now.Before(v.NotBefore)
}

// Facts is all that Decide and Health know of one certificate on this host.
type Facts struct {
	Newest     Version       // the highest version number on disk, whole or not
	Held       Version       // Best of the versions on disk
	Standby    Standby       // what could be gone back to
	Live       int           // the version that live/<name> points at; 0 where it points at none
	Foreign    []Foreign     // what someone else put in place; empty for Restoring
	Outputs    []OutputState // one for each Output of the Cert, in its order
	ChangedAt  time.Time     // when the live link or an output last changed on disk
	Seen       string        // stands for what lies at the live link and the outputs: equal where nothing changed
	Unwritten  string        // why the journal could not be written; empty where it could
	Standings  []Standing    // one for each issuer of the Cert, in its order
	Earliest   time.Time     // the clock can't be right before: the newest pair, and the program, are from then
	Checking   bool          // a preflight is under way
	Searching  bool          // a search for servers is under way
	Unsearched bool          // the agent has not searched for servers since it started
	Journal    Journal

	// ConfiguredAt is when the configuration last changed on disk. Only Promises
	// asks for it, to tell since when something is wanted; zero where nobody looked.
	ConfiguredAt time.Time
}

// OutputState tells whether one output holds the held version.
type OutputState struct {
	Path    string // the first path of the output
	InPlace bool   // content, owner and mode are as they should be
	Reason  Reason // where not in place: InstallPending or Drift
	Detail  string // what differs, for a person
}
