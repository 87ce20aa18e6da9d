// Package prober is the judge of certvigil's promise: it handshakes with every
// (address, name) it is given, ten times a second, and counts lapses.
//
// It is written apart from the agent and shares none of its code, so that one
// mistake can't be made by both. A lapse is a completed handshake whose
// certificate is expired, not yet valid, not for the name, or does not chain to
// a trusted root. That the key fits the certificate is proved by the handshake
// itself. A handshake that does not complete is no lapse: it is counted as down
// while the server is being restarted on purpose ([Prober.Down]), and as failed
// otherwise.
package prober
