// Package renew is the pure core of certvigil: what an operator wants of one
// certificate ([Cert]), what is true of it on this host ([Facts]), and the one
// thing to do next ([Decide]).
//
// Nothing here does I/O, reads a clock, rolls dice or logs. The agent reads the
// facts afresh, asks Decide, performs the one step that it names, records the
// outcome and comes back. A certificate goes through the stages
//
//	wanted → issued → installed → deployed → served
//
// and every stage is read back from artefacts: parsed files, handshakes, or,
// where nothing can be read back (that a hook was run), the [Journal].
package renew
