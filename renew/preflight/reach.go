package preflight

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/certvigil/certvigil/renew"
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
	var dead, wrong []string
	families := map[string][]string{}
	for i, err := range errs {
		at := netip.AddrPortFrom(addresses[i], port).String()
		if _, unreachable := errors.AsType[*deadError](err); unreachable {
			says := at + ": " + err.Error()
			dead = append(dead, says)
			families[record(addresses[i])] = append(families[record(addresses[i])], says)
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
		if says := families[kind]; len(says) > 0 {
			found = append(found, renew.Obstacle{Reason: renew.AddressDead, Subject: name + " " + kind,
				Detail: "it does not answer from here, while others do: " + strings.Join(says, "; "),
				Remedy: fmt.Sprintf("Take the %s record out, or have the server listen there: the CA may choose that address.", kind)})
		}
	}
	if len(wrong) > 0 {
		found = append(found, renew.Obstacle{Reason: renew.ChallengeUnanswered, Subject: name,
			Detail: strings.Join(wrong, "; "),
			Remedy: "Have whatever answers there pass /.well-known/acme-challenge/ on to the solver, or serve it from the webroot."})
	}
	return found
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

var errNoAnswer = errors.New("no answer in time")

// dial connects to an address, within its own time.
func dial(ctx context.Context, at netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", at.String())
	if err != nil {
		return nil, &deadError{brief(err)}
	}
	return conn, nil
}

// brief takes addresses and system calls out of an error of package net: the
// address is told once, by whoever reports it.
func brief(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		if op.Timeout() {
			return errNoAnswer
		}
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	return err
}
