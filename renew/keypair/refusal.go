package keypair

import "fmt"

// Why an answer of a CA is refused: the Reason of a [Refusal].
const (
	TooLarge          = "too-large"            // more than 1 MiB
	TooMany           = "too-many"             // more than ten certificates
	NotPEM            = "not-pem"              // a torn block, or one that is no certificate
	NoCertificate     = "no-certificate"       //
	Unparsable        = "unparsable"           // no X.509 certificate
	LeafNotFirst      = "leaf-not-first"       // ours is in it, but further on (RFC 8555, section 9.1)
	OtherKey          = "other-key"            // the leaf is for a key that is not ours
	OtherKeyType      = "other-key-type"       // our key is not of the type wanted
	WrongNames        = "wrong-names"          // a name is missing, or one too many
	LeafIsCA          = "leaf-is-ca"           //
	LeafUsage         = "leaf-usage"           // no TLS client takes it for a server's
	LeafExpired       = "leaf-expired"         //
	LeafNotYetValid   = "leaf-not-yet-valid"   // or this host's clock is behind
	WeakSignature     = "weak-signature"       // MD5 or SHA-1
	BadKeySize        = "bad-key-size"         // an issuer's RSA key under 2048 or over 8192 bits
	Duplicate         = "duplicate"            // one certificate twice
	BrokenChain       = "broken-chain"         // one did not issue the one before it
	IssuerNotCA       = "issuer-not-ca"        //
	IssuerUsage       = "issuer-usage"         // an issuer may not issue for servers
	IssuerExpired     = "issuer-expired"       //
	IssuerNotYetValid = "issuer-not-yet-valid" //
	CriticalExtension = "critical-extension"   // one that TLS clients must refuse, such as a precertificate's
	InvalidChain      = "invalid-chain"        // a name constraint, a path too long
	UntrustedRoot     = "untrusted-root"       // from a public CA
)

// Refusal is why the answer of a CA is not kept. Text of the CA's is quoted in
// Detail, so it can be shown on a terminal.
type Refusal struct {
	Reason string // one of the constants of this package
	Detail string // for a person
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("refusing what the CA issued (%s): %s", r.Reason, r.Detail)
}

func refuse(reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}
