// Package faultproxy stands between an ACME client and the test CA of package
// acmetest, and does to their traffic what networks, front ends and CAs have been
// seen to do. It is for tests: the agent does not link it.
//
// A [Proxy] is an https server of its own. It passes the Host header on, from
// which Pebble builds its URLs, so that to the client it is the CA. From the true
// answers it learns what each URL is (an order, an authorization, a certificate)
// and whose, so that a [Rule] can say: on the second call of this [Kind] for this
// name or account, do that [Action]. The first rule that matches acts; without one
// a call is passed on.
//
// What a rule does follows from the calls and the seed alone, but for the keys
// that a [Lie] is signed for, which are always fresh.
//
// Every call is kept in the [History], for a checker. With [Limits] the rate
// limits of Let's Encrypt are counted on what the CA granted, on a time scale of
// the test's own.
package faultproxy
