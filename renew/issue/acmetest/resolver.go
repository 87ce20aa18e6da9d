package acmetest

import (
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// resolver is the CA's view of the DNS: every name is 127.0.0.1, and has no
// IPv6 address. Pebble asks it over TCP only.
type resolver struct {
	addr   string
	server *dns.Server

	mu   sync.Mutex
	dead map[string]bool // names, lower case, without the final dot
}

func newResolver() (*resolver, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &resolver{addr: listener.Addr().String(), dead: make(map[string]bool)}
	started := make(chan struct{})
	r.server = &dns.Server{Listener: listener, Handler: r, NotifyStartedFunc: func() { close(started) }}
	ended := make(chan error, 1)
	go func() { ended <- r.server.ActivateAndServe() }()
	select {
	case <-started:
		return r, nil
	case err := <-ended:
		return nil, err
	}
}

// ServeDNS answers one question.
func (r *resolver) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg)
	answer.SetReply(query)
	for _, q := range query.Question {
		switch {
		case r.isDead(q.Name):
			answer.Rcode = dns.RcodeNameError
		case q.Qtype == dns.TypeA:
			answer.Answer = append(answer.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1},
				A:   net.IPv4(127, 0, 0, 1),
			})
		}
	}
	_ = w.WriteMsg(answer)
}

func (r *resolver) isDead(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dead[strings.ToLower(strings.TrimSuffix(name, "."))]
}

func (r *resolver) unresolve(name string, dead bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dead[name] = dead
}

func (r *resolver) close() error { return r.server.Shutdown() }
