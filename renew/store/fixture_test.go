package store

import (
	"bufio"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// holdEnv makes the test binary hold the lock of a directory, in place of
// running tests, until its standard input ends.
const holdEnv = "CERTVIGIL_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdEnv); dir != "" {
		os.Exit(hold(dir))
	}
	os.Exit(m.Run())
}

func hold(dir string) int {
	s, err := Open(dir)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, bufio.NewReader(os.Stdin)) // until the test lets go
	_ = s.Close()
	return 0
}

var serials atomic.Int64

// newBundle makes a pair for www.example.com with one intermediate.
func newBundle(t testing.TB) Bundle {
	t.Helper()
	caKey, leafKey := newKey(t), newKey(t)
	now := time.Now().Truncate(time.Second)
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), Subject: pkix.Name{CommonName: "CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(serials.Add(1)), DNSNames: []string{"www.example.com"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, leafKey.Public(), caKey)
	if err != nil {
		t.Fatal(err)
	}
	caCert, _ := x509.ParseCertificate(caDER)
	leafCert, _ := x509.ParseCertificate(leafDER)
	key, err := keypair.EncodeKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return Bundle{
		Key: key, Cert: keypair.EncodeCertificates(leafCert), Chain: keypair.EncodeCertificates(caCert),
		Meta: Meta{Issuer: "test", Directory: "https://ca.example/dir", Account: "https://ca.example/acct/1",
			Reason: renew.Missing, IssuedAt: now, Fingerprint: keypair.Fingerprint(leafDER)},
	}
}

func newKey(t testing.TB) crypto.Signer {
	t.Helper()
	key, err := keypair.GenerateKey(renew.EC256)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newKeyPEM(t testing.TB) []byte {
	t.Helper()
	text, err := keypair.EncodeKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func newOrder(t testing.TB) Order {
	t.Helper()
	key := newKey(t)
	text, err := keypair.EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := keypair.CSR(key, []string{"www.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return Order{Issuer: "test", Directory: "https://ca.example/dir", Names: []string{"www.example.com"},
		KeyType: renew.EC256, Reason: renew.Lifetime, CreatedAt: time.Unix(1e9, 0).UTC(), Key: text, CSR: csr}
}

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s.settled = 0
	t.Cleanup(func() { _ = s.Close() }) // some tests have closed it already
	return s
}

func newStore(t testing.TB) *Store {
	t.Helper()
	return mustOpen(t, filepath.Join(t.TempDir(), "state"))
}

func mustCommit(t testing.TB, s *Store, name string, b Bundle) int {
	t.Helper()
	n, err := s.Commit(name, b)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func versionsOf(t testing.TB, s *Store, name string) []renew.Version {
	t.Helper()
	versions, err := s.Versions(name)
	if err != nil {
		t.Fatal(err)
	}
	return versions
}

// modes lists every file below dir with its type and mode.
func modes(t testing.TB, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		found[name] = st.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// leftovers lists what is unfinished below dir.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	for name := range modes(t, dir) {
		if strings.HasSuffix(name, ".tmp") {
			found = append(found, name)
		}
	}
	return found
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
