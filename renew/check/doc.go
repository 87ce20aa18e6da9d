// Package check judges from outside whether certvigil does its work: it reads
// the state directory and makes a handshake with each endpoint, and asks the
// agent nothing. A dead agent, and one whose lap no longer goes round, can say
// so least of all.
//
// It tells apart
//
//   - no agent: nobody holds the lock of the state directory;
//   - one that starts again and again;
//   - one that hangs: it holds the lock, and its last sign of life is too old;
//   - promises that were not kept: whatever the journal and the facts say that
//     was to be done by now ([renew.Promises]), and was not;
//   - certificates near their end, by the part of the slack that is left;
//   - a pair that is broken, and a live link that is not the agent's;
//   - endpoints that answer with another certificate, or with one that is about
//     to expire;
//   - whatever else [renew.Health] finds in the journal.
//
// What it found is one line in the form of the Nagios plugin guidelines, with an
// exit code: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN. An agent that is dead is a
// warning: what is critical follows from the slack, as everywhere in certvigil.
package check
