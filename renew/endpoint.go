package renew

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

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
	Hooks         []string // those that have its server read its files again; empty means all of the certificate
	Auto          bool     // not configured, but found by a search
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

// HooksOr returns the hooks that have the endpoint's server read its files again:
// those that it names, or all.
func (e *Endpoint) HooksOr(all []string) []string {
	if len(e.Hooks) > 0 {
		return e.Hooks
	}
	return all
}

// hooks are those of the endpoint that the proof is of.
func (p Proof) hooks(c *Cert) []string {
	for i := range c.Endpoints {
		if e := &c.Endpoints[i]; e.Address == p.Address && e.NoSNI == (p.Name == "") {
			return e.HooksOr(c.Hooks)
		}
	}
	return c.Hooks
}

// Where names what the proof is of, for a person.
func (p Proof) Where() string {
	if p.Name == "" {
		return p.Address + " without SNI"
	}
	return p.Address + " for " + p.Name
}

// Endpoints lists where c must be seen: the configured places, and those that a
// search found beside them.
func Endpoints(c *Cert, f *Facts) []Endpoint {
	if !c.Auto {
		return c.Endpoints
	}
	all := slices.Clip(c.Endpoints)
	for i := range f.Journal.Found.Places {
		p := &f.Journal.Found.Places[i]
		if p.Copy || !slices.Contains(c.Names, p.Name) || configured(c, p) {
			continue
		}
		if n := len(all) - 1; n >= len(c.Endpoints) && all[n].Address == p.Address && all[n].Protocol == p.Protocol {
			all[n].Names = append(all[n].Names, p.Name)
			continue
		}
		all = append(all, Endpoint{Address: p.Address, Protocol: p.Protocol, ProxyProtocol: p.ProxyProtocol, Names: []string{p.Name}, Auto: true})
	}
	return all
}

// configured tells whether an endpoint block asks for the same.
func configured(c *Cert, p *Place) bool {
	return slices.ContainsFunc(c.Endpoints, func(e Endpoint) bool {
		return !e.NoSNI && e.at(p.Address) && slices.Contains(e.NamesOr(c.Names), p.Name)
	})
}

// at tells whether the endpoint's address is that of a place, as far as that can
// be told without a look-up.
func (e Endpoint) at(address string) bool {
	if e.Address == address {
		return true
	}
	where, err := netip.ParseAddrPort(address)
	if err != nil || !where.Addr().IsLoopback() {
		return false
	}
	return e.Address == fmt.Sprintf("localhost:%d", where.Port())
}

// FoundAt returns the place whose proof p is, where the endpoint was found and is
// not configured.
func FoundAt(c *Cert, f *Facts, p Proof) (Place, bool) {
	place, ok := f.Journal.Found.find(p.Address, p.Name)
	return place, ok && c.Auto && !place.Copy && !configured(c, &place)
}

// astray tells whether an endpoint that was found shows no version of the
// certificate any more: no reload heals that, as far as anybody knows.
func astray(c *Cert, f *Facts, p Proof) bool {
	place, ok := FoundAt(c, f, p)
	return ok && !place.Away.IsZero() && !place.Ours
}
