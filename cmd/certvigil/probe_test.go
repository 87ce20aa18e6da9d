package main

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/probe"
)

// selfSigned returns a certificate that vouches for itself.
func selfSigned(t *testing.T, kind renew.KeyType, end time.Time, names ...string) tls.Certificate {
	t.Helper()
	key, err := keypair.GenerateKey(kind)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), DNSNames: names, NotBefore: end.Add(-48 * time.Hour), NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), crypto.Signer(key))
	must(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// mailServer is serveMail with these pairs.
func mailServer(t *testing.T, offer string, certs ...tls.Certificate) (address string) {
	t.Helper()
	return serveMail(t, offer, &tls.Config{Certificates: certs})
}

// serveMail answers EHLO and STARTTLS, and goes on with TLS.
func serveMail(t *testing.T, offer string, cfg *tls.Config) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				heard := bufio.NewReader(conn)
				for _, answer := range []string{"220 mail\r\n", "250-mail\r\n250 " + offer + "\r\n", "220 go\r\n"} {
					if _, err := conn.Write([]byte(answer)); err != nil || answer[:6] == "220 go" {
						break
					}
					if _, err := heard.ReadString('\n'); err != nil {
						return
					}
				}
				_ = tls.Server(conn, cfg).Handshake() // the client judges
			}()
		}
	}()
	return l.Addr().String()
}

// probed runs the command, and returns what it prints and its exit code.
func probed(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	var buf strings.Builder
	root := rootCommand(nil)
	root.SetOut(&buf)
	root.SetArgs(append([]string{"probe"}, args...))
	err := root.ExecuteContext(t.Context())
	if err != nil && err.Error() != "" {
		fmt.Fprintln(&buf, "certvigil:", err)
	}
	return buf.String(), codeOf(err)
}

func TestProbeShowsWhatIsServedBehindADialogue(t *testing.T) {
	rsa, ec := selfSigned(t, renew.RSA2048, time.Now().Add(time.Hour), "www.example.com"), selfSigned(t, renew.EC256, time.Now().Add(-3*time.Hour), "www.example.com")
	good, expired := mailServer(t, "STARTTLS", rsa), mailServer(t, "STARTTLS", rsa, ec)
	roots := filepath.Join(t.TempDir(), "roots.pem")
	must(t, os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rsa.Certificate[0]}), 0o644))
	for _, tt := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"trusted", []string{good, "--protocol", "smtp", "--name", "www.example.com", "--trust-roots", roots}, exitOK,
			[]string{"asked for www.example.com (TLS 1.3, rsa2048)", "names        www.example.com", "59 min left", "A client takes it."}},
		{"an unknown root", []string{good, "--protocol", "smtp", "--name", "www.example.com"}, exitAttention, []string{"A client refuses it:", "unknown authority"}},
		{"another name", []string{good, "--protocol", "smtp", "--name", "example.org", "--trust-roots", roots}, exitCritical, []string{"not example.org"}},
		{"a second certificate, expired", []string{expired, "--protocol", "smtp", "--name", "www.example.com", "--trust-roots", roots}, exitCritical,
			[]string{"(TLS 1.2, ec256)", "To a client that takes no other kind of key:", "expired 3 hours ago"}},
		{"no TLS", []string{mailServer(t, "SIZE"), "--protocol", "submission"}, exitCritical,
			[]string{`submission dialogue, EHLO [127.0.0.1], line 3: the server offers no STARTTLS, only "SIZE"`}},
		{"nothing to connect to", []string{"unix:" + filepath.Join(t.TempDir(), "s")}, exitCritical, []string{"no such file or directory"}},
		{"an unknown protocol", []string{good, "--protocol", "smpt"}, exitUnknown, []string{`--protocol "smpt": write one of tls, smtp,`}},
		{"no port", []string{"localhost", "--protocol", "imap"}, exitUnknown, []string{`"localhost" has no port`}},
		{"a header of no version", []string{good, "--proxy-protocol", "3"}, exitUnknown, []string{"--proxy-protocol 3: write 1 or 2"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, code := probed(t, tt.args...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in:\n%s", want, out)
				}
			}
		})
	}
}

func TestProbePrintsJSON(t *testing.T) {
	cert := selfSigned(t, renew.EC256, time.Now().Add(time.Hour), "www.example.com")
	out, code := probed(t, mailServer(t, "STARTTLS", cert), "--protocol", "smtp", "--json", "--name", "www.example.com")
	var seen probe.Seen
	if err := json.Unmarshal([]byte(out), &seen); err != nil || code != exitAttention || seen.KeyType != "ec256" || !seen.Untrusted {
		t.Errorf("%v, exit code %d: %s", err, code, out)
	}
	out, code = probed(t, mailServer(t, "SIZE"), "--protocol", "smtp", "--json")
	var failed struct{ Error string }
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&failed); err != nil || code != exitCritical || !strings.Contains(failed.Error, "STARTTLS") {
		t.Errorf("%v, exit code %d: %s", err, code, out)
	}
}
