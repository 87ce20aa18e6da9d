package issue

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// bench is a CA, and a client of it that answers challenges on a socket that was
// passed in.
type bench struct {
	t         testing.TB
	ca        *acmetest.CA
	books     *shelf
	responder *Responder
	client    *Client
	issuer    config.Issuer
	opts      Options
}

// start starts a CA and a client. change may alter the client's options.
func start(t testing.TB, o acmetest.Options, change ...func(*Options)) *bench {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.HTTPPort = l.Addr().(*net.TCPAddr).Port
	ca, err := acmetest.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	responder := NewResponder(map[string][]net.Listener{"main": {l}}, nil)
	b := &bench{t: t, ca: ca, books: newShelf(), responder: responder, issuer: config.Issuer{
		Name: "test", Directory: ca.DirectoryURL(), AgreeTerms: true,
		Contact: []string{"ops@example.com"}, TrustRoots: ca.TrustPEM(),
	}}
	t.Cleanup(func() {
		b.client.Close()
		_ = responder.Close()
		_ = b.ca.Close()
	})
	b.opts = Options{
		Solvers:   map[string]config.Solver{"http.main": {Type: "http", Name: "main"}},
		Responder: responder,
		Log:       slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&b.opts)
	}
	b.rebuild()
	return b
}

// rebuild makes a new client, as a restart or a reload does.
func (b *bench) rebuild() {
	b.t.Helper()
	if b.client != nil {
		b.client.Close()
	}
	b.opts.Books = b.books
	b.opts.Issuers = map[string]config.Issuer{b.issuer.Name: b.issuer}
	client, err := New(b.opts)
	if err != nil {
		b.t.Fatal(err)
	}
	b.client = client
}

func (b *bench) cert(name string, names ...string) renew.Cert {
	return renew.Cert{
		Name: name, Names: names, KeyType: renew.EC256, Solver: "http.main",
		Issuers: []renew.Issuer{{Name: b.issuer.Name, Directory: b.issuer.Directory, Profile: b.issuer.Profile}},
	}
}

// issue issues and expects it to work.
func (b *bench) issue(cert renew.Cert, held renew.Version) renew.Version {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n, err := b.client.Issue(ctx, cert, held, renew.Missing)
	if err != nil {
		b.t.Fatalf("issuing: %v", err)
	}
	return b.version(cert.Name, n)
}

// refuse issues and expects a Failure.
func (b *bench) refuse(cert renew.Cert, held renew.Version) *renew.Failure {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	n, err := b.client.Issue(ctx, cert, held, renew.Missing)
	if err == nil {
		b.t.Fatalf("version %d was issued", n)
	}
	f, ok := err.(*renew.Failure)
	if !ok {
		b.t.Fatalf("the error is a %T: %v", err, err)
	}
	return f
}

// version describes version n as the agent would.
func (b *bench) version(name string, n int) renew.Version {
	b.t.Helper()
	bundle, err := b.books.Read(name, n)
	if err != nil {
		b.t.Fatal(err)
	}
	pair, err := keypair.Parse(bundle.Key, bundle.Fullchain())
	if err != nil {
		b.t.Fatalf("version %d of %s: %v", n, name, err)
	}
	return pair.Fill(renew.Version{
		N: n, Issuer: bundle.Meta.Issuer, Directory: bundle.Meta.Directory, Account: bundle.Meta.Account,
		Profile: bundle.Meta.Profile, IssuedAt: bundle.Meta.IssuedAt, Untrusted: bundle.Meta.Untrusted,
	})
}

func (b *bench) leaf(name string, n int) *x509.Certificate {
	b.t.Helper()
	bundle, err := b.books.Read(name, n)
	if err != nil {
		b.t.Fatal(err)
	}
	return parse(b.t, bundle)
}

func parse(t testing.TB, bundle store.Bundle) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(bundle.Cert)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func sorted(names ...string) []string { return slices.Sorted(slices.Values(names)) }
