package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/certvigil/certvigil/renew"
)

// maxAddresses bounds how many of a host's addresses are looked at.
const maxAddresses = 16

// target is one place to connect to, as package net has it.
type target struct{ network, address string }

func (t target) String() string { return t.address }

// resolve returns every address of "host:port", or the socket "unix:/path". No
// host means this one.
func (p *Prober) resolve(ctx context.Context, e renew.Endpoint) ([]target, error) {
	if path, ok := e.Socket(); ok {
		return []target{{"unix", path}}, nil
	}
	host, service, err := net.SplitHostPort(e.Address)
	if err != nil {
		return nil, fmt.Errorf("reading the address %q: %w", e.Address, err)
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, fmt.Errorf("reading the port of %q: %w", e.Address, err)
	}
	if host == "" {
		host = "localhost"
	}
	at := func(ip netip.Addr) target {
		return target{"tcp", netip.AddrPortFrom(ip.Unmap(), uint16(port)).String()}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return []target{at(ip)}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, p.timeout(e))
	defer cancel()
	lookup := p.lookup
	if lookup == nil {
		lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	ips, err := lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	var all []target
	for _, ip := range ips {
		if one := at(ip); !slices.Contains(all, one) && len(all) < maxAddresses {
			all = append(all, one)
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("looking up %s: no address", host)
	}
	return all, nil
}
