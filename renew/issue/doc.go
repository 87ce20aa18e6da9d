// Package issue obtains certificates by ACME (RFC 8555) and asks CAs when to
// renew them (RFC 9773).
//
// It owns the account of each issuer, one order at a time for each certificate,
// the answering of http-01 challenges, and the translation of whatever a CA, or
// what stands in front of it, answers into a [renew.Failure]. It refuses to keep
// a certificate that package keypair does not accept, to follow a URL to another
// origin than the configured directory's, and to send anything but https.
//
// Nothing is kept in memory that a restart needs. In this order, each durable in
// the [Books] before the next: the account's key, the account's URL, the key and
// CSR of an order, the order's URL, the version. A crash at any point costs at
// most one order too many.
//
// Signing and the shapes of requests come from lego's acme/api, which takes no
// context and sleeps where it retries. So every exchange goes through a
// RoundTripper of our own ([wire]) that knows the context of its job, and hands
// any answer that is no success to us as an error, before lego sees it. This is
// the only package that imports lego: a move to its next major version is a
// change here and nowhere else.
package issue
