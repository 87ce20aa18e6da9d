package keypair

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Issuers with RSA keys beyond these are refused: shorter ones can be broken,
// and to verify with much longer ones would keep the processor busy for hours.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// checkChain goes from the leaf upwards, link by link. What is wrong is said of
// the first link that is broken, rather than "unknown authority" of the whole.
func checkChain(certs []*x509.Certificate, now time.Time) *Refusal {
	for i, c := range certs {
		if slices.ContainsFunc(certs[:i], c.Equal) {
			return refuse(Duplicate, "the certificate %s is in it twice", called(c))
		}
		if len(c.UnhandledCriticalExtensions) > 0 {
			return refuse(CriticalExtension, "the certificate %s has the critical extension %s, which no TLS client knows",
				called(c), c.UnhandledCriticalExtensions[0])
		}
		if k, ok := c.PublicKey.(*rsa.PublicKey); ok && (k.N.BitLen() < minRSABits || k.N.BitLen() > maxRSABits) {
			return refuse(BadKeySize, "the RSA key of %s has %d bits", called(c), k.N.BitLen())
		}
	}
	for i, issuer := range certs[1:] {
		isRoot := i+2 == len(certs) && selfSigned(issuer)
		if refused := checkLink(certs[i], issuer, isRoot, now); refused != nil {
			return refused
		}
	}
	return checkStrength(withoutRoot(certs))
}

// checkLink tells whether issuer issued c, and may. The dates of a root are
// left to whoever trusts it: checkTrust.
func checkLink(c, issuer *x509.Certificate, isRoot bool, now time.Time) *Refusal {
	if !bytes.Equal(c.RawIssuer, issuer.RawSubject) {
		return refuse(BrokenChain, "%s was issued by %q, and what follows it is %s", called(c), c.Issuer.String(), called(issuer))
	}
	if !issuer.BasicConstraintsValid || !issuer.IsCA {
		return refuse(IssuerNotCA, "%s, which issued %s, is not a CA", called(issuer), called(c))
	}
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCertSign == 0 || !forServers(issuer) {
		return refuse(IssuerUsage, "%s may not issue certificates for TLS servers", called(issuer))
	}
	if !isRoot && now.Before(issuer.NotBefore) {
		return refuse(IssuerNotYetValid, "%s is valid only from %s, and the clock of this host says %s",
			called(issuer), stamp(issuer.NotBefore), stamp(now))
	}
	if !isRoot && !now.Before(issuer.NotAfter) {
		return refuse(IssuerExpired, "%s expired on %s, and the clock of this host says %s",
			called(issuer), stamp(issuer.NotAfter), stamp(now))
	}
	if err := c.CheckSignatureFrom(issuer); err != nil {
		if _, weak := errors.AsType[x509.InsecureAlgorithmError](err); weak {
			return refuse(WeakSignature, "%s is signed with %s", called(c), c.SignatureAlgorithm)
		}
		return refuse(BrokenChain, "the signature of %s is not by %s: %.200q", called(c), called(issuer), err.Error())
	}
	return nil
}

// checkStrength looks at the last one too, whose issuer was not sent.
func checkStrength(certs []*x509.Certificate) *Refusal {
	for _, c := range certs {
		switch c.SignatureAlgorithm {
		case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
			return refuse(WeakSignature, "%s is signed with %s", called(c), c.SignatureAlgorithm)
		}
	}
	return nil
}

// checkTrust tells whether the chain ends at no root that is trusted here. It
// must hold by itself all the same: name constraints, path lengths, and the
// dates of a root that came along.
func checkTrust(certs []*x509.Certificate, want Want) (untrusted bool, refused *Refusal) {
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	options := x509.VerifyOptions{
		Intermediates: between,
		CurrentTime:   want.Now,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	pools := []*x509.CertPool{want.System} // nil means those of the host
	if want.Roots != nil {
		pools = append(pools, want.Roots)
	}
	for _, pool := range pools {
		options.Roots = pool
		if _, err := certs[0].Verify(options); err == nil {
			return false, nil
		}
	}
	if len(certs) > 1 {
		options.Roots = x509.NewCertPool()
		options.Roots.AddCert(certs[len(certs)-1])
		if _, err := certs[0].Verify(options); err != nil {
			return false, refuse(InvalidChain, "no TLS client accepts it: %.300q", err.Error())
		}
	}
	if want.PublicCA {
		last := certs[len(certs)-1]
		return false, refuse(UntrustedRoot, "%s leads to %q, which is not a root that is trusted here",
			called(last), last.Issuer.String())
	}
	return true, nil
}

// withoutRoot drops the self-signed certificate at the end of the chain.
func withoutRoot(certs []*x509.Certificate) []*x509.Certificate {
	if last := len(certs) - 1; last > 0 && selfSigned(certs[last]) {
		return certs[:last]
	}
	return certs
}

// selfSigned takes the word of a certificate that is signed with a hash too
// weak to be verified: the signature of a root proves nothing in any case. One
// that merely bears the name of its issuer, as in a change of a CA's key, isn't.
func selfSigned(c *x509.Certificate) bool {
	if !bytes.Equal(c.RawIssuer, c.RawSubject) {
		return false
	}
	err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature)
	_, weak := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || weak
}

// called names a certificate in a message; what a CA wrote is quoted.
func called(c *x509.Certificate) string {
	if subject := c.Subject.String(); subject != "" {
		return fmt.Sprintf("%.200q", subject)
	}
	return "serial " + fmt.Sprintf("%.40x", c.SerialNumber)
}
