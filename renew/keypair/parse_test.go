package keypair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

func TestCertIDIsThatOfRFC9773(t *testing.T) {
	aki := []byte{0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4}
	for name, c := range map[string]struct {
		aki    []byte
		serial int64
		want   string
	}{
		"the example of section 4.1":              {aki, 0x87654321, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"},
		"a serial without its highest bit":        {aki, 0x7f, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.fw"},
		"the serial zero":                         {aki, 0, "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AA"},
		"a leaf without the authority's key's id": {nil, 1, ""},
	} {
		if got := certID(c.aki, big.NewInt(c.serial)); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestParseTellsWhatAVersionNeeds(t *testing.T) {
	root := newRoot(t, "Root")
	soon := root.under(t, "Soon", valid(-day, 30*day))
	key := newKey(t, renew.EC256)
	leaf := soon.leaf(t, key.Public(), named("WWW.example.com", "example.com", "2001:db8::0:1"),
		func(c *x509.Certificate) { c.SerialNumber = big.NewInt(0x0abc) })
	text, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse(text, EncodeCertificates(leaf, soon.cert, root.cert))
	if err != nil {
		t.Fatal(err)
	}
	v := got.Fill(renew.Version{N: 3, Issuer: "kept"})
	if !slices.Equal(v.Names, []string{"2001:db8::1", "example.com", "www.example.com"}) {
		t.Errorf("names %q", v.Names)
	}
	if v.Serial != "0abc" || v.KeyType != renew.EC256 || v.N != 3 || v.Issuer != "kept" {
		t.Errorf("%+v", v)
	}
	if !v.ChainNotAfter.Equal(noon.Add(30*day)) || !v.NotAfter.Equal(noon.Add(89*day)) || !v.NotBefore.Equal(noon.Add(-day)) {
		t.Errorf("dates %v %v %v", v.NotBefore, v.NotAfter, v.ChainNotAfter)
	}
	if v.Fingerprint != Fingerprint(leaf.Raw) || v.ChainDigest != ChainDigest([][]byte{leaf.Raw, soon.cert.Raw, root.cert.Raw}) {
		t.Error("digests differ from those of the wire")
	}
	if v.ChainDigest == ChainDigest([][]byte{leaf.Raw, soon.cert.Raw}) {
		t.Error("the digest does not cover all of the chain")
	}
	alone, err := Parse(text, EncodeCertificates(leaf))
	if err != nil || !alone.ChainNotAfter.IsZero() {
		t.Errorf("a leaf alone: %v, chain ends %v", err, alone.ChainNotAfter)
	}
}

func TestParseNamesTheFault(t *testing.T) {
	root := newRoot(t, "Root")
	key := newKey(t, renew.EC256)
	keyText, _ := EncodeKey(key)
	otherText, _ := EncodeKey(newKey(t, renew.EC256))
	chain := EncodeCertificates(root.leaf(t, key.Public()), root.cert)
	for name, c := range map[string]struct {
		key, chain []byte
		reason     renew.Reason
	}{
		"no certificate":             {keyText, nil, renew.Unreadable},
		"no key":                     {nil, chain, renew.Unreadable},
		"half of the chain":          {keyText, chain[:len(chain)/2], renew.Unreadable},
		"half of the key":            {keyText[:len(keyText)/2], chain, renew.Unreadable},
		"zeroes, as after a crash":   {make([]byte, 200), chain, renew.Unreadable},
		"two keys":                   {slices.Concat(keyText, otherText), chain, renew.Unreadable},
		"a certificate for a key":    {chain, chain, renew.Unreadable},
		"a key of 100 KB":            {slices.Concat(keyText, make([]byte, 100<<10)), chain, renew.Unreadable},
		"the key of another":         {otherText, chain, renew.PairMismatch},
		"a key in the chain's place": {keyText, keyText, renew.Unreadable},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.key, c.chain)
			fault, ok := errors.AsType[*Fault](err)
			if !ok || fault.Reason != c.reason {
				t.Fatalf("%v, want %s", err, c.reason)
			}
			if strings.Contains(err.Error(), "the CA") {
				t.Errorf("no CA had a part in it: %v", err)
			}
		})
	}
}

func TestKeysComeBackAsTheyWere(t *testing.T) {
	for _, kind := range renew.KeyTypes {
		key := newKey(t, kind)
		text, err := EncodeKey(key)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeKey(text)
		if err != nil || !Owns(back, key.Public()) {
			t.Errorf("%s: %v", kind, err)
		}
		if got, err := TypeOf(back.Public()); got != kind || err != nil {
			t.Errorf("%s reads as %s: %v", kind, got, err)
		}
	}
	if _, err := GenerateKey("ed25519"); err == nil {
		t.Error("a key type that there isn't was generated")
	}
}

func TestDecodeKeyReadsTheOlderForms(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	text := block("EC PARAMETERS", []byte{6, 1, 0}) + block("EC PRIVATE KEY", der)
	if key, err := DecodeKey([]byte(text)); err != nil || !Owns(key, ec.Public()) {
		t.Errorf("of openssl ecparam: %v", err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	der, _ = x509.MarshalPKCS8PrivateKey(ed)
	if _, err := DecodeKey([]byte(block("PRIVATE KEY", der))); err == nil {
		t.Error("Ed25519 was taken, which no public CA does")
	}
	if _, err := EncodeKey(ed); err == nil {
		t.Error("Ed25519 was encoded")
	}
	if _, err := DecodeKey([]byte(block("ENCRYPTED PRIVATE KEY", []byte{1}))); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("an encrypted key: %v", err)
	}
}

func TestCSRHasNothingButItsNames(t *testing.T) {
	key := newKey(t, renew.EC384)
	der, err := CSR(key, []string{"example.com", "*.example.com", "192.0.2.1", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || csr.CheckSignature() != nil || !Owns(key, csr.PublicKey) {
		t.Fatal(err, csr.CheckSignature())
	}
	if !slices.Equal(csr.DNSNames, []string{"example.com", "*.example.com"}) || len(csr.IPAddresses) != 2 {
		t.Errorf("names %q %q", csr.DNSNames, csr.IPAddresses)
	}
	if csr.Subject.String() != "" || len(csr.Extensions) != 1 {
		t.Errorf("subject %q, %d extensions", csr.Subject, len(csr.Extensions))
	}
	if _, err := CSR(key, nil); err == nil {
		t.Error("a request for nothing was made")
	}
}

func FuzzParse(f *testing.F) {
	root := newRoot(f, "Root")
	key := newKey(f, renew.EC256)
	text, _ := EncodeKey(key)
	f.Add(text, EncodeCertificates(root.leaf(f, key.Public()), root.cert))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), []byte("-----BEGIN CERTIFICATE-----"))
	f.Fuzz(func(t *testing.T, key, chain []byte) {
		pair, err := Parse(key, chain)
		if err != nil {
			if _, ok := errors.AsType[*Fault](err); !ok {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		if len(pair.Fingerprint) != 64 || len(pair.ChainDigest) != 64 || pair.Serial == "" || pair.KeyType == "" {
			t.Fatalf("%+v", pair)
		}
	})
}

func FuzzAccept(f *testing.F) {
	w := newWorld(f)
	key := newKey(f, renew.EC256)
	f.Add([]byte(chainOf(w.ca.leaf(f, key.Public()), w.ca.cert, w.root.cert)))
	for _, name := range []string{"the leaf after its intermediate", "a private key in the chain", "an intermediate twice"} {
		f.Add([]byte(lies[name].answer(w, key.Public())))
	}
	want := w.want
	text, _ := EncodeKey(key)
	f.Fuzz(func(t *testing.T, answer []byte) { checkAccepted(t, answer, key, text, want) })
}

// checkAccepted: what passes is a pair, for the names, valid.
func checkAccepted(t *testing.T, answer []byte, key crypto.Signer, text []byte, want Want) {
	got, err := Accept(answer, key, want)
	if err != nil {
		if _, ok := errors.AsType[*Refusal](err); !ok {
			t.Fatalf("an error without a reason: %v", err)
		}
		return
	}
	pair, err := Parse(text, append(got.Cert, got.Chain...))
	if err != nil || !slices.Equal(pair.Names, normal(want.Names)) || pair.NotAfter.Sub(want.Now) <= 0*time.Second {
		t.Fatalf("kept %+v: %v", pair, err)
	}
}
