package keypair

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

const password = "not-a-secret-here"

// pairOf makes a pair with one intermediate, PEM.
func pairOf(t testing.TB, kind renew.KeyType) (key, fullchain []byte) {
	t.Helper()
	signer := newKey(t, kind)
	inter := newRoot(t, "Root").under(t, "Intermediate")
	key, err := EncodeKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, EncodeCertificates(inter.leaf(t, signer.Public()), inter.cert)
}

// sealed are the formats that take a password.
var sealed = map[string]struct {
	encode func(key, fullchain []byte, password string) ([]byte, error)
	decode func(data []byte, password string) (key, fullchain []byte, err error)
}{
	"pkcs12": {
		func(k, c []byte, p string) ([]byte, error) { return EncodePKCS12(k, c, p, false) }, DecodePKCS12,
	},
	"pkcs12 legacy": {
		func(k, c []byte, p string) ([]byte, error) { return EncodePKCS12(k, c, p, true) }, DecodePKCS12,
	},
	"jks": {
		func(k, c []byte, p string) ([]byte, error) { return EncodeJKS(k, c, p, "www") },
		func(d []byte, p string) ([]byte, []byte, error) { return DecodeJKS(d, p, "www") },
	},
}

func TestASealedPairComesBackAsItWas(t *testing.T) {
	for name, format := range sealed {
		for _, kind := range []renew.KeyType{renew.EC256, renew.EC384, renew.RSA2048} {
			key, chain := pairOf(t, kind)
			data, err := format.encode(key, chain, password)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			gotKey, gotChain, err := format.decode(data, password)
			if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(gotChain, chain) {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
			again, err := format.encode(key, chain, password)
			if err != nil || bytes.Equal(again, data) {
				t.Errorf("%s: two encodings are the same, which nobody counts on: %v", name, err)
			}
		}
	}
}

func TestASealedFileIsRefusedWithItsReason(t *testing.T) {
	key, chain := pairOf(t, renew.EC256)
	otherKey, _ := pairOf(t, renew.EC256)
	for name, format := range sealed {
		data, err := format.encode(key, chain, password)
		if err != nil {
			t.Fatal(err)
		}
		for what, change := range map[string]func() ([]byte, string){
			"another password": func() ([]byte, string) { return data, "mistaken" },
			"torn":             func() ([]byte, string) { return data[:len(data)-40], password },
			"empty":            func() ([]byte, string) { return nil, password },
			"PEM":              func() ([]byte, string) { return key, password },
			"garbled": func() ([]byte, string) {
				bad := bytes.Clone(data)
				bad[len(bad)/2] ^= 1
				return bad, password
			},
		} {
			text, with := change()
			if _, _, err := format.decode(text, with); err == nil || strings.Contains(err.Error(), with) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if _, err := format.encode(otherKey, chain, password); err == nil {
			t.Errorf("%s: a key that is not the certificate's was encoded", name)
		}
	}
}

func TestAnotherAliasIsAnotherEntry(t *testing.T) {
	key, chain := pairOf(t, renew.EC256)
	data, err := EncodeJKS(key, chain, password, "www")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := DecodeJKS(data, password, "mail"); err == nil || !strings.Contains(err.Error(), `"mail"`) {
		t.Error(err)
	}
}

// Without the bound a lap would hang for years.
func TestAFileThatTakesYearsToBeRefused(t *testing.T) {
	key, chain := pairOf(t, renew.EC256)
	data, err := EncodePKCS12(key, chain, password, false)
	if err != nil {
		t.Fatal(err)
	}
	// The count of the MAC is the last thing in the file: INTEGER 2048.
	count, err := asn1.Marshal(2048)
	if err != nil || !bytes.HasSuffix(data, count) {
		t.Fatalf("the file does not end with the count: %x, %v", data[len(data)-8:], err)
	}
	var pfx struct {
		Version  int
		AuthSafe asn1.RawValue
		MAC      struct {
			Mac    asn1.RawValue
			Salt   []byte
			Rounds int
		}
	}
	if _, err := asn1.Unmarshal(data, &pfx); err != nil {
		t.Fatal(err)
	}
	pfx.MAC.Rounds = 1 << 40
	if data, err = asn1.Marshal(pfx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := DecodePKCS12(data, password); err == nil || !strings.Contains(err.Error(), "rounds") {
		t.Error(err)
	}
}

func TestOpenSSLReadsWhatIsWritten(t *testing.T) {
	for _, kind := range []renew.KeyType{renew.EC256, renew.RSA2048} {
		key, chain := pairOf(t, kind)
		for _, legacy := range []bool{false, true} {
			data, err := EncodePKCS12(key, chain, password, legacy)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"pkcs12", "-nodes", "-passin", "env:CERTVIGIL_TEST_PASSWORD"}
			if legacy {
				args = append(args, "-legacy")
			}
			text := openssl(t, data, args...)
			gotKey, gotChain, err := Split(text)
			if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(gotChain, chain) {
				t.Errorf("%s, legacy %v: %v\n%s", kind, legacy, err, text)
			}
		}
		der, err := KeyDER(key)
		if err != nil {
			t.Fatal(err)
		}
		if text := openssl(t, der, "pkey", "-inform", "DER"); !bytes.Equal(text, key) {
			t.Errorf("%s: %s", kind, text)
		}
		if der, err = CertificateDER(chain); err != nil {
			t.Fatal(err)
		}
		if text := openssl(t, der, "x509", "-inform", "DER"); !bytes.HasPrefix(chain, text) || len(text) == 0 {
			t.Errorf("%s: %s", kind, text)
		}
	}
}

func openssl(t *testing.T, input []byte, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	if err := os.WriteFile(path, input, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("openssl", append(args, "-in", path)...)
	cmd.Env = append(os.Environ(), "CERTVIGIL_TEST_PASSWORD="+password)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, said.String())
	}
	return out
}

func TestDERComesBackAsItWas(t *testing.T) {
	key, chain := pairOf(t, renew.EC256)
	der, err := KeyDER(key)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := KeyFromDER(der); err != nil || !bytes.Equal(back, key) {
		t.Errorf("key: %v", err)
	}
	cert, err := CertificateDER(chain)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := CertificateFromDER(cert); err != nil || !bytes.HasPrefix(chain, back) {
		t.Errorf("certificate: %v", err)
	}
	if _, err := KeyFromDER(cert); err == nil {
		t.Error("a certificate is a key")
	}
	if _, err := CertificateFromDER(der); err == nil {
		t.Error("a key is a certificate")
	}
}

func TestSplitFindsTheLeafWhereverItStands(t *testing.T) {
	key, chain := pairOf(t, renew.EC256)
	certs, err := DecodeCertificates(chain)
	if err != nil {
		t.Fatal(err)
	}
	leaf, inter := EncodeCertificates(certs[0]), EncodeCertificates(certs[1])
	for i, text := range [][]byte{
		bytes.Join([][]byte{key, leaf, inter}, nil), bytes.Join([][]byte{inter, key, leaf}, nil), bytes.Join([][]byte{inter, leaf, key}, nil),
	} {
		gotKey, gotChain, err := Split(text)
		if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(gotChain, chain) {
			t.Errorf("order %d: %v", i, err)
		}
	}
	if _, _, err := Split(chain[:len(chain)-30]); err == nil {
		t.Error("a torn file is taken for a shorter one")
	}
}

func TestNormalIsTheSameForOneKeyInTwoForms(t *testing.T) {
	key, chain := pairOf(t, renew.EC256)
	commented := fmt.Appendf(nil, "a comment\n%s\n", chain)
	gotKey, gotChain, err := Normal(key, commented)
	if err != nil || !bytes.Equal(gotKey, key) || !bytes.Equal(gotChain, chain) {
		t.Error(err)
	}
}

// Whatever lies at an operator's path: no panic, and no gigabytes.
func FuzzSealed(f *testing.F) {
	key, chain := pairOf(f, renew.EC256)
	for _, format := range sealed {
		data, err := format.encode(key, chain, password)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add(append(chain, key...))
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, format := range sealed {
			k, c, err := format.decode(data, password)
			if err != nil {
				continue
			}
			if _, _, err := Normal(k, c); err != nil && len(c) > 0 {
				t.Logf("%s: decoded, and no pair: %v", name, err)
			}
		}
		_, _, _ = Split(data)
	})
}
