// Package probe looks at what servers really answer: TLS handshakes with every
// address and for every name, and the verdict "served".
//
// Where TLS does not begin at once, a dialogue leads to it: one small file for
// each protocol, as far as the word that begins TLS and no further. A server may
// say 64 KiB in it, in lines of its choice; what goes wrong is told with what was
// asked, the line of what the server has said, and its words. Bytes in plain text
// behind the last word are refused: they would be taken for the server's own
// under TLS.
//
// A server may have one certificate for RSA and one for ECDSA, and shows the one
// that its client can take, so that a certificate is looked for among those of
// its own kind: first by a client that takes both, then by one of TLS 1.2 that
// takes one ([Want]).
//
// A handshake here trusts nobody. What was seen is compared with the one
// certificate that is looked for, by the digests of its bytes, so the root
// store of this host can neither hide a certificate nor vouch for one. Whether
// clients would trust it is a question of its own, which [Prober.Look] answers.
//
// Every handshake is a new connection without resumption: a server that was
// told to reload goes on answering its old connections with the old
// certificate, and for a moment mixes old and new on new ones. So "served" is
// [InARow] handshakes one after the other that all show the wanted one, and more
// after a reload ([Want]).
package probe
