package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// patient is for what must happen, on a machine that is busy with other things.
const patient = 20 * time.Second

// authority is a root and an intermediate that issue what a test serves.
type authority struct {
	root, inter *x509.Certificate
	rootKey     *ecdsa.PrivateKey
	key         *ecdsa.PrivateKey // the intermediate's
	usage       x509.ExtKeyUsage  // of what it issues
}

var serial atomic.Int64

func newAuthority(t *testing.T) authority {
	t.Helper()
	rootKey, key := newKey(t), newKey(t)
	ca := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial.Add(1)), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		}
	}
	root := ca("test root")
	root = sign(t, root, root, &rootKey.PublicKey, rootKey)
	inter := sign(t, ca("test intermediate"), root, &key.PublicKey, rootKey)
	return authority{root, inter, rootKey, key, x509.ExtKeyUsageServerAuth}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template, parent *x509.Certificate, pub *ecdsa.PublicKey, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue returns a pair with its intermediate, valid until end.
func (a authority) issue(t *testing.T, end time.Time, names ...string) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), NotBefore: time.Now().Add(-240 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{a.usage},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	leaf := sign(t, template, a.inter, &key.PublicKey, a.key)
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw, a.inter.Raw}, PrivateKey: key, Leaf: leaf}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

func want(cert *tls.Certificate) Want {
	return Want{Fingerprint: keypair.Fingerprint(cert.Certificate[0]), ChainDigest: keypair.ChainDigest(cert.Certificate), KeyType: keyType(cert.Leaf)}
}

// serve answers handshakes on listen with what config says, and counts them.
func serve(t *testing.T, listen string, config *tls.Config) (address string, handshakes *atomic.Int64) {
	t.Helper()
	handshakes = new(atomic.Int64)
	at := listener(t, "tcp", listen, func(conn net.Conn) {
		handshakes.Add(1)
		shake(conn, config)
	})
	return at.String(), handshakes
}

// shake is a handshake, and the silence until the client closes.
func shake(conn net.Conn, config *tls.Config) {
	if server := tls.Server(conn, config); server.Handshake() == nil {
		_, _ = server.Read(make([]byte, 1))
	}
}

func with(cert *tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{*cert}}
}

func prove(t *testing.T, p *Prober, address string, name string, w Want, patience time.Duration) renew.Proof {
	t.Helper()
	proofs := p.Prove(t.Context(), renew.Endpoint{Address: address, Protocol: "tls"}, []string{name}, 7, w, patience)
	if len(proofs) != 1 {
		t.Fatalf("%d proofs, want 1", len(proofs))
	}
	return proofs[0]
}

func TestAServedCertificateIsProvedByFiveHandshakesInARow(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	address, handshakes := serve(t, "127.0.0.1:0", with(cert))
	before := time.Now()
	got := prove(t, &Prober{}, address, "www.example.com", want(cert), 0)
	if got.CheckedAt.Before(before) {
		t.Errorf("checked at %v", got.CheckedAt)
	}
	got.CheckedAt = time.Time{}
	if expect := (renew.Proof{
		Address: address, Name: "www.example.com", Version: 7, Served: true,
		Fingerprint: want(cert).Fingerprint, NotAfter: cert.Leaf.NotAfter,
	}); got != expect {
		t.Errorf("got  %+v\nwant %+v", got, expect)
	}
	if n := handshakes.Load(); n != InARow {
		t.Errorf("%d handshakes, want %d", n, InARow)
	}
}

func TestAGlanceIsOneHandshake(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	address, handshakes := serve(t, "127.0.0.1:0", with(cert))
	if got := prove(t, &Prober{Rounds: 1}, address, "www.example.com", want(cert), 0); !got.Served {
		t.Errorf("got %+v", got)
	}
	if n := handshakes.Load(); n != 1 {
		t.Errorf("%d handshakes, want 1", n)
	}
}

func TestWhatIsServedInsteadIsTold(t *testing.T) {
	a := newAuthority(t)
	wanted := a.issue(t, soon(), "www.example.com")
	short := func(cert *tls.Certificate) string { return keypair.Fingerprint(cert.Certificate[0])[:12] }
	old := a.issue(t, time.Now().Add(-75*time.Hour), "www.old.example", "old.example")
	hostile := a.issue(t, soon(), "www.example.org")
	leafOnly := *wanted
	leafOnly.Certificate = wanted.Certificate[:1]
	longer := *wanted
	longer.Certificate = append(longer.Certificate[:2:2], a.root.Raw)
	for _, tt := range []struct {
		name   string
		serves *tls.Certificate
		text   string
	}{
		{"an expired certificate of other names", old, "serves sha256 " + short(old) + "… of www.old.example and 1 more, expired 3 days ago"},
		{"a valid one of another name", hostile, "serves sha256 " + short(hostile) + "… of www.example.org, valid for 59 minutes"},
		{"the right leaf alone", &leafOnly, "serves the certificate without its intermediates"},
		{"the right leaf with another chain", &longer, "serves the certificate with another chain, of 3 certificates in all: the root was sent too, which no client needs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, handshakes := serve(t, "127.0.0.1:0", with(tt.serves))
			got := prove(t, &Prober{}, address, "www.example.com", want(wanted), 0)
			if got.Served || got.Unverifiable || got.Error != tt.text {
				t.Errorf("got %+v, want %q", got, tt.text)
			}
			if got.Fingerprint != keypair.Fingerprint(tt.serves.Certificate[0]) || !got.NotAfter.Equal(tt.serves.Leaf.NotAfter) {
				t.Errorf("got %+v, want the facts of what was seen", got)
			}
			if n := handshakes.Load(); n != 1 {
				t.Errorf("%d handshakes without patience, want 1", n)
			}
		})
	}
}

func TestTheChainIsLeftOutWhereNoDigestIsGiven(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	w := want(cert)
	w.ChainDigest = ""
	cert.Certificate = cert.Certificate[:1]
	address, _ := serve(t, "127.0.0.1:0", with(cert))
	if got := prove(t, &Prober{}, address, "www.example.com", w, 0); !got.Served {
		t.Errorf("got %+v", got)
	}
}

// alternating answers with the old and the new certificate as a script says,
// and with the last of the script for ever: a server in the middle of a reload.
func alternating(old, new *tls.Certificate, script string) *tls.Config {
	var n atomic.Int64
	return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		at := min(n.Add(1), int64(len(script))) - 1
		if script[at] == 'n' {
			return new, nil
		}
		return old, nil
	}}
}

func TestOldAndNewInTurnIsNotServedUntilFiveInARowAreNew(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	const script = "oonnonnnnonnnnn" // four in a row are not enough
	address, handshakes := serve(t, "127.0.0.1:0", alternating(old, fresh, script))
	got := prove(t, &Prober{}, address, "www.example.com", want(fresh), patient)
	if !got.Served || handshakes.Load() != int64(len(script)) {
		t.Errorf("got %+v after %d handshakes, want served after %d", got, handshakes.Load(), len(script))
	}
}

// TestAServerOfWhichOneProcessStaysOldIsNotHammered: each look at it begins with a
// right answer, and was the reason for the next one 10 ms later, as long as there
// was patience.
func TestAServerOfWhichOneProcessStaysOldIsNotHammered(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	address, handshakes := serve(t, "127.0.0.1:0", alternating(old, fresh, strings.Repeat("no", 5000)))
	w := want(fresh)
	w.Closely = true
	got := prove(t, &Prober{}, address, "www.example.com", w, 2*time.Second)
	if n := handshakes.Load(); got.Served || n < 4 || n > 180 {
		t.Errorf("got %+v after %d handshakes, want 140 or so", got, n)
	}
}

// TestAfterAReloadMoreThanFiveInARowHaveToBeNew: one of several processes at a
// port may have been left out.
func TestAfterAReloadMoreThanFiveInARowHaveToBeNew(t *testing.T) {
	a := newAuthority(t)
	names := []string{"www.example.com", "example.com"}
	old, fresh := a.issue(t, soon(), names...), a.issue(t, soon(), names...)
	fifty := strings.Repeat("n", 50)
	for _, tt := range []struct {
		name, script string
		names        []string
		closely      bool
		want         int64 // handshakes
		more         int64 // that may have been on their way when one was old
	}{
		{"not after a reload", fifty + "on", names[:1], false, InARow, 0},
		{"after one", fifty + "on", names[:1], true, 50 + 1 + closely, closely - 51},
		{"two names share it", "n", names, true, closely, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, handshakes := serve(t, "127.0.0.1:0", alternating(old, fresh, tt.script))
			w := want(fresh)
			w.Closely = tt.closely
			for _, got := range (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address}, tt.names, 1, w, 3*patient) {
				if !got.Served {
					t.Errorf("got %+v", got)
				}
			}
			if n := handshakes.Load(); n < tt.want || n > tt.want+tt.more {
				t.Errorf("%d handshakes, want %d, and %d more at most", n, tt.want, tt.more)
			}
		})
	}
}

func TestWithoutPatienceTheFirstOldAnswerDecides(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	address, handshakes := serve(t, "127.0.0.1:0", alternating(old, fresh, "nnnnon"))
	got := prove(t, &Prober{}, address, "www.example.com", want(fresh), 0)
	if got.Served || handshakes.Load() != 5 {
		t.Errorf("got %+v after %d handshakes", got, handshakes.Load())
	}
}

func TestPatienceEnds(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	address, handshakes := serve(t, "127.0.0.1:0", with(old))
	got := prove(t, &Prober{}, address, "www.example.com", want(fresh), 300*time.Millisecond)
	if got.Served || got.Error == "" || handshakes.Load() < 2 {
		t.Errorf("got %+v after %d handshakes", got, handshakes.Load())
	}
}

func TestEveryNameIsAskedForBySNI(t *testing.T) {
	a := newAuthority(t)
	right, fallback := a.issue(t, soon(), "example.com", "*.example.com", "127.0.0.1"), a.issue(t, soon(), "default.example")
	var mu sync.Mutex
	asked := make(map[string]bool)
	address, _ := serve(t, "127.0.0.1:0", &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		asked[hello.ServerName] = true
		if hello.ServerName == "missed.example.com" {
			return fallback, nil
		}
		return right, nil
	}})
	names := []string{"example.com", "*.example.com", "missed.example.com", "127.0.0.1"}
	proofs := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address}, names, 1, want(right), 0)
	for i, p := range proofs {
		if p.Name != names[i] || p.Served != (names[i] != "missed.example.com") {
			t.Errorf("%+v", p)
		}
	}
	for _, name := range []string{"example.com", "certvigil-probe.example.com", ""} {
		if !asked[name] {
			t.Errorf("%q was not asked for, only %v", name, asked)
		}
	}

	own := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address, Names: []string{"example.com"}}, names, 1, want(right), 0)
	if len(own) != 1 || own[0].Name != "example.com" {
		t.Errorf("an endpoint with names of its own gave %+v", own)
	}
}

func TestAServerThatDemandsAClientCertificateStillShowsItsOwn(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := with(cert)
			config.ClientAuth, config.MaxVersion = tls.RequireAndVerifyClientCert, version
			address, _ := serve(t, "127.0.0.1:0", config)
			if got := prove(t, &Prober{}, address, "www.example.com", want(cert), 0); !got.Served {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestACertificateShownWithoutItsKeyIsNotServed(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	w := want(cert)
	cert.PrivateKey = newKey(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := with(cert)
			config.MaxVersion = version
			address, _ := serve(t, "127.0.0.1:0", config)
			if got := prove(t, &Prober{}, address, "www.example.com", w, 0); got.Served || !got.Unverifiable || !strings.Contains(got.Error, "signature") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestWhatCannotBeReachedIsUnverifiable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	go func() {
		for {
			conn, err := plain.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example.com ESMTP\r\n\x1b[31m"))
			conn.Close()
		}
	}()
	p := &Prober{Timeout: 300 * time.Millisecond}
	for _, tt := range []struct {
		name string
		ep   renew.Endpoint
		want string
	}{
		{"a closed port", renew.Endpoint{Address: closed}, "connection refused"},
		{"a server that never answers", renew.Endpoint{Address: silent.Addr().String()}, "no answer in time"},
		{"a server that speaks something else", renew.Endpoint{Address: plain.Addr().String()}, "TLS handshake: "},
		{"no port", renew.Endpoint{Address: "127.0.0.1"}, "missing port"},
		{"an unknown protocol", renew.Endpoint{Address: closed, Protocol: "gopher"}, `protocol "gopher" is not known`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := p.Prove(t.Context(), tt.ep, []string{"www.example.com"}, 1, Want{}, 0)[0]
			if got.Served || !got.Unverifiable || !strings.Contains(got.Error, tt.want) || strings.Contains(got.Error, "\x1b") {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
		})
	}
}

func TestAServerThatComesUpWithinThePatienceIsProved(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	proved := make(chan renew.Proof, 1)
	go func() {
		proved <- (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address}, []string{"www.example.com"}, 1, want(cert), patient)[0]
	}()
	serve(t, address, with(cert))
	if got := <-proved; !got.Served {
		t.Errorf("got %+v", got)
	}
}

// twoAddresses resolves every host to two addresses of the loopback.
func twoAddresses(context.Context, string) ([]netip.Addr, error) {
	return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("::ffff:127.0.0.1")}, nil
}

func TestOfSeveralAddressesTheWorstIsReportedAndNamed(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "old.example"), a.issue(t, soon(), "www.example.com")
	p := &Prober{lookup: twoAddresses}
	first, handshakes := serve(t, "127.0.0.1:0", with(fresh))
	_, port, _ := net.SplitHostPort(first)
	both := net.JoinHostPort("localhost", port)

	got := prove(t, p, both, "www.example.com", want(fresh), 0)
	if got.Served || !got.Unverifiable || got.Address != both || !strings.HasPrefix(got.Error, "127.0.0.2:"+port+": connecting: connection refused") {
		t.Errorf("with one address closed: %+v", got)
	}
	if n := handshakes.Load(); n != InARow {
		t.Errorf("%d handshakes with the first address, which was resolved twice: want %d", n, InARow)
	}
	// Known to be wrong is worse than not to be reached.
	got = prove(t, p, both, "www.example.com", want(old), 0)
	if got.Served || got.Unverifiable || !strings.HasPrefix(got.Error, "127.0.0.1:"+port+": serves sha256") {
		t.Errorf("with one address wrong and one closed: %+v", got)
	}
	serve(t, net.JoinHostPort("127.0.0.2", port), with(old))
	got = prove(t, p, both, "www.example.com", want(fresh), 0)
	if got.Served || got.Unverifiable || !strings.HasPrefix(got.Error, "127.0.0.2:"+port+": serves sha256") || got.Fingerprint != want(old).Fingerprint {
		t.Errorf("with one address old: %+v", got)
	}
}

func TestAHostThatDoesNotResolveIsUnverifiableAndAskedAgain(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	address, _ := serve(t, "127.0.0.1:0", with(cert))
	_, port, _ := net.SplitHostPort(address)
	tries := 0
	p := &Prober{lookup: func(context.Context, string) ([]netip.Addr, error) {
		if tries++; tries%3 != 0 {
			return nil, &net.DNSError{Err: "server misbehaving", Name: "www.example.com", IsTemporary: true}
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}
	endpoint := net.JoinHostPort("www.example.com", port)
	if got := prove(t, p, endpoint, "www.example.com", want(cert), 0); got.Served || !got.Unverifiable || !strings.Contains(got.Error, "server misbehaving") {
		t.Errorf("without patience: %+v", got)
	}
	if got := prove(t, p, endpoint, "www.example.com", want(cert), patient); !got.Served {
		t.Errorf("with patience: %+v", got)
	}
}

func TestEveryNameIsAskedOnceEvenWhereOthersFail(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "old.example"), a.issue(t, soon(), "www.example.com")
	address, _ := serve(t, "127.0.0.1:0", &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "last.example.com" {
			return fresh, nil
		}
		return old, nil
	}})
	var names []string
	for i := range 40 {
		names = append(names, strings.Repeat("x", i+1)+".example.com")
	}
	names = append(names, "last.example.com")
	proofs := (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address}, names, 1, want(fresh), 500*time.Millisecond)
	for i, p := range proofs {
		if p.Served != (i == 40) || p.Unverifiable {
			t.Errorf("%+v", p)
		}
	}
}

func TestOneAddressGetsNoMoreThanEightHandshakesAtOnce(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	var now, most atomic.Int64
	address, _ := serve(t, "127.0.0.1:0", &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		defer now.Add(-1)
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-time.After(5 * time.Millisecond) // long enough for others to be there at the same time
		return cert, nil
	}})
	names := make([]string, 40)
	for _, p := range (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: address}, names, 1, want(cert), 0) {
		if !p.Served {
			t.Errorf("%+v", p)
		}
	}
	if n := most.Load(); n < 2 || n > parallel {
		t.Errorf("up to %d handshakes at once, want several and no more than %d", n, parallel)
	}
}

func TestAnEndedContextEndsTheProofAtOnce(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ctx, cancel := context.WithCancel(t.Context())
	proved := make(chan []renew.Proof, 1)
	go func() {
		names := make([]string, 100)
		proved <- (&Prober{Timeout: time.Hour}).Prove(ctx, renew.Endpoint{Address: silent.Addr().String()}, names, 1, Want{}, time.Hour)
	}()
	conn, err := silent.Accept() // it is in the middle of a handshake
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	cancel()
	select {
	case proofs := <-proved:
		for _, p := range proofs {
			if p.Served || !p.Unverifiable || !strings.Contains(p.Error, "canceled") {
				t.Errorf("%+v", p)
			}
		}
	case <-time.After(patient):
		t.Fatal("Prove did not return")
	}
}

func TestAServerThatHangsCostsOneTimeoutAndNotOneAName(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	proofs := (&Prober{Timeout: 500 * time.Millisecond}).Prove(t.Context(), renew.Endpoint{Address: silent.Addr().String()}, make([]string, 400), 1, Want{}, 0)
	if took := time.Since(began); took > 10*time.Second { // 50 timeouts, one after the other, would be 25 s
		t.Errorf("took %s", took)
	}
	for _, p := range proofs {
		if !p.Unverifiable || !strings.Contains(p.Error, "no answer in time") {
			t.Errorf("%+v", p)
		}
	}
}

func TestASilentAddressIsNotDialledForEveryName(t *testing.T) {
	h := &host{}
	h.note(dialError{ErrNoAnswer})
	if h.silent() == nil {
		t.Error("an address that let a connection time out is dialled again at once")
	}
	h.since = time.Now().Add(-2 * silence)
	if h.silent() != nil {
		t.Error("it is never dialled again")
	}
	h = &host{}
	h.note(nil)
	h.note(ErrNoAnswer) // of a name that hangs where others are answered
	if h.silent() != nil {
		t.Error("one handshake that hung silences an address that answers others")
	}
}
