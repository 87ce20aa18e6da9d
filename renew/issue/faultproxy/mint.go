package faultproxy

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// mint signs certificates with the CA's own intermediate.
type mint struct {
	cert *x509.Certificate // the intermediate
	key  crypto.Signer
	csr  *x509.CertificateRequest
	now  time.Time
	true []byte // what the CA answered
	some func() uint64
}

// issuer is an authority: the intermediate, or one below it, or one of nobody's.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

type change func(*x509.Certificate)

func (m *mint) intermediate() issuer { return issuer{m.cert, m.key} }

// newKey makes a key that nobody ordered a certificate for.
func newKey() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the system has no randomness
	}
	return key
}

// weakKey is of a size that is refused everywhere.
func weakKey() crypto.Signer {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return key
}

// leaf makes the certificate that was ordered, but for the changes.
func (m *mint) leaf(by issuer, changes ...change) *x509.Certificate {
	return m.leafFor(m.csr.PublicKey, by, changes...)
}

func (m *mint) leafFor(pub crypto.PublicKey, by issuer, changes ...change) *x509.Certificate {
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetUint64(m.some()>>1 + 1),
		DNSNames:     m.csr.DNSNames, IPAddresses: m.csr.IPAddresses,
		NotBefore: m.now.Add(-time.Minute), NotAfter: m.now.Add(90 * day),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, f := range changes {
		f(template)
	}
	return sign(template, pub, by)
}

// below makes an authority under another; by the zero issuer it is a root.
func (m *mint) below(by issuer, key crypto.Signer, changes ...change) issuer {
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetUint64(m.some()>>1 + 1),
		Subject:      pkix.Name{CommonName: "Fault Proxy CA"},
		NotBefore:    m.now.Add(-365 * day), NotAfter: m.now.Add(365 * day),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, IsCA: true, BasicConstraintsValid: true,
	}
	for _, f := range changes {
		f(template)
	}
	if by.cert == nil {
		by = issuer{template, key}
	}
	return issuer{sign(template, key.Public(), by), key}
}

func sign(template *x509.Certificate, pub crypto.PublicKey, by issuer) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, pub, by.key)
	if err != nil {
		panic("faultproxy: signing: " + err.Error()) // a lie that can't be told is a defect of its own
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic("faultproxy: reading what was signed: " + err.Error())
	}
	return cert
}

// chain writes certificates as a CA's answer.
func chain(certs ...*x509.Certificate) []byte {
	var text bytes.Buffer
	for _, c := range certs {
		text.Write(block("CERTIFICATE", c.Raw))
	}
	return text.Bytes()
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// requestIn takes the PKCS#10 request out of a signed finalize (RFC 8555, section
// 7.4); nil where there is none.
func requestIn(body []byte) *x509.CertificateRequest {
	var jws struct{ Payload string }
	var payload struct{ CSR string }
	_ = json.Unmarshal(body, &jws)
	text, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	_ = json.Unmarshal(text, &payload)
	der, _ := base64.RawURLEncoding.DecodeString(payload.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil
	}
	return csr
}

func named(names ...string) change { return func(c *x509.Certificate) { c.DNSNames = names } }

func withIP(ip string) change {
	return func(c *x509.Certificate) { c.IPAddresses = append(c.IPAddresses, net.ParseIP(ip)) }
}

func valid(from, to time.Time) change {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

func usages(all ...x509.ExtKeyUsage) change {
	return func(c *x509.Certificate) { c.ExtKeyUsage = all }
}

func signedWith(a x509.SignatureAlgorithm) change {
	return func(c *x509.Certificate) { c.SignatureAlgorithm = a }
}

// critical adds an extension that no TLS client knows.
func critical(oid ...int) change {
	return func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oid, Critical: true, Value: []byte{5, 0}})
	}
}
