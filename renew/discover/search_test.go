package discover

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// mint makes a pair of its own issue.
func mint(t *testing.T, serial int64, begin time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := pkix.Name{Organization: []string{"Test CA"}, CommonName: fmt.Sprint("intermediate ", serial)}
	cert := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: issuer, NotBefore: begin, NotAfter: begin.Add(90 * 24 * time.Hour), DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func version(n int, pair tls.Certificate) renew.Version {
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		panic(err)
	}
	names := slices.Sorted(slices.Values(leaf.DNSNames))
	return renew.Version{N: n, Fingerprint: keypair.Fingerprint(leaf.Raw), Names: names, KeyType: renew.EC256, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
}

func query(pair tls.Certificate, versions ...renew.Version) Query {
	held := versions[len(versions)-1]
	return Query{
		Cert: renew.Cert{Name: "www", Names: held.Names, Auto: true}, Held: held, Versions: versions,
		Leaf: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]}),
	}
}

// serve answers at address with one pair for names of suffix.
func serve(t *testing.T, address string, pairs map[string]tls.Certificate) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair, ok := pairs[h.ServerName]; ok {
				return &pair, nil
			}
			return nil, fmt.Errorf("nothing for %q", h.ServerName)
		}},
	}
	go func() { _ = server.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = server.Close() })
	return l.Addr().String()
}

// alone lets the test run in a network of its own.
func alone(t *testing.T) (inside bool) {
	t.Helper()
	inside, err := stage.InOwnNetwork(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return inside
}

func search(t *testing.T, s *Scout, q Query) renew.Search {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	found := s.Search(ctx, q)
	slices.SortFunc(found.Places, func(a, b renew.Place) int { return strings.Compare(a.Address+a.Name, b.Address+b.Name) })
	return found
}

func TestListenersThatShowAVersionAreFound(t *testing.T) {
	if !alone(t) {
		return
	}
	now := time.Now()
	const a, b = "www.example.com", "example.com"
	first, second, third := mint(t, 1, now.Add(-80*24*time.Hour), a, b), mint(t, 2, now.Add(-40*24*time.Hour), a, b), mint(t, 3, now.Add(-time.Hour), a, b)
	other := mint(t, 4, now.Add(-50*24*time.Hour), a)
	live := serve(t, "[::]:0", map[string]tls.Certificate{a: third, b: third})
	live = strings.Replace(live, "[::]", "[::1]", 1)
	six := serve(t, "[::1]:0", map[string]tls.Certificate{a: third, b: second})
	forgotten := serve(t, "127.0.0.1:0", map[string]tls.Certificate{a: first})
	serve(t, "127.0.0.1:0", map[string]tls.Certificate{a: other, b: other})

	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 100)
	web := &http.Server{ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			asked <- struct{}{}
		}
	}}
	go func() { _ = web.Serve(plain) }()
	defer web.Close()

	s := Scout{self: true}
	q := query(third, version(2, second), version(3, third)) // the first was dropped long ago
	found := search(t, &s, q)
	var got []string
	for _, p := range found.Places {
		state := "held"
		if p.Older {
			state = "older"
		}
		got = append(got, fmt.Sprintf("%s %s %s", p.Address, p.Name, state))
		if want := fmt.Sprintf(", pid %d", os.Getpid()); !strings.HasSuffix(p.Process, want) {
			t.Errorf("process %q, want it to end with %q", p.Process, want)
		}
		if p.Protocol != "tls" || p.Fingerprint == "" || p.NotAfter.IsZero() {
			t.Errorf("%+v", p)
		}
	}
	want := []string{live + " " + b + " held", live + " " + a + " held", six + " " + b + " older", six + " " + a + " held", forgotten + " " + a + " older"}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) || found.Cut || len(found.Blind) > 0 {
		t.Errorf("found %q, want %q; cut %v, blind %q", got, want, found.Cut, found.Blind)
	}

	search(t, &s, q)
	if n := len(asked); n != 1 {
		t.Errorf("a server without TLS was asked %d times in two searches, want once", n)
	}
}

func TestATimeThatIsOverLeavesTheSearchUnfinished(t *testing.T) {
	if !alone(t) {
		return
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	pair := mint(t, 1, time.Now(), "www.example.com")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	found := (&Scout{self: true}).Search(ctx, query(pair, version(1, pair)))
	if !found.Cut || len(found.Places) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestMailServersAreAskedInTheirOwnWords(t *testing.T) {
	if !alone(t) {
		return
	}
	pair := mint(t, 1, time.Now().Add(-time.Hour), "mail.example.com")
	l, err := net.Listen("tcp", "127.0.0.1:587")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				var line [512]byte
				for _, said := range []string{"220 mail\r\n", "250-mail\r\n250 STARTTLS\r\n", "220 go ahead\r\n"} {
					if _, err := conn.Write([]byte(said)); err != nil {
						return
					}
					if said[:4] == "220 " && said != "220 mail\r\n" {
						break
					}
					if _, err := conn.Read(line[:]); err != nil || bytes.HasPrefix(line[:], []byte{22}) {
						return
					}
				}
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
			}()
		}
	}()
	found := search(t, &Scout{self: true}, query(pair, version(1, pair)))
	if len(found.Places) != 1 || found.Places[0].Protocol != "submission" || found.Places[0].Address != "127.0.0.1:587" {
		t.Errorf("%+v", found)
	}
}
