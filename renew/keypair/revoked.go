package keypair

import (
	"crypto/x509"
	"errors"
	"math/big"
	"net/url"
)

// maxPoint is the longest URL of a revocation list that is taken from a leaf.
const maxPoint = 500

// Revocable is what it takes to find a certificate on its CA's revocation list.
type Revocable struct {
	URL    string
	Serial *big.Int
	Issuer *x509.Certificate // who must have signed the list
}

// RevocableOf reads it from PEM, the leaf first.
func RevocableOf(fullchain []byte) (Revocable, error) {
	certs, err := DecodeCertificates(fullchain)
	if err != nil {
		return Revocable{}, err
	}
	r, ok := revocable(certs)
	if !ok {
		return Revocable{}, errors.New("the certificate names no revocation list, or its issuer is not in the chain")
	}
	return r, nil
}

// revocable answers false where the leaf names no list that can be fetched, or
// where who issued it did not come along: its list could not be verified.
func revocable(certs []*x509.Certificate) (Revocable, bool) {
	point := pointOf(certs[0])
	if point == "" || len(certs) < 2 {
		return Revocable{}, false
	}
	return Revocable{URL: point, Serial: certs[0].SerialNumber, Issuer: certs[1]}, true
}

// pointOf is the first of the leaf's distribution points that is asked by HTTP
// (RFC 5280, section 4.2.1.13).
func pointOf(leaf *x509.Certificate) string {
	for _, p := range leaf.CRLDistributionPoints {
		u, err := url.Parse(p)
		if err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && len(p) <= maxPoint {
			return p
		}
	}
	return ""
}
