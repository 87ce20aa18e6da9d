package store

import (
	"time"

	"github.com/certvigil/certvigil/renew"
)

// Bundle is a complete pair on its way into a version or out of it. The four
// parts are PEM; Fullchain is Cert followed by Chain.
type Bundle struct {
	Key   []byte // PKCS#8
	Cert  []byte // the leaf alone
	Chain []byte // the intermediates, in order; may be empty
	Meta  Meta

	// StateDir is the state directory that the bundle was read from, absolute;
	// empty where it was not. Who writes the parts elsewhere keeps out of it.
	StateDir string
}

// Fullchain returns the leaf followed by the intermediates.
func (b Bundle) Fullchain() []byte {
	return append(append([]byte(nil), b.Cert...), b.Chain...)
}

// Meta is meta.json of a version: what can't be read back from the pair.
type Meta struct {
	Issuer      string       `json:"issuer"`
	Directory   string       `json:"directory"`
	Account     string       `json:"account"`
	Profile     string       `json:"profile,omitempty"`
	Order       string       `json:"order,omitempty"` // the order's URL
	Reason      renew.Reason `json:"reason"`
	IssuedAt    time.Time    `json:"issued_at"`
	Untrusted   bool         `json:"untrusted_root,omitempty"`
	Foreign     bool         `json:"foreign,omitempty"`  // someone else put it in place, and it was adopted
	Fingerprint string       `json:"fingerprint_sha256"` // of the leaf: one that differs was altered by someone else
}

// Order is the intent to issue, durable before the CA hears of it: after a
// crash at any point the same key and CSR are used and at most one order too
// many is placed.
type Order struct {
	Issuer    string        `json:"issuer"`
	Directory string        `json:"directory"`
	Account   string        `json:"account"`
	Names     []string      `json:"names"`
	KeyType   renew.KeyType `json:"key_type"`
	Profile   string        `json:"profile,omitempty"`
	Replaces  string        `json:"replaces,omitempty"` // the CertID of the version that it is to replace
	Reason    renew.Reason  `json:"reason"`
	CreatedAt time.Time     `json:"created_at"`
	URL       string        `json:"url,omitempty"` // known as soon as the CA answered
	Key       []byte        `json:"-"`             // PEM, PKCS#8
	CSR       []byte        `json:"-"`             // DER
}

// Account is one ACME account. Its key is what exempts renewals from the CA's
// limits, so it is never overwritten and a second copy is kept.
type Account struct {
	Directory string    `json:"directory"`
	EABKeyID  string    `json:"eab_key_id,omitempty"`
	URL       string    `json:"url,omitempty"` // empty until registered
	Contact   []string  `json:"contact,omitempty"`
	Terms     string    `json:"terms,omitempty"`     // the URL of the CA's terms of service under which the last order was placed
	HoldUntil time.Time `json:"hold_until,omitzero"` // the CA's Retry-After for the whole account
	Key       []byte    `json:"-"`                   // PEM, PKCS#8, ECDSA P-256
}
