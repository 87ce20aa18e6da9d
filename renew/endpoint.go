package renew

import "strings"

// Protocols lists what may be spoken at an endpoint until TLS begins. With "tls"
// it begins at once, the others have a word for it (STARTTLS and the like).
var Protocols = []string{
	"tls", "smtp", "submission", "lmtp", "imap", "pop3", "sieve", "ftp", "nntp",
	"xmpp", "xmpp-server", "ldap", "postgres", "mysql",
}

// Endpoint is an address at which the certificate must be seen.
type Endpoint struct {
	Address       string   // host:port, of which every address of the host is tried, or unix:/path
	Protocol      string   // one of Protocols; empty means "tls"
	Names         []string // the names to ask for; empty means every name of the certificate
	NoSNI         bool     // ask for no name: what is served by default
	ProxyProtocol int      // the version of the PROXY header sent ahead; 0 sends none
	ALPN          []string // what is offered to be spoken within TLS, the best first
	TrustRoots    string   // a PEM file of all that its clients trust; empty leaves it to the issuer's
}

// Socket returns the path of the UNIX socket that the endpoint is, if it is one.
func (e Endpoint) Socket() (path string, ok bool) { return strings.CutPrefix(e.Address, "unix:") }

// NamesOr returns the names to ask the endpoint for: its own, or all; the empty
// name where none is asked for.
func (e Endpoint) NamesOr(all []string) []string {
	switch {
	case e.NoSNI:
		return []string{""}
	case len(e.Names) > 0:
		return e.Names
	default:
		return all
	}
}

// Where names what the proof is of, for a person.
func (p Proof) Where() string {
	if p.Name == "" {
		return p.Address + " without SNI"
	}
	return p.Address + " for " + p.Name
}
