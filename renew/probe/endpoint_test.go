package probe

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// issueRSA is issue with an RSA key.
func (a authority) issueRSA(t *testing.T, end time.Time, names ...string) *tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial.Add(1)), NotBefore: time.Now().Add(-240 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{a.usage}, DNSNames: names,
	}, a.inter, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der, a.inter.Raw}, PrivateKey: key, Leaf: leaf}
}

// dual has an RSA and an ECDSA certificate, and shows the RSA one to who takes both.
func dual(rsaCert, ecCert *tls.Certificate) *tls.Config {
	return &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.SupportsCertificate(rsaCert) == nil {
			return rsaCert, nil
		}
		return ecCert, nil
	}}
}

func TestRSAAndECDSAAreProvedEachOnItsOwn(t *testing.T) {
	a := newAuthority(t)
	rsaCert, ecCert := a.issueRSA(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	oldRSA := a.issueRSA(t, soon(), "www.example.com")
	for _, protocol := range []string{"tls", "imap"} {
		t.Run(protocol, func(t *testing.T) {
			address, handshakes := serveTurns(t, dialogues()[protocol], dual(rsaCert, ecCert))
			ep := renew.Endpoint{Address: address, Protocol: protocol}
			for _, tt := range []struct {
				name       string
				cert       *tls.Certificate
				served     bool
				handshakes int64
			}{
				{"what is shown first", rsaCert, true, InARow},
				{"what is shown to who takes nothing else", ecCert, true, InARow + 1}, // one shows that it has to be asked for
				{"neither", oldRSA, false, 1},
			} {
				before := handshakes.Load()
				got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(tt.cert), 0)[0]
				if n := handshakes.Load() - before; got.Served != tt.served || got.Unverifiable || n != tt.handshakes {
					t.Errorf("%s: %+v after %d handshakes, want %d", tt.name, got, n, tt.handshakes)
				}
			}
		})
	}
}

func TestAServerWithoutAKeyOfTheKindIsNotServing(t *testing.T) {
	a := newAuthority(t)
	rsaCert, ecCert := a.issueRSA(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	for _, tt := range []struct {
		name   string
		config *tls.Config
		text   string
	}{
		{"one certificate", with(rsaCert), "with an RSA key, and nothing where the client takes ECDSA alone: TLS handshake: tls: handshake failure"},
		{"TLS 1.3 alone, where nobody can ask for a kind", &tls.Config{Certificates: []tls.Certificate{*rsaCert}, MinVersion: tls.VersionTLS13}, "ECDSA alone: TLS handshake: tls: protocol version not supported"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, _ := serve(t, "127.0.0.1:0", tt.config)
			got := prove(t, &Prober{}, address, "www.example.com", want(ecCert), 0)
			if got.Served || got.Unverifiable || !strings.Contains(got.Error, tt.text) || got.Fingerprint != want(rsaCert).Fingerprint {
				t.Errorf("got %+v, want %q", got, tt.text)
			}
		})
	}
}

func TestLookShowsBothCertificates(t *testing.T) {
	a := newAuthority(t)
	rsaCert, ecCert := a.issueRSA(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	address, _ := serve(t, "127.0.0.1:0", dual(rsaCert, ecCert))
	seen, err := (&Prober{}).Look(t.Context(), renew.Endpoint{Address: address}, "www.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if seen.KeyType != "rsa2048" || seen.Also == nil || seen.Also.KeyType != "ec256" || seen.Also.TLS != "TLS 1.2" || seen.Also.Chain[0].Fingerprint != want(ecCert).Fingerprint {
		t.Errorf("seen %+v", seen)
	}
}

func TestWithoutSNITheDefaultCertificateIsProvedOnce(t *testing.T) {
	a := newAuthority(t)
	fallback, named := a.issue(t, soon(), "default.example"), a.issue(t, soon(), "www.example.com")
	address, _ := serve(t, "127.0.0.1:0", &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if hello.ServerName == "" {
			return fallback, nil
		}
		return named, nil
	}})
	ep := renew.Endpoint{Address: address, NoSNI: true}
	proofs := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com", "example.com"}, 1, want(fallback), 0)
	if len(proofs) != 1 || !proofs[0].Served || proofs[0].Name != "" || proofs[0].Where() != address+" without SNI" {
		t.Errorf("got %+v", proofs)
	}
	if proofs = (&Prober{}).Prove(t.Context(), ep, nil, 1, want(named), 0); proofs[0].Served {
		t.Errorf("got %+v", proofs)
	}
}

func TestAUnixSocketIsProved(t *testing.T) {
	cert := newAuthority(t).issue(t, soon(), "www.example.com")
	dir, err := os.MkdirTemp("", "cv") // the path of a socket is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	first := make(chan string, 1)
	listener(t, "unix", path, func(conn net.Conn) {
		line, _ := bufio.NewReader(io.LimitReader(conn, 15)).ReadString('\n')
		select {
		case first <- line:
		default:
		}
		_ = tls.Server(conn, with(cert)).Handshake()
	})
	ep := renew.Endpoint{Address: "unix:" + path, ProxyProtocol: 1}
	if got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(cert), 0)[0]; !got.Served {
		t.Errorf("got %+v", got)
	}
	if line := <-first; line != "PROXY UNKNOWN\r\n" {
		t.Errorf("it began with %q", line)
	}
	ep.Address = "unix:" + path + "x"
	if got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(cert), 0)[0]; got.Error != "connecting: no such file or directory" {
		t.Errorf("got %+v", got)
	}
}

// listener hands every connection to serve until the test ends.
func listener(t *testing.T, network, address string, serve func(net.Conn)) net.Addr {
	t.Helper()
	l, err := net.Listen(network, address)
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
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patient))
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr()
}

func TestAProxyHeaderIsSentAhead(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		heard := make(chan string, 1)
		addr := listener(t, "tcp", listen, func(conn net.Conn) {
			line, _ := bufio.NewReader(conn).ReadString('\n')
			heard <- strings.ReplaceAll(line, conn.RemoteAddr().(*net.TCPAddr).String(), "")
			remote, local := conn.RemoteAddr().(*net.TCPAddr), conn.LocalAddr().(*net.TCPAddr)
			heard <- proxyV1(remote, local)
		})
		go (&Prober{}).Prove(t.Context(), renew.Endpoint{Address: addr.String(), ProxyProtocol: 1}, []string{"www.example.com"}, 1, Want{}, 0)
		got, family := <-heard, "PROXY TCP4 127.0.0.1 127.0.0.1 "
		if strings.HasPrefix(listen, "[") {
			family = "PROXY TCP6 ::1 ::1 "
		}
		if expect := <-heard; got != expect || !strings.HasPrefix(got, family) {
			t.Errorf("heard %q, want %q", got, expect)
		}
	}
}

func TestALPNIsOffered(t *testing.T) {
	a := newAuthority(t)
	web, other := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	address, _ := serve(t, "127.0.0.1:0", &tls.Config{NextProtos: []string{"h2"}, GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if slices.Contains(hello.SupportedProtos, "h2") {
			return web, nil
		}
		return other, nil
	}})
	for _, tt := range []struct {
		offered []string
		cert    *tls.Certificate
	}{{[]string{"h2", "http/1.1"}, web}, {nil, other}} {
		ep := renew.Endpoint{Address: address, ALPN: tt.offered}
		if got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(tt.cert), 0)[0]; !got.Served {
			t.Errorf("offering %q: %+v", tt.offered, got)
		}
	}
}

func writeRoots(t *testing.T, roots ...*x509.Certificate) string {
	t.Helper()
	var text []byte
	for _, root := range roots {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw})...)
	}
	path := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnEndpointsOwnRootsAreAskedForTheirWord(t *testing.T) {
	a, foreign := newAuthority(t), newAuthority(t)
	cert := a.issue(t, soon(), "www.example.com")
	address, _ := serve(t, "127.0.0.1:0", with(cert))
	for _, tt := range []struct {
		name, path, untrusted string
		unread                bool
	}{
		{"none named", "", "", false},
		{"its own", writeRoots(t, foreign.root, a.root), "", false},
		{"another", writeRoots(t, foreign.root), "none of the roots in trust_roots vouches for it", false},
		{"none in the file", writeRoots(t), "no certificate in", true},
		{"no file", "/nonexistent/roots.pem", "reading trust_roots", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ep := renew.Endpoint{Address: address, TrustRoots: tt.path}
			got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(cert), 0)[0]
			if !got.Served || !strings.Contains(got.Untrusted, tt.untrusted) || (tt.untrusted == "") != (got.Untrusted == "") {
				t.Errorf("got %+v, want %q", got, tt.untrusted)
			}
			seen, err := (&Prober{}).Look(t.Context(), ep, "www.example.com")
			if (err != nil) != tt.unread {
				t.Errorf("Look: %v", err)
			}
			if err == nil && seen.Untrusted != (tt.path == "" || tt.untrusted != "") {
				t.Errorf("Look saw %+v", seen)
			}
		})
	}
}
