package renew

import "time"

// Journal is what can't be read back from an artefact, kept durably for each
// certificate. Its JSON form is journal.json of the state directory: fields are
// added, never renamed, and an unknown one is ignored.
type Journal struct {
	Advice     Advice                `json:"advice,omitzero"`
	Advise     Trouble               `json:"advise,omitzero"`
	Issuers    map[string]Trouble    `json:"issuers,omitempty"` // failures to issue, by the issuer's label
	Enroll     Trouble               `json:"enroll,omitzero"`
	Install    Trouble               `json:"install,omitzero"`
	Placed     Placed                `json:"placed,omitzero"`
	Refused    Refusal               `json:"refused,omitzero"`
	Adopted    Placed                `json:"adopted,omitzero"` // how often a pair of someone else's was adopted
	Left       []string              `json:"left,omitempty"`   // fingerprints of someone else's that stayed when ours was put in place
	Adopt      Trouble               `json:"adopt,omitzero"`
	Verify     Trouble               `json:"verify,omitzero"`
	Hooks      map[string]HookRecord `json:"hooks,omitempty"`  // by the hook's label
	Proofs     []Proof               `json:"proofs,omitempty"` // the last one for each endpoint and name
	Revocation Revocation            `json:"revocation,omitzero"`
	Revoked    Revoked               `json:"revoked,omitzero"`
	LookUp     Trouble               `json:"look_up,omitzero"`
	Issued     []Issuance            `json:"issued,omitempty"` // oldest first; the brake counts them
	Request    Request               `json:"request,omitzero"`
	Preflight  Rehearsal             `json:"preflight,omitzero"`
	Found      Found                 `json:"found,omitzero"`
}

// Advice is what the CA said of when to renew (RFC 9773), and the point that
// was drawn from it.
type Advice struct {
	CertID      string    `json:"cert_id"`               // whose advice this is; any other leaf's is void
	Start       time.Time `json:"start,omitzero"`        // the suggested window; zero where the CA gave none
	End         time.Time `json:"end,omitzero"`          //
	Chosen      time.Time `json:"chosen,omitzero"`       // drawn once a window, then only compared
	Explanation string    `json:"explanation,omitempty"` // the CA's explanationURL: shown, never followed
	FetchedAt   time.Time `json:"fetched_at"`
	PollAt      time.Time `json:"poll_at"`           // ask again then
	DrawnAt     time.Time `json:"drawn_at,omitzero"` // when this window was first heard of, and the point drawn
}

// heardOf is when the window was first heard of. One that passes while renewals
// fail is not one in the past: the CA asked for no hurry.
func (a Advice) heardOf() time.Time {
	if a.DrawnAt.IsZero() {
		return a.FetchedAt // noted by a version before
	}
	return a.DrawnAt
}

// Placed counts how often one version was put in place again: somebody else
// writes there too.
type Placed struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`    // the last time
	Again   int       `json:"again"` // beyond the first, within placedWindow of each other
}

// Trouble is a run of failures of one stage. The zero Trouble is none.
type Trouble struct {
	Count   int       `json:"count"`
	Class   Class     `json:"class"`
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
	Last    time.Time `json:"last"`
	RetryAt time.Time `json:"retry_at"`
	// Directory is whose CA's refusal it is: another CA is not bound by it.
	Directory string   `json:"directory,omitempty"`
	Names     []string `json:"names,omitempty"` // those that the CA could not validate
}

// HookRecord is what is known of one hook of one certificate.
type HookRecord struct {
	Acknowledged int       `json:"acknowledged"`                 // the version that it last returned 0 for
	RanAt        time.Time `json:"ran_at"`                       // when it was started for that
	Saw          string    `json:"saw,omitempty"`                // Facts.Seen then
	Fingerprint  string    `json:"fingerprint_sha256,omitempty"` // of that version
	NotAfter     time.Time `json:"not_after,omitzero"`           // the end of that version; zero, as the fingerprint, where it was not noted
	Trouble      Trouble   `json:"trouble,omitzero"`

	Tested time.Duration `json:"tested_ns,omitempty"` // how long its test took then; zero where it has none
}

// Proof is what one endpoint answered for one name.
type Proof struct {
	Address      string    `json:"address"`
	Name         string    `json:"name"`    // that was asked for; empty without SNI
	Version      int       `json:"version"` // the version looked for
	Served       bool      `json:"served"`
	Unverifiable bool      `json:"unverifiable,omitempty"` // no handshake could be made
	Fingerprint  string    `json:"fingerprint_sha256,omitempty"`
	NotAfter     time.Time `json:"not_after,omitzero"`  // of what was served: the leaf, or an intermediate that ends before it
	Untrusted    string    `json:"untrusted,omitempty"` // why the endpoint's clients do not trust what was served
	Error        string    `json:"error,omitempty"`
	CheckedAt    time.Time `json:"checked_at"`
	// OlderConnections is how many connections at the address are from before its
	// server was last reloaded, whichever name they asked for.
	OlderConnections int `json:"older_connections,omitempty"`
}

// Issuance is one certificate that was issued, for the brake.
type Issuance struct {
	At       time.Time `json:"at"`
	Set      string    `json:"set"`       // Cert.Set
	NotAfter time.Time `json:"not_after"` // of the certificate issued
}

// Request is an operator's word: try now, without waiting for a backoff; with
// Force, issue although nothing is due. A CA's Retry-After still holds.
type Request struct {
	At    time.Time `json:"at"`
	Force bool      `json:"force,omitempty"`
	// Edited: nobody asked, the certificate's settings changed. It ends a
	// schedule, and opens no window.
	Edited bool `json:"edited,omitempty"`
}

// Fail adds a failure to the run. retryAt is when to try again.
func (t Trouble) Fail(now, retryAt time.Time, class Class, message string) Trouble {
	if t.Count == 0 {
		t.Since = now
	}
	t.Count++
	t.Class, t.Message, t.Last, t.RetryAt = class, message, now, retryAt
	return t
}
