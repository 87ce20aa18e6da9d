package probe

import (
	"crypto/tls"
	"crypto/x509"
	"strings"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// kind is a kind of key as the suites of TLS 1.2 are called by: a server that has
// a certificate for each kind shows the one that the client can take.
type kind string

// The kinds that certificates have; the empty kind is any.
const (
	rsaKind kind = "RSA"
	ecKind  kind = "ECDSA"
)

// other is the kind beside k that a server may have a certificate of.
func (k kind) other() kind {
	switch k {
	case rsaKind:
		return ecKind
	case ecKind:
		return rsaKind
	default:
		return ""
	}
}

func kindOf(t renew.KeyType) kind {
	switch {
	case strings.HasPrefix(string(t), "rsa"):
		return rsaKind
	case strings.HasPrefix(string(t), "ec"):
		return ecKind
	default:
		return ""
	}
}

// keyType names the key of a certificate; empty where it is of neither kind.
func keyType(cert *x509.Certificate) renew.KeyType {
	t, _ := keypair.TypeOf(cert.PublicKey) // its error says no more than an empty type
	return t
}

// suites lists what a client offers in TLS 1.2 and before that can take only
// this kind. Old and weak ones are among them: this looks, and sends nothing
// worth protecting.
func (k kind) suites() []uint16 {
	var ids []uint16
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if k == "" || strings.Contains(s.Name, "_"+string(k)+"_") || k == rsaKind && strings.HasPrefix(s.Name, "TLS_RSA_") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}
