package preflight

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
)

func TestANameThatCannotBeResolvedIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.finds()
	w.zone.Set("www.example.com")
	tells(t, w.finds("no-address www.example.com"), "neither an A nor an AAAA")
	w.zone.Unresolve("www.example.com", true)
	tells(t, w.finds("no-address www.example.com"), "NXDOMAIN")
	w.zone.Unresolve("www.example.com", false)
	w.zone.Fail("www.example.com", "AAAA", dns.RcodeServerFailure)
	w.zone.Set("www.example.com", "A 127.0.0.1")
	tells(t, w.finds("dns-failing www.example.com"), "AAAA records", "SERVFAIL")
	w.zone.Fail("www.example.com", "A", dns.RcodeRefused)
	tells(t, w.finds("dns-failing www.example.com"), "AAAA records", "A records", "REFUSED")
}

func TestAWildcardNeedsNoAddress(t *testing.T) {
	w := newWorld(t, "*.example.com")
	w.zone.Set("example.com")
	w.finds()
}

func TestAnAddressNeedsNoDNS(t *testing.T) {
	w := newWorld(t, "127.0.0.1")
	w.finds()
	if n := w.zone.Asked("udp", "127.0.0.1", "CAA") + w.zone.Asked("udp", "127.0.0.1", "A"); n != 0 {
		t.Errorf("the DNS was asked %d times", n)
	}
}

func TestAnAnswerThatDoesNotFitIsFetchedOverTCP(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.zone.Truncate()
	w.finds()
	if w.zone.Asked("tcp", "www.example.com", "A") != 1 || w.zone.Asked("tcp", "www.example.com", "CAA") != 1 {
		t.Error("it was not asked over TCP")
	}
}

func TestAServerWithoutEDNSIsUnderstood(t *testing.T) {
	w := newWorld(t, "www.example.com")
	w.zone.WithoutEDNS()
	w.finds()
}

func TestAServerThatIsNotThereIsTold(t *testing.T) {
	w := newWorld(t, "www.example.com")
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Agent.Resolver = l.LocalAddr().String()
	_ = l.Close()
	found := w.finds("dns-failing www.example.com")
	tells(t, found, w.cfg.Agent.Resolver, "connection refused")
}

func TestTheNextServerIsAskedWhereOneFails(t *testing.T) {
	bad, good := newZone(t), newZone(t)
	bad.Fail("www.example.com", "A", dns.RcodeServerFailure)
	good.Set("www.example.com", "A 192.0.2.1")
	r := newResolver("")
	r.servers, r.err = []string{bad.Addr(), good.Addr()}, nil
	found, err := r.ask(t.Context(), "www.example.com", dns.TypeA)
	if err != nil || len(found) != 1 {
		t.Errorf("%v, %v", found, err)
	}
	if _, err := r.ask(t.Context(), "www.example.com", dns.TypeA); err != nil || good.Asked("udp", "www.example.com", "A") != 1 {
		t.Errorf("the answer was not kept: %v", err)
	}
}

func TestAServerThatIsSilentIsNotWaitedForAgainAndAgain(t *testing.T) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it hears, and says nothing
	w := newWorld(t, "www.example.com")
	r := newResolver("")
	r.servers, r.err = []string{l.LocalAddr().String(), w.zone.Addr()}, nil
	for range dnsAttempts {
		r.heard(r.servers[0], probe.ErrNoAnswer)
	}
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeCAA} {
		if _, err := r.ask(t.Context(), "www.example.com", kind); err != nil {
			t.Error(err)
		}
	}
	r.servers = r.servers[:1]
	if _, err := r.ask(t.Context(), "example.com", dns.TypeA); !errors.Is(err, probe.ErrNoAnswer) {
		t.Errorf("from a server that is silent: %v", err)
	}
	if err := l.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, _, err := l.ReadFrom(make([]byte, 1500)); err == nil {
		t.Errorf("it was asked again, with %d bytes", n)
	}
}

func TestWhatAServerSaysIsEscaped(t *testing.T) {
	m := new(dns.Msg)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: "\x1b[31mred " + strings.Repeat("x", 1000)})
	if got := explained(m); strings.Contains(got, "\x1b") || len(got) > 2*maxQuote || !strings.Contains(got, "Bogus") {
		t.Errorf("%q", got)
	}
}

func TestAHundredNamesOfOneFaultAreNotToldTwice(t *testing.T) {
	found := merged([]renew.Obstacle{
		{Reason: renew.DNSFailing, Subject: "a", Detail: "one"}, {Reason: renew.DNSFailing, Subject: "a", Detail: "one"},
		{Reason: renew.DNSFailing, Subject: "a", Detail: "two"}, {Reason: renew.DNSFailing, Subject: "b", Detail: "one"},
	})
	if len(found) != 2 || found[0].Detail != "one; two" {
		t.Errorf("%+v", found)
	}
}
