// Package crl finds out whether certificates are revoked: it fetches their CA's
// revocation lists (RFC 5280, section 5), believes none that is not signed by
// the CA that issued the certificate, and keeps of each what it takes to answer
// for every certificate that is on the same list.
//
// It knows nothing of how certificates are kept. What is not known is an error,
// and nobody's reason to wait.
package crl
