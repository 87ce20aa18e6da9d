package keypair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/certvigil/certvigil/renew"
)

// GenerateKey makes a new private key.
func GenerateKey(kind renew.KeyType) (crypto.Signer, error) {
	switch kind {
	case renew.EC256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case renew.EC384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case renew.RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case renew.RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case renew.RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("generating a key: there is no key type %q", string(kind))
}

// TypeOf names the kind of a public key: one of [renew.KeyTypes], or a name of
// the same form ("ec521", "rsa1024") for an RSA or ECDSA key that none of them
// is. Any other algorithm is an error.
func TypeOf(pub crypto.PublicKey) (renew.KeyType, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return renew.KeyType(fmt.Sprintf("ec%d", k.Curve.Params().BitSize)), nil
	case *rsa.PublicKey:
		return renew.KeyType(fmt.Sprintf("rsa%d", k.N.BitLen())), nil
	}
	return "", fmt.Errorf("a key of type %T is neither RSA nor ECDSA", pub)
}

// EncodeKey returns the key as PKCS#8 PEM.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	if _, err := TypeOf(key.Public()); err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// DecodeKey reads one RSA or ECDSA private key: PKCS#8 as [EncodeKey] writes
// it, or the older PKCS#1 and SEC 1 forms that other clients leave behind. No
// error of it contains any of the key.
func DecodeKey(text []byte) (crypto.Signer, error) {
	if len(text) > maxKey {
		return nil, fmt.Errorf("decoding a key: %d bytes, more than %d", len(text), maxKey)
	}
	found, err := blocks(text)
	if err != nil {
		return nil, fmt.Errorf("decoding a key: %w", err)
	}
	var key any
	for _, b := range found {
		if b.Type == "EC PARAMETERS" { // openssl ecparam writes them before the key
			continue
		}
		if key != nil {
			return nil, errors.New("decoding a key: there is more than one in it")
		}
		if key, err = parseKey(b); err != nil {
			return nil, fmt.Errorf("decoding a key: %w", err)
		}
	}
	if key == nil {
		return nil, errors.New("decoding a key: there is none in it")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("decoding a key: a key of type %T cannot sign", key)
	}
	if _, err := TypeOf(signer.Public()); err != nil {
		return nil, fmt.Errorf("decoding a key: %w", err)
	}
	return signer, nil
}

func parseKey(b *pem.Block) (any, error) {
	switch b.Type {
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(b.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(b.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(b.Bytes)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errors.New("it is encrypted with a passphrase")
	}
	return nil, fmt.Errorf("a %.40q is not a private key", b.Type)
}

// CSR returns a certificate request (PKCS#10, DER) for names, each a DNS name
// or an IP address. They are all subject alternative names: there is no common
// name, which CAs drop (and which holds 64 characters only), and no must-staple.
func CSR(key crypto.Signer, names []string) ([]byte, error) {
	if len(names) == 0 {
		return nil, errors.New("making a certificate request: it has no names")
	}
	var request x509.CertificateRequest
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			request.IPAddresses = append(request.IPAddresses, net.IP(ip.AsSlice()))
			continue
		}
		request.DNSNames = append(request.DNSNames, name)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &request, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	return der, nil
}

// Owns tells whether pub is the public half of key.
func Owns(key crypto.Signer, pub crypto.PublicKey) bool {
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(pub)
}
