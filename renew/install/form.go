package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// form is how parts of a pair become the bytes of one file, and back.
type form struct {
	encode func(store.Bundle) ([]byte, error)
	decode func([]byte) (contents, error)
	mode   fs.FileMode // of a file that is new, where nothing is configured

	// sealed files have other bytes at each encoding: what is in them is compared.
	sealed bool
	locked bool // sealed, and nobody knows the password: what is there has to do
}

// contents is what a file was found to hold of a pair, as PEM.
type contents struct{ key, cert, chain, fullchain []byte }

var errNoPassword = errors.New("the password is not known")

// holds tells whether data is what the form makes of b.
func (f form) holds(data []byte, b store.Bundle) (bool, error) {
	if f.locked {
		return true, nil
	}
	if !f.sealed {
		want, err := f.encode(b)
		return bytes.Equal(data, want), err
	}
	key, fullchain, err := keypair.Normal(b.Key, b.Fullchain())
	if err != nil {
		return false, err
	}
	found, err := f.decode(data)
	if err != nil {
		return false, nil // torn, or with another password: other content
	}
	return bytes.Equal(found.key, key) && bytes.Equal(found.fullchain, fullchain), nil
}

const (
	newKeyMode  fs.FileMode = 0o600
	newCertMode fs.FileMode = 0o644
)

// part is one part of a pair as PEM.
func part(name string, b store.Bundle) []byte {
	switch name {
	case "key":
		return b.Key
	case "cert":
		return b.Cert
	case "chain":
		return b.Chain
	default:
		return b.Fullchain()
	}
}

// pem is a file with one part in it.
func pem(name string) form {
	f := form{mode: newCertMode, encode: func(b store.Bundle) ([]byte, error) { return part(name, b), nil }}
	f.decode = func(data []byte) (c contents, err error) {
		switch name {
		case "key":
			c.key = data
		case "cert":
			c.cert = data
		case "chain":
			c.chain = data
		default:
			c.fullchain = data
		}
		return c, nil
	}
	if name == "key" {
		f.mode = newKeyMode
	}
	return f
}

// bundle is a file with several parts in it, one after the other.
func bundle(parts []string) form {
	f := form{mode: newCertMode, decode: apartPEM}
	if slices.Contains(parts, "key") {
		f.mode = newKeyMode
	}
	f.encode = func(b store.Bundle) ([]byte, error) {
		var all []byte
		for _, name := range parts {
			text := part(name, b)
			all = append(all, text...)
			if len(text) > 0 && text[len(text)-1] != '\n' {
				all = append(all, '\n') // or the next part would begin within a line
			}
		}
		return all, nil
	}
	return f
}

func apartPEM(data []byte) (c contents, err error) {
	c.key, c.fullchain, err = keypair.Split(data)
	return c, err
}

// der is a file with the key or the leaf in it.
func der(name string) form {
	if name == "key" {
		return form{
			mode:   newKeyMode,
			encode: func(b store.Bundle) ([]byte, error) { return keypair.KeyDER(b.Key) },
			decode: func(data []byte) (c contents, err error) { c.key, err = keypair.KeyFromDER(data); return c, err },
		}
	}
	return form{
		mode:   newCertMode,
		encode: func(b store.Bundle) ([]byte, error) { return keypair.CertificateDER(b.Cert) },
		decode: func(data []byte) (c contents, err error) {
			c.cert, err = keypair.CertificateFromDER(data)
			return c, err
		},
	}
}

// sealed is the form of an output that takes a password.
func sealed(o renew.Output) form {
	f := form{sealed: true, mode: newKeyMode}
	if o.Password == nil {
		f.locked = true
		f.encode = func(store.Bundle) ([]byte, error) { return nil, errNoPassword }
		f.decode = func([]byte) (contents, error) { return contents{}, errNoPassword }
		return f
	}
	f.encode = func(b store.Bundle) ([]byte, error) {
		if o.Format == formatJKS {
			return keypair.EncodeJKS(b.Key, b.Fullchain(), o.Password.Reveal(), o.Alias)
		}
		return keypair.EncodePKCS12(b.Key, b.Fullchain(), o.Password.Reveal(), o.Legacy)
	}
	f.decode = func(data []byte) (c contents, err error) {
		if o.Format == formatJKS {
			c.key, c.fullchain, err = keypair.DecodeJKS(data, o.Password.Reveal(), o.Alias)
		} else {
			c.key, c.fullchain, err = keypair.DecodePKCS12(data, o.Password.Reveal())
		}
		return c, err
	}
	return f
}

// The formats of an output.
const (
	formatPEM    = "pem"
	formatBundle = "bundle"
	formatPKCS12 = "pkcs12"
	formatJKS    = "jks"
	formatDER    = "der"
)

// formed pairs each path of an output with its form, in the order in which they
// are switched: the key first and fullchain last. Of a directory it has the
// files in it.
func formed(o renew.Output) ([]file, error) {
	switch o.Format {
	case formatPEM, "":
		if o.Directory != "" {
			in := func(name string) string { return o.Directory + "/" + name }
			return []file{
				{path: in("privkey.pem"), form: pem("key")}, {path: in("chain.pem"), form: pem("chain")},
				{path: in("cert.pem"), form: pem("cert")}, {path: in("fullchain.pem"), form: pem("fullchain")},
			}, nil
		}
		return []file{
			{path: o.Key, form: pem("key")}, {path: o.Chain, form: pem("chain")},
			{path: o.Cert, form: pem("cert")}, {path: o.Fullchain, form: pem("fullchain")},
		}, nil
	case formatBundle:
		return []file{{path: o.Path, form: bundle(o.Parts)}}, nil
	case formatPKCS12, formatJKS:
		return []file{{path: o.Path, form: sealed(o)}}, nil
	case formatDER:
		return []file{{path: o.Key, form: der("key")}, {path: o.Cert, form: der("cert")}}, nil
	}
	return nil, fmt.Errorf("there is no format %q", o.Format)
}
