package preflight

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/certvigil/certvigil/renew"
)

// names looks at what bears on each name: CAA for each CA, and, where names are
// proved over http, whether the CA would find the answer.
//
// A solver that proves names in another way has its own part of a look here: the
// credentials of a DNS provider, or port 443.
func (l *look) names(ctx context.Context) []renew.Obstacle {
	published, found := l.publish()
	defer published.withdraw()
	parts := make([]part, len(l.cert.Names))
	for i, name := range l.cert.Names {
		parts[i] = func(ctx context.Context) []renew.Obstacle { return l.name(ctx, name, published) }
	}
	return append(found, l.all(ctx, parts)...)
}

func (l *look) name(ctx context.Context, name string, token *token) []renew.Obstacle {
	var found []renew.Obstacle
	if _, err := netip.ParseAddr(name); err != nil { // an address has no CAA (RFC 8738, section 7)
		for _, issuer := range l.cert.Issuers {
			found = append(found, l.caa(ctx, name, issuer, l.standing(ctx, issuer.Name))...)
		}
	}
	if strings.HasPrefix(name, "*.") { // proved by its parent's DNS alone
		return found
	}
	addresses, failed := l.addresses(ctx, name)
	found = append(found, failed...)
	if token == nil {
		return found
	}
	for _, port := range l.ports() {
		found = append(found, l.reach(ctx, name, addresses, port, token)...)
	}
	return found
}

// ports are those at which the issuers look for http-01 answers.
func (l *look) ports() []uint16 {
	var ports []uint16
	for _, i := range l.cert.Issuers {
		port := uint16(l.config.Issuers[i.Name].HTTPPort)
		if port == 0 {
			port = 80 // RFC 8555, section 8.3
		}
		if !slices.Contains(ports, port) {
			ports = append(ports, port)
		}
	}
	return ports
}

const remedyDNS = "See what the name servers of the zone answer (dig +trace): a CA that can't look a name up refuses it."

// addresses looks a name up, each family on its own.
func (l *look) addresses(ctx context.Context, name string) ([]netip.Addr, []renew.Obstacle) {
	if ip, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	var addresses []netip.Addr
	var found []renew.Obstacle
	none := "it has neither an A nor an AAAA record"
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		records, err := l.dns.ask(ctx, name, kind)
		switch {
		case ctx.Err() != nil:
			return nil, nil
		case errors.Is(err, errNoName):
			none = err.Error()
		case err != nil:
			found = append(found, renew.Obstacle{Reason: renew.DNSFailing, Subject: name, Remedy: remedyDNS,
				Detail: fmt.Sprintf("its %s records can't be looked up: %s", dns.TypeToString[kind], err)})
		}
		for _, rr := range records {
			addresses = append(addresses, addressOf(rr)...)
		}
	}
	if len(addresses) == 0 && len(found) == 0 {
		found = append(found, renew.Obstacle{Reason: renew.NoAddress, Subject: name, Detail: none,
			Remedy: "Give it an A or AAAA record, or take it out of names."})
	}
	return addresses[:min(len(addresses), maxAddresses)], found
}

// maxAddresses bounds how many addresses of a name are looked at.
const maxAddresses = 16

func addressOf(rr dns.RR) []netip.Addr {
	switch rr := rr.(type) {
	case *dns.A:
		if ip, ok := netip.AddrFromSlice(rr.A); ok {
			return []netip.Addr{ip.Unmap()}
		}
	case *dns.AAAA:
		if ip, ok := netip.AddrFromSlice(rr.AAAA); ok {
			return []netip.Addr{ip}
		}
	}
	return nil
}
