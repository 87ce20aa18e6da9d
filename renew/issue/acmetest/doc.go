// Package acmetest runs a real ACME server (Let's Encrypt's Pebble) inside the
// calling process, on loopback, over TLS under a root of its own. Tests, the
// demonstration and the soak issue their certificates from it.
//
// Pebble is meant to be hostile; here it is made reproducible: it neither sleeps
// nor rejects nonces unless asked to, its renewal windows scale with the
// lifetime, and two of its deadlocks are kept from happening. Faults are put in
// front of it with [Options.Middleware].
package acmetest
