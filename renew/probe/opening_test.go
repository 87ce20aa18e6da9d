package probe

import (
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// turn is what a miniature server waits for, byte by byte, and then says.
type turn struct{ hears, says string }

const (
	mysqlRest     = "\x00\x01\x00\x00\x00NONCENON\x00\xff\xff\xff\x02\x00\xff\xc1\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00NONCENONCENO\x00mysql_native_password\x00"
	mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36" + mysqlRest
	mysqlRequest  = "\x20\x00\x00\x01\x00\x8a\x00\x00\x00\x00\x00\x01\x21\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	ldapDone      = "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
	ldapLong      = "\x30\x84\x00\x00\x00\x28\x02\x01\x01\x78\x84\x00\x00\x00\x1f\x0a\x01\x00\x04\x00\x04\x00\x8a\x161.3.6.1.4.1.1466.20037" // as Active Directory writes lengths
	xmppClient    = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' to='www.example.com'>`
	xmppHeader    = `<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' from='www.example.com' version='1.0'>`
	xmppFeatures  = `<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>`
	xmppStart     = `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`
	xmppProceed   = `<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>`
)

func ehlo(hello string) []turn {
	return []turn{
		{"", "220-mail.example.com ESMTP\r\n220-No soliciting\r\n220 go on\r\n"},
		{hello + " [127.0.0.1]\r\n", "250-mail.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-starttls\r\n250 SMTPUTF8\r\n"},
		{"STARTTLS\r\n", "220-wait\r\n220 2.0.0 Ready\r\n"},
	}
}

// dialogues are those that lead to TLS, each with what servers may add to it.
func dialogues() map[string][]turn {
	return map[string][]turn{
		"smtp": ehlo("EHLO"), "submission": ehlo("EHLO"), "lmtp": ehlo("LHLO"),
		"imap": {{"", "* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"}, {"c1 STARTTLS\r\n", "* CAPABILITY IMAP4rev1\r\n* OK still here\r\nc1 OK begin\r\n"}},
		"pop3": {{"", "+OK POP3 ready <1@mail>\r\n"}, {"STLS\r\n", "+OK\r\n"}},
		"sieve": {{"", "\"IMPLEMENTATION\" \"a\"\r\n\"SASL\" \"\"\r\n\"StartTLS\"\r\nOK \"ready\"\r\n"},
			{"STARTTLS\r\n", "OK \"begin\"\r\n"}},
		"ftp":  {{"", "120 in a minute\r\n220-welcome\r\n to the\r\n221 files\r\n220 here\r\n"}, {"AUTH TLS\r\n", "234-go\r\n234 on\r\n"}},
		"nntp": {{"", "201 no posting\r\n"}, {"STARTTLS\r\n", "382 continue\r\n"}},
		"xmpp": {{xmppClient, xmppHeader + "\n"}, {"", xmppFeatures}, {xmppStart, xmppProceed}},
		"xmpp-server": {{strings.ReplaceAll(xmppClient, "jabber:client", "jabber:server"), xmppHeader + xmppFeatures},
			{xmppStart, xmppProceed}},
		"ldap":     {{startTLS, ldapLong}},
		"postgres": {{"\x00\x00\x00\x08\x04\xd2\x16\x2f", "S"}},
		"mysql":    {{"", mysqlGreeting}, {mysqlRequest, ""}},
	}
}

// serveTurns plays the server's part of a dialogue with whoever connects, and
// goes on with TLS.
func serveTurns(t *testing.T, turns []turn, config *tls.Config) (address string, handshakes *atomic.Int64) {
	t.Helper()
	handshakes = new(atomic.Int64)
	at := listener(t, "tcp", "127.0.0.1:0", func(conn net.Conn) {
		if !play(t, conn, turns) {
			return
		}
		handshakes.Add(1)
		shake(conn, config)
	})
	return at.String(), handshakes
}

func play(t *testing.T, conn net.Conn, turns []turn) bool {
	for _, turn := range turns {
		heard := make([]byte, len(turn.hears))
		_, err := io.ReadFull(conn, heard)
		if errors.Is(err, io.EOF) {
			return false // the client has heard enough
		}
		if err != nil || string(heard) != turn.hears {
			t.Errorf("the server heard %q (%v), want %q", heard, err, turn.hears)
			return false
		}
		if _, err := io.WriteString(conn, turn.says); err != nil {
			return false
		}
	}
	return true
}

func TestEveryProtocolIsProvedByFiveDialoguesInARow(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	all := slices.Sorted(maps.Keys(openings))
	if want := slices.Sorted(slices.Values(renew.Protocols[1:])); !slices.Equal(all, want) || renew.Protocols[0] != "tls" {
		t.Fatalf("there are openings for %q, and package renew names %q", all, renew.Protocols)
	}
	for _, protocol := range all {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			const script = "onnonnnnn" // in the middle of a reload
			address, handshakes := serveTurns(t, dialogues()[protocol], alternating(old, fresh, script))
			ep := renew.Endpoint{Address: address, Protocol: protocol}
			got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(fresh), patient)[0]
			if !got.Served || handshakes.Load() != int64(len(script)) {
				t.Errorf("got %+v after %d handshakes, want served after %d", got, handshakes.Load(), len(script))
			}
		})
	}
}

// TestAProcessThatWasLeftOutIsFoundBehindADialogue: of two at a port one was not
// reloaded, and the first seven connections all come to the other.
func TestAProcessThatWasLeftOutIsFoundBehindADialogue(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	const script = "nnnnnnnon"
	for protocol, handshakes := range map[string]int64{
		"smtp": int64(len(script)) - 1 + spoken, "imap": int64(len(script)) - 1 + spoken, "postgres": int64(len(script)) - 1 + spoken,
		"mysql": InARow, // it blocks who asks often
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			address, made := serveTurns(t, dialogues()[protocol], alternating(old, fresh, script))
			w := want(fresh)
			w.Closely = true
			ep := renew.Endpoint{Address: address, Protocol: protocol}
			got := new(Prober).Prove(t.Context(), ep, []string{"www.example.com"}, 1, w, patient)[0]
			// Some more may be under way when the old one is seen.
			if n := made.Load(); !got.Served || n < handshakes || n > 2*handshakes || protocol == "mysql" && n != handshakes {
				t.Errorf("got %+v after %d handshakes, want served after %d", got, n, handshakes)
			}
		})
	}
}

// cut returns the dialogue with another last word of the server.
func cut(protocol string, says string) []turn {
	turns := dialogues()[protocol]
	last := turns[len(turns)-1]
	return append(turns[:len(turns)-1:len(turns)-1], turn{last.hears, says})
}

func TestADialogueThatGoesWrongIsQuoted(t *testing.T) {
	for _, tt := range []struct {
		name, protocol string
		turns          []turn
		want           string
	}{
		{"a server that is busy", "smtp", []turn{{"", "421-sorry\r\n421 too \x1b[31mbusy\r\n"}}, `smtp dialogue, greeting, line 2: the server answered "421 sorry\ntoo \x1b[31mbusy"`},
		{"one that speaks no ESMTP", "smtp", append(ehlo("EHLO")[:1], turn{"EHLO [127.0.0.1]\r\n", "502 what?\r\n"}), `smtp dialogue, EHLO [127.0.0.1], line 4: the server answered "502 what?"`},
		{"one without TLS", "submission", append(ehlo("EHLO")[:1], turn{"EHLO [127.0.0.1]\r\n", "250-starttls.example.com\r\n250-SIZE\r\n250 8BITMIME\r\n"}), `submission dialogue, EHLO [127.0.0.1], line 6: the server offers no STARTTLS, only "SIZE\n8BITMIME"`},
		{"one whose TLS is broken", "smtp", cut("smtp", "454 4.7.0 not now\r\n"), `smtp dialogue, STARTTLS, line 9: the server answered "454 4.7.0 not now"`},
		{"one that speaks HTTP", "smtp", []turn{{"", "HTTP/1.1 400 Bad Request\r\n"}}, `smtp dialogue, greeting, line 1: the server's answer can't be read: short response: "HTTP/1.1 400 Bad Request"`},
		{"one that hangs up", "lmtp", ehlo("LHLO")[:1], `lmtp dialogue, LHLO [127.0.0.1], line 4: `},
		{"imap that says good-bye", "imap", []turn{{"", "* BYE too many\r\n"}}, `imap dialogue, greeting, line 1: the server answered "* BYE too many"`},
		{"imap with TLS off", "imap", cut("imap", "* OK still\r\nc1 BAD unknown\r\n"), `imap dialogue, c1 STARTTLS, line 3: the server answered "c1 BAD unknown"`},
		{"imap that gives up", "imap", cut("imap", "* BYE\r\n"), `line 2: the server answered "* BYE"`},
		{"pop3 that is locked", "pop3", []turn{{"", "-ERR no\r\n"}}, `pop3 dialogue, greeting, line 1: the server answered "-ERR no"`},
		{"pop3 with TLS off", "pop3", cut("pop3", "-ERR unknown\r\n"), `pop3 dialogue, STLS, line 2: the server answered "-ERR unknown"`},
		{"sieve with TLS off", "sieve", []turn{{"", "\"SASL\" \"PLAIN\"\r\nOK\r\n"}}, `sieve dialogue, greeting, line 2: the server offers no STARTTLS, only "\"SASL\" \"PLAIN\" "`},
		{"sieve that says good-bye", "sieve", []turn{{"", "BYE \"no\"\r\n"}}, `sieve dialogue, greeting, line 1: the server answered "BYE \"no\""`},
		{"sieve that refuses", "sieve", cut("sieve", "NO \"broken\"\r\n"), `sieve dialogue, STARTTLS, line 5: the server answered "NO \"broken\""`},
		{"ftp that is full", "ftp", []turn{{"", "421 full\r\n"}}, `ftp dialogue, greeting, line 1: the server answered "421 full"`},
		{"ftp without TLS", "ftp", cut("ftp", "530 log in\r\n"), `ftp dialogue, AUTH TLS, line 6: the server answered "530 log in"`},
		{"nntp without TLS", "nntp", cut("nntp", "580 can't\r\n"), `nntp dialogue, STARTTLS, line 2: the server answered "580 can't"`},
		{"nntp that lets nobody in", "nntp", []turn{{"", "502 no\r\n"}}, `nntp dialogue, greeting, line 1: the server answered "502 no"`},
		{"xmpp of another domain", "xmpp", []turn{{xmppClient, xmppHeader + `<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`}}, `xmpp dialogue, stream, line 1: the server answered "<error><host-unknown`},
		{"xmpp without TLS", "xmpp", []turn{{xmppClient, xmppHeader + `<stream:features><register/></stream:features>`}}, `the server offers no STARTTLS, only "<register/>"`},
		{"xmpp that fails", "xmpp", cut("xmpp", `<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>`), `xmpp dialogue, starttls, line 1: the server answered "<failure>"`},
		{"xmpp that ends", "xmpp", cut("xmpp", `</stream:stream>`), `the server answered "</stream>"`},
		{"xmpp that is none", "xmpp", []turn{{xmppClient, "HTTP/1.1 400 Bad Request\r\n\r\n<html>"}}, `the server answered "HTTP/1.1 400 Bad Request`},
		{"ldap without TLS", "ldap", []turn{{startTLS, "\x30\x11\x02\x01\x01\x78\x0c\x0a\x01\x02\x04\x00\x04\x05no \x1bx"}}, `ldap dialogue, StartTLS: the server answered with result code 2 and "no \x1bx"`},
		{"ldap that answers something else", "ldap", []turn{{startTLS, "\x30\x05\x02\x01\x01\x42\x00"}}, `ldap dialogue, StartTLS: the server's answer is no extended response`},
		{"ldap that lies about a length", "ldap", []turn{{startTLS, "\x30\x84\x7f\xff\xff\xff\x04\x84\x7f\xff\xff\x00xx"}}, `ldap dialogue, StartTLS: `},
		{"ldap that is none", "ldap", []turn{{startTLS, "\x04\x00"}}, `ldap dialogue, StartTLS: the server's answer is no LDAP message`},
		{"postgres without TLS", "postgres", []turn{{sslRequest, "N"}}, `postgres dialogue, SSLRequest: the server answered "N": it does not do TLS`},
		{"postgres that is full", "postgres", []turn{{sslRequest, "E\x00\x00\x00\x10SFATAL\x00Mfull\x00\x00"}}, `postgres dialogue, SSLRequest: the server answered "E\x00\x00\x00\x10SFATAL\x00Mfull\x00\x00"`},
		{"mysql that blocks this host", "mysql", []turn{{"", "\x0f\x00\x00\x00\xff\x69\x04Host blocked"}}, `mysql dialogue, greeting: the server answered "Host blocked"`},
		{"mysql without TLS", "mysql", []turn{{"", strings.Replace(mysqlGreeting, "\x00\xff\xff\xff", "\x00\xff\xf7\xff", 1)}}, `mysql dialogue, greeting: the server, "8.0.36", offers no TLS`},
		{"mysql that is none", "mysql", []turn{{"", "220 mail.example.com ESMTP\r\n"}}, `mysql dialogue, greeting: the server answered "220 "`},
		{"mysql that is cut short", "mysql", []turn{{"", "\x04\x00\x00\x00\x0a8.0"}}, `mysql dialogue, greeting: the server answered "\n8.0"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			address := refuse(t, tt.turns)
			got := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address, Protocol: tt.protocol}, []string{"www.example.com"}, 1, Want{}, 0)[0]
			if !got.Unverifiable || !strings.HasPrefix(got.Error, tt.protocol+" dialogue, ") || !strings.Contains(got.Error, tt.want) {
				t.Errorf("got  %s\nwant %s", got.Error, tt.want)
			}
		})
	}
}

// refuse plays a dialogue and hangs up.
func refuse(t *testing.T, turns []turn) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(patient))
			play(t, conn, turns)
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn) // so that nothing it said is lost by a reset
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

func TestBytesInPlainTextBehindTheLastAnswerAreRefused(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	for protocol, turns := range dialogues() {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			turns := slices.Clone(turns)
			last := &turns[len(turns)-1]
			if last.says == "" { // mysql: the greeting is the last word
				last = &turns[len(turns)-2]
			}
			last.says += "MAIL FROM:<a@b>\r\n"
			address, handshakes := serveTurns(t, turns, with(cert))
			got := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address, Protocol: protocol}, []string{"www.example.com"}, 1, want(cert), 0)[0]
			if got.Served || !strings.Contains(got.Error, `17 bytes in plain text follow the answer, before TLS: "MAIL FROM:<a@b>\r\n"`) {
				t.Errorf("got %+v after %d handshakes", got, handshakes.Load())
			}
		})
	}
}

func TestADialogueIsBoundedInBytes(t *testing.T) {
	flood := strings.Repeat("x", maxDialogue)
	for protocol, prefix := range map[string]string{
		"smtp": "220-", "imap": "* OK ", "pop3": "+OK ", "sieve": `"`, "ftp": "220-", "nntp": "200 ", "xmpp": "<stream:stream xmlns='",
		"ldap": "\x30\x84\x7f\xff\xff\xff\x04\x84\x7f\xff\xff\x00",
	} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			hears := dialogues()[protocol][0].hears
			address := refuse(t, []turn{{hears, prefix + flood + flood}})
			got := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address, Protocol: protocol}, []string{"www.example.com"}, 1, Want{}, 0)[0]
			if !strings.Contains(got.Error, "the server said more than 64 KiB before TLS") {
				t.Errorf("got %s", got.Error)
			}
		})
	}
}

func TestADialogueIsBoundedInTime(t *testing.T) {
	for _, protocol := range slices.Sorted(maps.Keys(openings)) {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			silent, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			ep := renew.Endpoint{Address: silent.Addr().String(), Protocol: protocol}
			got := (&Prober{Timeout: 200 * time.Millisecond}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, Want{}, 0)[0]
			if !got.Unverifiable || !strings.HasSuffix(got.Error, "no answer in time") || !strings.Contains(got.Error, "dialogue") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestADialogueBeforeTLSHasMoreTime(t *testing.T) {
	p := &Prober{}
	if plain, talking := p.timeout(renew.Endpoint{Protocol: "tls"}), p.timeout(renew.Endpoint{Protocol: "smtp"}); talking < 10*time.Second || plain >= talking {
		t.Errorf("%s with a dialogue, %s without: postscreen lets a client wait for 6 s", talking, plain)
	}
}

func TestAServerIsTalkedToTwiceAtOnceAtMost(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	var now, most atomic.Int64
	address, _ := serveTurns(t, dialogues()["pop3"], &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		defer now.Add(-1)
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-time.After(5 * time.Millisecond) // long enough for others to be there at the same time
		return cert, nil
	}})
	for _, p := range (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address, Protocol: "pop3"}, make([]string, 10), 1, want(cert), 0) {
		if !p.Served {
			t.Errorf("%+v", p)
		}
	}
	if n := most.Load(); n > fewer {
		t.Errorf("up to %d at once, want %d at most", n, fewer)
	}
}

func TestAServerThatSpeaksFirstAtATLSEndpointIsQuoted(t *testing.T) {
	address := refuse(t, []turn{{"", "220 mail.example.com ESMTP\r\n"}})
	got := prove(t, &Prober{}, address, "www.example.com", Want{}, 0)
	if !strings.Contains(got.Error, `the server speaks something else, beginning with "220 m"`) {
		t.Errorf("got %s", got.Error)
	}
}

func FuzzDialogues(f *testing.F) {
	for protocol, turns := range dialogues() {
		var said strings.Builder
		for _, turn := range turns {
			said.WriteString(turn.says)
		}
		f.Add(protocol, []byte(said.String()))
	}
	f.Fuzz(func(t *testing.T, protocol string, said []byte) {
		if openings[protocol] == nil {
			return
		}
		client, server := net.Pipe()
		defer client.Close()
		go func() { _, _ = io.Copy(io.Discard, server) }()
		go func() { _, _ = server.Write(said); server.Close() }()
		if err := open(t.Context(), client, protocol, "www.example.com"); err != nil && !strings.HasPrefix(err.Error(), protocol+" dialogue, ") {
			t.Errorf("%v does not say where", err)
		}
	})
}

// TestAPanicWhileAServerIsAskedIsItsProofsError: the goroutines that ask have nobody
// above them who could recover.
func TestAPanicWhileAServerIsAskedIsItsProofsError(t *testing.T) {
	const panics = "panics"
	openings[panics] = func(*dialogue) error { panic("out of range") }
	defer delete(openings, panics)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	proofs := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: l.Addr().String(), Protocol: panics}, []string{"a.test", "b.test"}, 1, Want{}, 0)
	for _, p := range proofs {
		if p.Served || !strings.Contains(p.Error, "panic while it was asked: out of range") {
			t.Errorf("%+v", p)
		}
	}
}
