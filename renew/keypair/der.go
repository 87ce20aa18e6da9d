package keypair

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// Normal returns a pair, PEM, as [EncodeKey] and [EncodeCertificates] write it:
// two that hold the same are the same bytes.
func Normal(key, fullchain []byte) (normalKey, normalChain []byte, err error) {
	signer, certs, err := belonging(key, fullchain)
	if err != nil {
		return nil, nil, err
	}
	normalKey, err = EncodeKey(signer)
	return normalKey, EncodeCertificates(certs...), err
}

// belonging parses a pair.
func belonging(key, fullchain []byte) (crypto.Signer, []*x509.Certificate, error) {
	signer, err := DecodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	certs, err := DecodeCertificates(fullchain)
	if err != nil {
		return nil, nil, err
	}
	if !Owns(signer, certs[0].PublicKey) {
		return nil, nil, errors.New("the key is not that of the first certificate")
	}
	return signer, certs, nil
}

// KeyDER returns a key, PEM, as PKCS#8 DER.
func KeyDER(key []byte) ([]byte, error) {
	signer, err := DecodeKey(key)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(signer)
}

// KeyFromDER returns a key of PKCS#8 DER as [EncodeKey] does.
func KeyFromDER(der []byte) ([]byte, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errors.New("decoding a key: it is no PKCS#8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("decoding a key: a key of type %T cannot sign", key)
	}
	return EncodeKey(signer)
}

// CertificateDER returns the first certificate of a PEM text as DER.
func CertificateDER(cert []byte) ([]byte, error) {
	certs, err := DecodeCertificates(cert)
	if err != nil {
		return nil, err
	}
	return certs[0].Raw, nil
}

// CertificateFromDER returns a certificate as PEM.
func CertificateFromDER(der []byte) ([]byte, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("decoding a certificate: %w", err)
	}
	return EncodeCertificates(cert), nil
}

// Split takes a PEM text apart that holds a key and certificates in any order.
// The certificate of the key comes first; either part may be empty.
func Split(text []byte) (key, fullchain []byte, err error) {
	if len(text) > maxAnswer {
		return nil, nil, fmt.Errorf("%d bytes of PEM, more than %d", len(text), maxAnswer)
	}
	found, err := blocks(text)
	if err != nil {
		return nil, nil, err
	}
	var certs []*x509.Certificate
	for _, b := range found {
		if b.Type != certificateBlock {
			key = append(key, pem.EncodeToMemory(b)...)
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("certificate %d: %.200q", len(certs)+1, err.Error())
		}
		certs = append(certs, c)
	}
	if signer, err := DecodeKey(key); err == nil {
		own := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return Owns(signer, c.PublicKey) })
		if own > 0 {
			leaf := certs[own]
			certs = slices.Insert(slices.Delete(certs, own, own+1), 0, leaf)
		}
	}
	return key, EncodeCertificates(certs...), nil
}
