// Package probe looks at what servers really answer: TLS handshakes with every
// address and for every name, and the verdict "served".
//
// A handshake here trusts nobody. What was seen is compared with the one
// certificate that is looked for, by the digests of its bytes, so the root
// store of this host can neither hide a certificate nor vouch for one. Whether
// clients would trust it is a question of its own, which [Prober.Look] answers.
//
// Every handshake is a new connection without resumption: a server that was
// told to reload goes on answering its old connections with the old
// certificate, and for a moment mixes old and new on new ones. So "served" is
// [InARow] handshakes one after the other that all show the wanted one.
package probe
