package keypair

import (
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// EncodePKCS12 returns a pair, PEM, as a PKCS#12 file (RFC 7292): the key, the
// leaf, then the rest of the chain. Two encodings of one pair have other bytes.
//
// It is encrypted with AES-256 and a MAC of SHA-256, or where legacy is set, for
// what is older than OpenSSL 1.1.1, Java 12 and Windows Server 2019, with
// 3DES and SHA-1. The password is of characters that have 16 bits in UTF-16.
func EncodePKCS12(key, fullchain []byte, password string, legacy bool) ([]byte, error) {
	signer, certs, err := belonging(key, fullchain)
	if err != nil {
		return nil, fmt.Errorf("encoding a PKCS#12 file: %w", err)
	}
	encoder := pkcs12.Modern2023
	if legacy {
		encoder = pkcs12.LegacyDES
	}
	data, err := encoder.Encode(signer, certs[0], certs[1:], password)
	if err != nil {
		return nil, fmt.Errorf("encoding a PKCS#12 file: %w", err)
	}
	return data, nil
}

// DecodePKCS12 returns the key and the certificates of a PKCS#12 file as PEM, in
// the forms of [Normal].
func DecodePKCS12(data []byte, password string) (key, fullchain []byte, err error) {
	if err := affordable(data); err != nil {
		return nil, nil, fmt.Errorf("decoding a PKCS#12 file: %w", err)
	}
	private, leaf, chain, err := pkcs12.DecodeChain(data, password)
	if err != nil {
		return nil, nil, fmt.Errorf("decoding a PKCS#12 file: %w", err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, nil, fmt.Errorf("decoding a PKCS#12 file: a key of type %T cannot sign", private)
	}
	if key, err = EncodeKey(signer); err != nil {
		return nil, nil, fmt.Errorf("decoding a PKCS#12 file: %w", err)
	}
	return key, append(EncodeCertificates(leaf), EncodeCertificates(chain...)...), nil
}

// maxRounds bounds how often the MAC's key is derived: 2,048 is what others
// write, and a file may ask for years of it.
const maxRounds = 1_000_000

// affordable refuses a file that takes forever to be refused by its MAC. PBMAC1
// (RFC 9579), which is not what is written here, has its count elsewhere.
func affordable(data []byte) error {
	var pfx struct {
		Version  int
		AuthSafe asn1.RawValue
		MAC      struct {
			Mac struct {
				Algorithm pkix.AlgorithmIdentifier
				Digest    []byte
			}
			Salt   []byte
			Rounds int `asn1:"optional,default:1"`
		} `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(data, &pfx); err != nil {
		return errors.New("it is no PKCS#12 file")
	}
	if len(pfx.MAC.Mac.Algorithm.Algorithm) == 0 {
		return errors.New("it has no MAC, which the password makes")
	}
	if pfx.MAC.Mac.Algorithm.Algorithm.Equal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 14}) {
		return errors.New("its MAC is of the kind PBMAC1")
	}
	if pfx.MAC.Rounds > maxRounds {
		return fmt.Errorf("its MAC takes %d rounds, more than %d", pfx.MAC.Rounds, maxRounds)
	}
	return nil
}
