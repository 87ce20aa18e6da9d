package renew

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// KeyType is the kind of private key a certificate is to have.
type KeyType string

// The key types that public CAs accept for TLS servers.
const (
	EC256   KeyType = "ec256"
	EC384   KeyType = "ec384"
	RSA2048 KeyType = "rsa2048"
	RSA3072 KeyType = "rsa3072"
	RSA4096 KeyType = "rsa4096"
)

// KeyTypes lists every [KeyType], the recommended one first.
var KeyTypes = []KeyType{EC256, EC384, RSA2048, RSA3072, RSA4096}

// Fraction is a part of a lifetime, between 0 and 1. Zero means the default.
type Fraction float64

// Cert is one certificate as the configuration asks for it.
type Cert struct {
	Name         string            // the block's label; also the folder's name in the state directory
	Names        []string          // identifiers as ParseName returns them; at least one, no duplicates
	Issuers      []Issuer          // in order of preference; at least one
	Solver       string            // which solver answers the challenges, as "type.name"
	KeyType      KeyType           //
	ReuseKey     bool              // keep the key of the version before
	LifetimeLeft Fraction          // renew when this much of the lifetime is left; zero means the default
	ARI          bool              // ask the CA when to renew (RFC 9773)
	Rescue       bool              // rather without a name that does not validate than not at all
	Window       Window            // when renewals are wanted that can wait; zero means any time
	OnChange     OnChange          // what is done about a pair that someone else puts in place; empty means Adopting
	Outputs      []Output          // the operator's own paths, beside live/<name>
	Hooks        []string          // run in this order after an install
	HookWindows  map[string]Window // when a hook is wanted that can wait; one that is not here, at any time
	Endpoints    []Endpoint        // what must serve it; none, and not Auto, means that nobody proves it
	Auto         bool              // search for what serves it, beside the Endpoints
}

// Issuer is what the core needs to know of a CA.
type Issuer struct {
	Name      string // the block's label
	Directory string // the ACME directory's URL (RFC 8555, section 7.1.1)
	Profile   string // the certificate profile asked for; may be empty
}

// Output is one set of files that the operator wants beside live/<name>.
// A path left empty is not written.
type Output struct {
	Format    string // "pem", "bundle", "pkcs12", "jks" or "der"
	Key       string
	Cert      string // the leaf alone
	Chain     string // the intermediates alone
	Fullchain string // the leaf, then the intermediates
	Directory string // of PEM files: a symlink that is switched with all of them in it
	Path      string // of a bundle, a PKCS#12 file or a keystore: the one file

	Parts    []string // of a bundle: "key", "cert", "chain" and "fullchain" in its order
	Legacy   bool     // of a PKCS#12 file: encrypted for old readers
	Alias    string   // of a keystore: the entry's name
	Password Password // of what takes one; nil where nobody knows it

	Owner string // a user name or number; empty leaves it to the agent's own
	Group string
	Mode  fs.FileMode // permission bits of the key; see package install for the others
	ACL   []string    // who may read the files too: "u:NAME:r" or "g:NAME:r"; nil leaves it to the file that is replaced
}

// Password is a secret that prints as nothing of it, and is asked for itself
// only where it is used.
type Password interface{ Reveal() string }

// DirectoryFiles are the files in an output's Directory, in the order of
// [Output.Paths].
var DirectoryFiles = []string{"fullchain.pem", "cert.pem", "chain.pem", "privkey.pem"}

// Paths lists what the output names, in the order declared, and what lies in its
// Directory.
func (o Output) Paths() []string {
	all := []string{o.Fullchain, o.Cert, o.Chain, o.Key, o.Path, o.Directory}
	if o.Directory != "" {
		for _, name := range DirectoryFiles {
			all = append(all, o.Directory+"/"+name)
		}
	}
	return slices.DeleteFunc(all, func(p string) bool { return p == "" })
}

// digest stands for what is printed: equal where that is.
func digest(format string, args ...any) string {
	return digestOf(fmt.Appendf(nil, format, args...))
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// outlined is what is known of outputs without credentials: whoever has none is
// to get the same digest.
func outlined(all []Output) []Output {
	all = slices.Clone(all)
	for i := range all {
		all[i].Password = nil
	}
	return all
}

// Set identifies the exact set of names that the certificate covers, in
// whatever order: CAs count their limits by it.
func (c Cert) Set() string { return nameSet(c.Names) }

func nameSet(names []string) string {
	if !slices.IsSorted(names) {
		names = slices.Sorted(slices.Values(names))
	}
	return digestOf([]byte(strings.Join(names, "\n")))
}

// sameSet tells whether two lists hold the same names, in whatever order.
func sameSet(a, b []string) bool {
	return slices.Equal(a, b) || nameSet(a) == nameSet(b)
}

// Lifetimes below this are renewed with half of the lifetime left, the others
// with a third: what Let's Encrypt recommends and the CA's own windows use.
const shortLifetime = 10 * 24 * time.Hour

func (c Cert) lifetimeLeft(lifetime time.Duration) Fraction {
	switch {
	case c.LifetimeLeft > 0:
		return c.LifetimeLeft
	case lifetime < shortLifetime:
		return 1.0 / 2
	default:
		return 1.0 / 3
	}
}
