package acmetest

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// DNS is a DNS server on loopback, over UDP and TCP, that answers as a recursive
// one does. Its methods may be called concurrently.
type DNS struct {
	addr    string
	servers []*dns.Server

	mu       sync.Mutex          // guards what follows
	fallback []string            // records of names that nobody has set; none: they don't exist
	records  map[string][]string // by name, lower case, without the final dot
	failing  map[string]int      // response codes by name and type, such as "www.example.com CAA"
	dead     map[string]bool     // names that don't exist, whatever is set
	asked    map[string]int      // by network, name and type, such as "udp www.example.com A"
	cut      bool
	old      bool
}

// StartDNS starts a server. A name that nobody has set has the records of
// fallback, in the form of [DNS.Set].
func StartDNS(fallback ...string) (*DNS, error) {
	d := &DNS{fallback: fallback, records: map[string][]string{}, failing: map[string]int{}, dead: map[string]bool{}, asked: map[string]int{}}
	var err error
	for range bindTries {
		if err = d.bind(); err == nil {
			return d, nil
		}
	}
	return nil, err
}

// bindTries is how often one port is looked for that is free in both protocols.
const bindTries = 20

func (d *DNS) bind() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for DNS: %w", err)
	}
	packets, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		return errors.Join(fmt.Errorf("listening for DNS: %w", err), listener.Close())
	}
	d.addr = listener.Addr().String()
	d.servers = []*dns.Server{{Listener: listener, Handler: d}, {PacketConn: packets, Handler: d}}
	for _, s := range d.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }()
		<-started
	}
	return nil
}

// Addr is where it listens, as ip:port.
func (d *DNS) Addr() string { return d.addr }

// Close ends it.
func (d *DNS) Close() error {
	var errs []error
	for _, s := range d.servers {
		errs = append(errs, s.Shutdown())
	}
	return errors.Join(errs...)
}

// Set replaces the records of a name, each as a zone file has it behind the
// class: "A 192.0.2.1", `CAA 0 issue "ca.test"`. With no records the name exists,
// and has none.
func (d *DNS) Set(name string, records ...string) {
	for _, text := range records {
		if _, err := parse(name, text); err != nil {
			panic(err) // a mistake of the test's author
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.records[strings.ToLower(name)] = records
}

func parse(name, text string) (dns.RR, error) { return dns.NewRR(name + ". 1 IN " + text) }

// Fail makes questions for a name and type, such as "CAA", be answered with a
// response code, such as SERVFAIL (2); 0 ends that.
func (d *DNS) Fail(name, kind string, code int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failing[strings.ToLower(name)+" "+kind] = code
}

// Unresolve makes a name not exist; with false, it does again.
func (d *DNS) Unresolve(name string, dead bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead[strings.ToLower(name)] = dead
}

// Truncate makes no answer fit into UDP.
func (d *DNS) Truncate() { d.mu.Lock(); defer d.mu.Unlock(); d.cut = true }

// WithoutEDNS makes it a server from before RFC 2671.
func (d *DNS) WithoutEDNS() { d.mu.Lock(); defer d.mu.Unlock(); d.old = true }

// Asked is how often a question came by a network, "udp" or "tcp".
func (d *DNS) Asked(network, name, kind string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[network+" "+name+" "+kind]
}

// ServeDNS answers one question.
func (d *DNS) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_ = w.WriteMsg(d.answer(w.LocalAddr().Network(), query))
}

// answer makes the answer. d.mu is held.
func (d *DNS) answer(network string, query *dns.Msg) *dns.Msg {
	answer := new(dns.Msg)
	answer.SetReply(query)
	q := query.Question[0]
	name, kind := strings.ToLower(strings.TrimSuffix(q.Name, ".")), dns.TypeToString[q.Qtype]
	d.asked[network+" "+name+" "+kind]++
	records, set := d.records[name]
	if !set {
		records = d.fallback
	}
	switch code := d.failing[name+" "+kind]; {
	case d.old && query.IsEdns0() != nil:
		return answer.SetRcode(query, dns.RcodeFormatError)
	case code != 0:
		return answer.SetRcode(query, code)
	case d.dead[name], !set && len(records) == 0 && !d.above(name):
		return answer.SetRcode(query, dns.RcodeNameError)
	case d.cut && network == "udp":
		answer.Truncated = true
		return answer
	}
	for _, text := range records {
		// A recursive server puts what an alias leads to behind it.
		if rr, err := parse(name, text); err == nil && (rr.Header().Rrtype == q.Qtype || rr.Header().Rrtype == dns.TypeCNAME) {
			answer.Answer = append(answer.Answer, rr)
		}
	}
	return answer
}

// above tells whether a name that was set lies below this one, which exists then
// (RFC 8020). d.mu is held.
func (d *DNS) above(name string) bool {
	for n := range d.records {
		if strings.HasSuffix(n, "."+name) {
			return true
		}
	}
	return false
}
