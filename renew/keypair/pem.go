package keypair

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// What is read at most: a chain that is longer is no TLS server's.
const (
	maxAnswer       = 1 << 20 // bytes of PEM
	maxCertificates = 10
	maxKey          = 64 << 10 // bytes of PEM of a private key
)

const certificateBlock = "CERTIFICATE"

// blocks decodes every PEM block of text. pem.Decode skips a block that is torn
// or garbled as if it were a comment; here it is an error, so that a file that
// lost its end is not taken for a shorter one.
func blocks(text []byte) ([]*pem.Block, error) {
	begun := bytes.Count(text, []byte("-----BEGIN"))
	if begun > 2*maxCertificates {
		return nil, fmt.Errorf("%d PEM blocks are too many", begun)
	}
	var found []*pem.Block
	for rest := text; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		found = append(found, b)
	}
	if len(found) != begun {
		return nil, fmt.Errorf("%d PEM blocks begin and %d are whole", begun, len(found))
	}
	return found, nil
}

// EncodeCertificates returns the certificates as PEM, in their order.
func EncodeCertificates(certs ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})...)
	}
	return text
}

// DecodeCertificates reads a chain: CERTIFICATE blocks only, at least one, at
// most ten, 1 MiB at most. Text between the blocks is ignored (RFC 7468,
// section 2). Whether they belong together is not looked at.
func DecodeCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxAnswer {
		return nil, refuse(TooLarge, "%d bytes of certificates, more than %d", len(text), maxAnswer)
	}
	found, err := blocks(text)
	if err != nil {
		return nil, refuse(NotPEM, "%v", err)
	}
	if len(found) == 0 {
		return nil, refuse(NoCertificate, "there is no certificate in it")
	}
	if len(found) > maxCertificates {
		return nil, refuse(TooMany, "%d certificates, more than %d", len(found), maxCertificates)
	}
	certs := make([]*x509.Certificate, 0, len(found))
	for i, b := range found {
		if b.Type != certificateBlock {
			return nil, refuse(NotPEM, "block %d is a %.40q, not a certificate", i+1, b.Type)
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, refuse(Unparsable, "certificate %d: %.200q", i+1, err.Error())
		}
		certs = append(certs, c)
	}
	return certs, nil
}
