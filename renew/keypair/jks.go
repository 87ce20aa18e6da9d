package keypair

import (
	"bytes"
	digest "crypto/sha1" // what the format is made of
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/pavlo-v-chernykh/keystore-go/v4"
)

// EncodeJKS returns a pair, PEM, as a Java keystore with one entry, whose
// password is that of the store, as servers take it to be. Two encodings of one
// pair have other bytes. The password is ASCII: other characters are encoded by
// the library in another way than by Java.
func EncodeJKS(key, fullchain []byte, password, alias string) ([]byte, error) {
	signer, certs, err := belonging(key, fullchain)
	if err != nil {
		return nil, fmt.Errorf("encoding a Java keystore: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		return nil, fmt.Errorf("encoding a Java keystore: %w", err)
	}
	entry := keystore.PrivateKeyEntry{PrivateKey: der, CreationTime: certs[0].NotBefore}
	for _, c := range certs {
		entry.CertificateChain = append(entry.CertificateChain, keystore.Certificate{Type: "X.509", Content: c.Raw})
	}
	store := keystore.New()
	if err := store.SetPrivateKeyEntry(alias, entry, []byte(password)); err != nil {
		return nil, fmt.Errorf("encoding a Java keystore: %w", err)
	}
	var data bytes.Buffer
	if err := store.Store(&data, []byte(password)); err != nil {
		return nil, fmt.Errorf("encoding a Java keystore: %w", err)
	}
	return data.Bytes(), nil
}

// DecodeJKS returns the key and the certificates of the entry alias as PEM, in
// the forms of [Normal].
func DecodeJKS(data []byte, password, alias string) (key, fullchain []byte, err error) {
	if !sealedWith(data, password) {
		return nil, nil, errors.New("decoding a Java keystore: it is torn, or no keystore, or has another password")
	}
	store := keystore.New()
	if err := store.Load(bytes.NewReader(data), []byte(password)); err != nil {
		return nil, nil, fmt.Errorf("decoding a Java keystore: %w", err)
	}
	entry, err := store.GetPrivateKeyEntry(alias, []byte(password))
	if err != nil {
		return nil, nil, fmt.Errorf("decoding a Java keystore: the entry %q: %w", alias, err)
	}
	if key, err = KeyFromDER(entry.PrivateKey); err != nil {
		return nil, nil, fmt.Errorf("decoding a Java keystore: %w", err)
	}
	for _, c := range entry.CertificateChain {
		fullchain = append(fullchain, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Content})...)
	}
	return key, fullchain, nil
}

// sealedWith tells whether the digest that a keystore ends with is that of its
// bytes and the password. The library looks at it last, after it has believed
// every length and count in the file: a torn file could have it ask for
// gigabytes.
func sealedWith(data []byte, password string) bool {
	if len(data) < digest.Size {
		return false
	}
	h := digest.New()
	for _, b := range []byte(password) {
		h.Write([]byte{0, b}) // UTF-16
	}
	h.Write([]byte("Mighty Aphrodite")) // as in every implementation of the format
	h.Write(data[:len(data)-digest.Size])
	return subtle.ConstantTimeCompare(h.Sum(nil), data[len(data)-digest.Size:]) == 1
}
