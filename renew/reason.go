package renew

// Reason says why a step is due, or why it waits. Reasons are stable: plan,
// status, logs, metrics and alerts print the same ones, and operators grep them.
type Reason string

// Why a certificate is issued.
const (
	Missing        Reason = "missing"         // there is no certificate yet
	Unreadable     Reason = "unreadable"      // a file of the pair is gone, empty or does not parse
	PairMismatch   Reason = "pair-mismatch"   // the key is not the certificate's
	Altered        Reason = "altered"         // someone else wrote into the version's folder
	Expired        Reason = "expired"         //
	NotYetValid    Reason = "not-yet-valid"   // NotBefore is ahead of the clock
	NamesDiffer    Reason = "names-differ"    // the configuration asks for other names
	KeyDiffers     Reason = "key-differs"     // the configuration asks for another key type
	ProfileDiffers Reason = "profile-differs" // the configuration asks for another profile
	IssuerDiffers  Reason = "issuer-differs"  // the CA that issued it is no longer configured
	ARIWindow      Reason = "ari-window"      // the point chosen in the CA's suggested window
	Emergency      Reason = "emergency"       // the CA's suggested window lies in the past
	IsRevoked      Reason = "revoked"         // the CA's revocation list has it
	Lifetime       Reason = "lifetime"        // the backstop: so much of the lifetime is left
	Requested      Reason = "requested"       // certvigil renew --force
	Rescue         Reason = "rescue"          // half of the slack is gone: without the names that do not validate
	NameLeftOut    Reason = "name-left-out"   // it was issued without a name, to rescue the others
)

// Why another step is due.
const (
	InstallPending Reason = "install-pending" // the live link or an output does not show the newest pair
	Drift          Reason = "drift"           // an output was changed by someone else
	ForeignChange  Reason = "foreign-change"  // someone else put another pair in place
	HookPending    Reason = "hook-pending"    // a hook has not acknowledged this version
	NotProved      Reason = "not-proved"      // no handshake has shown this version yet
	NotServed      Reason = "not-served"      // an endpoint answers with another certificate
	Unverifiable   Reason = "unverifiable"    // an endpoint can't be reached
	ProofDue       Reason = "proof-due"       // served; to be looked at again
	RevocationDue  Reason = "revocation-due"  // the CA's revocation list is to be looked at
	AdviceDue      Reason = "advice-due"      // the CA is to be asked when to renew
	NotRegistered  Reason = "not-registered"  // there is no account yet at an issuer that may be needed
	PreflightDue   Reason = "preflight-due"   // what would stop a renewal is to be looked for
	DiscoveryDue   Reason = "discovery-due"   // the servers that show it are to be searched for
)

// Why a step that is due waits.
const (
	Throttled   Reason = "throttled"    // the CA said when to come back
	BackingOff  Reason = "backing-off"  // it failed; the next try is set
	Braked      Reason = "braked"       // too many issued for these names already
	ClockBehind Reason = "clock-behind" // this host's clock is before the newest certificate, or the program
	WindowShut  Reason = "window"       // moved to when the operator wants it
)

// What else Health reports.
const (
	HookFailing       Reason = "hook-failing"
	RolledBack        Reason = "rolled-back" // the newest version was refused, the one before is in place
	InstallFailing    Reason = "install-failing"
	IssueFailing      Reason = "issue-failing"
	Overdue           Reason = "overdue"          // due, and a part of the slack is gone
	StateUnwritable   Reason = "state-unwritable" // the journal could not be written
	UntrustedRoot     Reason = "untrusted-root"
	FailedOver        Reason = "failed-over"        // issued by another than the first issuer
	FallbackUnready   Reason = "fallback-unready"   // no account could be made at an issuer that may be needed
	NobodyProves      Reason = "no-endpoint"        // deployed, and nobody looks at what is served
	RevocationUnknown Reason = "revocation-unknown" // the CA's revocation list can't be had for days
	NothingToDo       Reason = "nothing-to-do"
	ServedExpiring    Reason = "served-expiring" // what an endpoint answers with is about to expire
	IsStaleCopy       Reason = "stale-copy"      // a server goes on with an older version, and no hook reaches it
	DiscoveryBlind    Reason = "discovery-blind" // not every server of this host can be looked at
)

// What a preflight finds: what would stop a renewal today.
const (
	CAUnreachable       Reason = "ca-unreachable"       // its directory can't be had, or makes no sense
	AccountRefused      Reason = "account-refused"      // the account is deactivated, revoked, or unknown to the CA
	TermsChanged        Reason = "terms-changed"        // since they were agreed to
	ProfileGone         Reason = "profile-gone"         // the CA does not offer the configured one
	ClockOff            Reason = "clock-off"            // from the CA's, by more than five minutes
	DNSFailing          Reason = "dns-failing"          // SERVFAIL, a refusal, or no answer
	NoAddress           Reason = "no-address"           // a name has neither A nor AAAA
	AddressDead         Reason = "address-dead"         // one address of a name does not answer, others do
	AddressUnseen       Reason = "address-unseen"       // this host has no route to one address of a name
	Port80Unreachable   Reason = "port-80-unreachable"  // no address of a name answers at the http-01 port
	ChallengeUnanswered Reason = "challenge-unanswered" // it answers, with something else than the token
	SolverUnusable      Reason = "solver-unusable"      // a token could not be published
	CAAForbids          Reason = "caa-forbids"          // RFC 8659
	HookNotExecutable   Reason = "hook-not-executable"  // its program, pid file or unit is not there
	PathUnwritable      Reason = "path-unwritable"      //
	OwnerForbidden      Reason = "owner-forbidden"      // the process may not give an output to its owner or group
	DiskFull            Reason = "disk-full"            // no room, or no inodes
	EndpointUnreachable Reason = "endpoint-unreachable" //
)
