// Package install writes a pair to the operator's own paths, beside live/<name>
// of the state directory, and tells whether it still stands there.
//
// # Format "pem"
//
// Up to four files, each only where the output names a path for it: key
// (PKCS#8), cert (the leaf), chain (the intermediates, possibly an empty file)
// and fullchain (leaf, then intermediates).
//
// # Owner, group and mode
//
// What the output configures holds for all of its files: a mode of 0640 is that
// of the key and of the certificates. What it leaves open is taken from the file
// that is replaced, as far as this process may (root may always); for a file
// that is new it is this process's own user and group, and mode 0600 for the
// key, 0644 for the others. All of it is set before a file gets its name.
//
// # Several files can't be switched at once
//
// Every file is written and synced beside its destination first. Then they are
// renamed back to back, the key first and fullchain last, so that who watches
// the certificate finds its key there already. Between the first rename and the
// last (microseconds; for good, if the host goes down just then or a rename
// fails) the files are of two versions, and a server that starts in that moment
// finds a key that is not its certificate's. [Check] finds that, and [Write]
// mends it. live/<name> has no such moment: servers that can should point there.
//
// # Where it refuses to write
//
// A path that is a symlink or no regular file; a parent directory that is
// missing; a path on which someone else could put a directory of theirs: see
// [Write]. A path that leads into the state directory that the pair was read
// from, by whatever symlinks, and two parts of an output that are one file.
// Whether two outputs are, [Conflicts] tells who knows all of them.
//
// # What is written is read back
//
// Where content, owner or mode are not as asked although every call succeeded
// (a file system without owners or modes, another program that writes there),
// [Write] fails, and [Check] goes on to say what differs.
package install
