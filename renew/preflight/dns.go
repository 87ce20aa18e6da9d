package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/certvigil/certvigil/renew/probe"
)

// How a DNS server is asked.
const (
	resolvConf  = "/etc/resolv.conf"
	dnsTimeout  = 3 * time.Second // of one server's answer
	dnsAttempts = 2               // of each server
	ednsSize    = 1232            // bytes of UDP that pass everywhere (DNS flag day 2020)
)

// resolver asks recursive DNS servers, as a CA does: the hosts file, which a CA
// does not read, is left out of it. Answers are kept for one look.
type resolver struct {
	servers []string // host:port, in the order in which they are asked
	err     error    // why there are none

	mu     sync.Mutex // guards what follows
	kept   map[question]func() ([]dns.RR, error)
	silent map[string]int // how often in a row a server did not answer in time
}

type question struct {
	name string // without a final dot
	kind uint16
}

// newResolver asks server, or, where that is empty, those of resolv.conf(5).
func newResolver(server string) *resolver {
	r := &resolver{kept: map[question]func() ([]dns.RR, error){}, silent: map[string]int{}}
	if server != "" {
		r.servers = []string{server}
		return r
	}
	conf, err := dns.ClientConfigFromFile(resolvConf)
	if err != nil {
		r.err = fmt.Errorf("reading which DNS servers to ask: %w", err)
		return r
	}
	for _, s := range conf.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, conf.Port))
	}
	if len(r.servers) == 0 { // resolv.conf(5): the name server on this host
		r.servers = []string{net.JoinHostPort("127.0.0.1", conf.Port)}
	}
	return r
}

// errNoName is what a name gives that does not exist (RFC 8020).
var errNoName = errors.New("the name does not exist (NXDOMAIN)")

// ask returns the records of a kind, aliases followed by the server. No records
// is no error.
func (r *resolver) ask(ctx context.Context, name string, kind uint16) ([]dns.RR, error) {
	if r.err != nil {
		return nil, r.err
	}
	q := question{strings.TrimSuffix(name, "."), kind}
	r.mu.Lock()
	get, ok := r.kept[q]
	if !ok {
		get = sync.OnceValues(func() ([]dns.RR, error) { return r.askAll(ctx, q) })
		r.kept[q] = get
	}
	r.mu.Unlock()
	return get()
}

// askAll asks one server after the other until one knows. One that was silent
// every time is not waited for again in this look.
func (r *resolver) askAll(ctx context.Context, q question) ([]dns.RR, error) {
	var failed error
	for range dnsAttempts {
		for _, server := range r.servers {
			if r.silence(server) >= dnsAttempts {
				failed = cmp.Or(failed, fmt.Errorf("%s: %w", server, probe.ErrNoAnswer))
				continue
			}
			reply, err := askOne(ctx, server, q)
			r.heard(server, err)
			switch {
			case ctx.Err() != nil:
				return nil, context.Cause(ctx)
			case err != nil:
				failed = fmt.Errorf("%s: %w", server, err)
			case reply.Rcode == dns.RcodeSuccess:
				return ofKind(reply.Answer, q.kind), nil
			case reply.Rcode == dns.RcodeNameError:
				return nil, errNoName
			default:
				failed = fmt.Errorf("%s answers %s%s", server, dns.RcodeToString[reply.Rcode], explained(reply))
			}
		}
	}
	return nil, failed
}

func (r *resolver) silence(server string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.silent[server]
}

func (r *resolver) heard(server string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.silent[server]++; !errors.Is(err, probe.ErrNoAnswer) {
		r.silent[server] = 0
	}
}

func ofKind(records []dns.RR, kind uint16) []dns.RR {
	var those []dns.RR
	for _, rr := range records {
		if rr.Header().Rrtype == kind {
			those = append(those, rr)
		}
	}
	return those
}

// askOne asks over UDP, and over TCP what does not fit (RFC 7766, section 5). A
// server that does not know EDNS is asked without it (RFC 6891, section 7).
func askOne(ctx context.Context, server string, q question) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(q.name), q.kind)
	m.SetEdns0(ednsSize, false)
	reply, err := exchange(ctx, "udp", server, m)
	if err == nil && (reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented) {
		m.Extra = nil
		reply, err = exchange(ctx, "udp", server, m)
	}
	if err == nil && reply.Truncated {
		reply, err = exchange(ctx, "tcp", server, m)
	}
	return reply, err
}

func exchange(ctx context.Context, network, server string, m *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	client := dns.Client{Net: network, Timeout: dnsTimeout, UDPSize: ednsSize}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, probe.Brief(err)
	}
	defer conn.Close()
	// The client waits for its own timeout, whatever becomes of ctx.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	reply, _, err := client.ExchangeWithConnContext(ctx, m, conn)
	if n, ok := errors.AsType[net.Error](err); ok && n.Timeout() {
		return nil, probe.ErrNoAnswer
	}
	if err != nil {
		return nil, probe.Brief(err)
	}
	if len(reply.Question) != 1 || !strings.EqualFold(reply.Question[0].Name, m.Question[0].Name) || reply.Question[0].Qtype != m.Question[0].Qtype {
		return nil, errors.New("it answers another question")
	}
	return reply, nil
}

// explained shows why a server failed, where it tells (RFC 8914).
func explained(reply *dns.Msg) string {
	opt := reply.IsEdns0()
	if opt == nil {
		return ""
	}
	for _, o := range opt.Option {
		ede, ok := o.(*dns.EDNS0_EDE)
		if !ok {
			continue
		}
		why := dns.ExtendedErrorCodeToString[ede.InfoCode]
		if ede.ExtraText != "" {
			why += " " + quote(ede.ExtraText)
		}
		return " (" + strings.TrimSpace(why) + ")"
	}
	return ""
}
