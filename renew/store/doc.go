// Package store keeps certvigil's state directory: accounts, the versions of
// every certificate, which of them is live, and the journal.
//
// # Layout
//
// This is a published schema: other programs may read it, and point at live/.
// Files are added to it, never renamed.
//
//	.                                   0755
//	lock                                0600  flock(2) is held by the process that may write; holds its pid for a person;
//	                                          its date is the last sign of life
//	starts                              0600  when that process and the last ones before it began, one RFC 3339 time a line
//	accounts/                           0700
//	accounts/<host>/<id>/               0700  <host>: of the ACME directory's URL, what is not [a-z0-9.-] as "_"
//	                                          <id>: 16 hex digits of the SHA-256 of the URL, "\n" and the EAB key's id
//	    key.pem                         0600  PKCS#8; written first, never replaced by another key
//	    account.json                    0600  [Account]
//	    ledger.json                     0600  renew.Ledger, what was spent of the CA's limits; no second copy
//	accounts-backup/                    0700  a second copy of all that is in accounts/
//	certs/<name>/                       0755  <name>: the certificate's label
//	    journal.json                    0640  renew.Journal, with what a failing hook printed; an unreadable one is kept as journal.json.bad
//	    order/                          0700  the order in flight; none without it
//	        order.json                  0600  [Order]
//	        privkey.pem                 0600  PKCS#8
//	        csr.der                     0600  PKCS#10
//	    versions/<n>/                   0755  <n>: 1 to 1000000000; only ever grows; another number is left alone
//	        privkey.pem                 0600  PKCS#8
//	        cert.pem                    0644  the leaf
//	        chain.pem                   0644  the intermediates in order, without the root; may be empty
//	        fullchain.pem               0644  cert.pem, then chain.pem
//	        meta.json                   0644  [Meta]
//	live/<name>                               symlink to ../certs/<name>/versions/<n>
//
// What ends in ".tmp" is unfinished work or on its way out: it is never read,
// and removed by the next [Open] (in accounts/, by the next change of that
// account). Everything belongs to the owner of the state
// directory where root writes it.
//
// # What a reader sees
//
// A version is complete from the moment that it has its number, and never
// changes afterwards. live/<name> is switched by rename: who opens
// live/<name>/privkey.pem and live/<name>/fullchain.pem gets the old pair or
// the new one (open live/<name> once, where both files must be of one version).
// That holds after a crash and after a loss of power: files are synced before
// they are renamed, directories after.
//
// # What is trusted
//
// Nothing that is read back. A version is parsed and compared whenever a file
// of it changed, and one that doesn't hold together carries a fault instead of
// an error. No file of certvigil's own making that is lost or garbled stops a
// renewal: journal, order and meta.json are rebuilt, or read as empty. Only the
// host's own failures (EIO, EACCES, EMFILE …) are errors of reading.
package store
