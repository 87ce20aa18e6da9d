// Package keypair turns the bytes of a private key and its certificates into
// facts, and judges what a CA answers with before any of it is kept. It knows
// no files and reads no clock.
//
// [Parse] reads a pair that is already held. [Accept] checks the whole answer
// of a CA, which is data of a stranger until then. The rest makes keys and
// requests, and the two digests by which a certificate is recognised on a wire;
// and it writes a pair as servers want it that don't read PEM (PKCS#12, Java
// keystores, DER), and reads it back.
//
// Keys are RSA or ECDSA: nothing else is accepted by the public CAs, nor by all
// of the TLS clients.
package keypair
