package renew

import "time"

// Do names the one thing to do next.
type Do string

// What Decide can say.
const (
	Wait      Do = "wait"      // nothing, until At
	Advise    Do = "advise"    // ask the CA when to renew
	LookUp    Do = "look-up"   // look at the CA's revocation list
	Preflight Do = "preflight" // look for what would stop a renewal
	Discover  Do = "discover"  // search for the servers that show it
	Issue     Do = "issue"     // order a certificate, or go on with the order in flight
	Enroll    Do = "enroll"    // register an account at an issuer that may be needed
	Adopt     Do = "adopt"     // take over a pair that someone else put in place
	Install   Do = "install"   // switch the live link, write the outputs
	RollBack  Do = "roll-back" // go back to the version before, or forward again
	Deploy    Do = "deploy"    // run the hooks that have not acknowledged
	Verify    Do = "verify"    // handshake with every endpoint
)

// Step is Decide's answer: what, when and why. At is never in the past.
type Step struct {
	Do     Do        `json:"do"`
	At     time.Time `json:"at"`
	Reason Reason    `json:"reason"`

	Issuer  string   `json:"issuer,omitempty"`  // of issue and enroll: the label of the issuer to ask
	Without []string `json:"without,omitempty"` // of issue: the names to leave out
}
