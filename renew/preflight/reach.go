package preflight

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
)

// token is what is published for the time of a look, and fetched back.
type token struct {
	path, answer string
	end          func()
}

func (t *token) withdraw() {
	if t != nil {
		t.end()
	}
}

// publish has the solver answer for a token that nobody can guess. It is nil
// where that fails, or where names are not proved over http.
func (l *look) publish() (*token, []renew.Obstacle) {
	solver := l.solver()
	if solver.Type != "http" && solver.Type != "webroot" {
		return nil, nil
	}
	t := &token{path: "certvigil-preflight-" + rand.Text(), answer: rand.Text()}
	end, err := l.ca.Publish(l.cert, t.path, t.answer)
	if err != nil {
		return nil, []renew.Obstacle{{Reason: renew.SolverUnusable, Subject: "solver " + l.cert.Solver, Detail: oneLine(err),
			Remedy: "See to it that the solver can answer: until then no name can be proved."}}
	}
	t.end = end
	return t, nil
}

// reach fetches the token back at every address of the name, as the CA would.
func (l *look) reach(ctx context.Context, name string, addresses []netip.Addr, port uint16, t *token) []renew.Obstacle {
	errs := make([]error, len(addresses))
	var fetching sync.WaitGroup
	for i, ip := range addresses {
		fetching.Go(func() { errs[i] = l.fetch(ctx, name, netip.AddrPortFrom(ip, port), t) })
	}
	fetching.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return verdict(name, port, addresses, errs)
}

// verdict makes obstacles of what came of each address; nil is the token.
func verdict(name string, port uint16, addresses []netip.Addr, errs []error) []renew.Obstacle {
	var dead, wrong []string
	families := map[string]*family{"A": {}, "AAAA": {}}
	for i, err := range errs {
		at := netip.AddrPortFrom(addresses[i], port).String()
		if _, unreachable := errors.AsType[*deadError](err); unreachable {
			says := at + ": " + err.Error()
			dead = append(dead, says)
			families[record(addresses[i])].add(says, unrouted(err))
		} else if err != nil {
			wrong = append(wrong, at+" "+err.Error())
		}
	}
	var found []renew.Obstacle
	if len(dead) > 0 && len(dead) == len(addresses) {
		found = append(found, renew.Obstacle{Reason: renew.Port80Unreachable, Subject: name,
			Detail: "none of its addresses answers from here: " + strings.Join(dead, "; "),
			Remedy: fmt.Sprintf("See that the name leads to this host, and that port %d is open to the world (firewall, forwarding).", port)})
		families = nil
	}
	for _, kind := range []string{"A", "AAAA"} {
		if f := families[kind]; f != nil && len(f.dead) > 0 {
			found = append(found, f.obstacle(name+" "+kind, kind))
		}
	}
	if len(wrong) > 0 {
		found = append(found, renew.Obstacle{Reason: renew.ChallengeUnanswered, Subject: name,
			Detail: strings.Join(wrong, "; "),
			Remedy: "Have whatever answers there pass /.well-known/acme-challenge/ on to the solver, or serve it from the webroot."})
	}
	return found
}

// family is the addresses of one kind of record that can't be connected to.
type family struct {
	dead   []string
	routed bool // this host has a way to one of them at least
}

func (f *family) add(says string, unrouted bool) {
	f.dead = append(f.dead, says)
	f.routed = f.routed || !unrouted
}

func (f *family) obstacle(subject, kind string) renew.Obstacle {
	o := renew.Obstacle{Reason: renew.AddressDead, Subject: subject,
		Detail: "it does not answer from here, while others do: " + strings.Join(f.dead, "; "),
		Remedy: fmt.Sprintf("Take the %s record out, or have the server listen there: the CA may choose that address.", kind)}
	if !f.routed {
		o.Reason = renew.AddressUnseen
		o.Detail = "this host has no route to it, so nobody knows whether it answers: " + strings.Join(f.dead, "; ")
		o.Remedy = fmt.Sprintf("Where the %s record leads to this host, take it out or give the host that address; where it leads to a proxy, look from elsewhere.", kind)
	}
	return o
}

// unrouted tells that a connection was not even tried, for want of a route or of
// an address of that family.
func unrouted(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

// record is the kind of record that an address stands in.
func record(ip netip.Addr) string {
	if ip.Is4() {
		return "A"
	}
	return "AAAA"
}

// deadError is an address that can't be connected to.
type deadError struct{ error }

func (e *deadError) Unwrap() error { return e.error }

// dial connects to an address, within its own time.
func dial(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, &deadError{probe.Brief(err)}
	}
	return conn, nil
}
