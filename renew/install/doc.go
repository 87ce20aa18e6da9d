// Package install writes a pair to the operator's own paths, beside live/<name>
// of the state directory, and tells whether it still stands there.
//
// # Formats
//
// pem: up to four files, each only where the output names a path for it: key
// (PKCS#8), cert (the leaf), chain (the intermediates, possibly an empty file)
// and fullchain (leaf, then intermediates); or a directory with all four.
//
// bundle: one file of several of these parts, in the order configured.
//
// pkcs12, jks: one file with key, leaf and chain, encrypted with a password. It
// has other bytes each time that it is written, so what lies there is decoded and
// compared by what is in it, and left alone where that is right. Who does not
// know the password takes the content to be right.
//
// der: the key (PKCS#8) and the leaf, each in a file.
//
// # Owner, group, mode, access list and label
//
// What the output configures holds for all of its files: a mode of 0640 is that
// of the key and of the certificates. What it leaves open is taken from the file
// that is replaced, as far as this process may (root may always); for a file
// that is new it is this process's own user and group, and mode 0600 for what has
// a key in it, 0644 for the others.
//
// The access control list of the file that is replaced (acl(5)) is kept, and so is
// its SELinux label, where the file system has them. A list that is configured
// takes the place of the old one's named users and groups. Where a file has a
// list, its mode is what that leaves to the owning group, not the mask, which
// stat(2) shows in its place.
//
// All of it is set while the file is empty and before it gets its name. A list or
// label that can't be set is an error, and leaves the old file: the server that it
// lets in could not read the new one.
//
// # A directory is switched at once
//
// Its path is a relative symlink to .NAME.certvigil-N beside it, of which N only
// grows. A new one is made and synced, then the link is switched by a rename:
// whoever opens the directory and reads the files in it finds one pair, at any
// moment, after a crash too. Whoever opens the files one after the other by their
// paths may have a switch come between; so may everybody who reads live/<name>
// like that, and no writer can help it. The directory before stays until the next
// switch, and each for a minute at least, for who is reading still.
//
// # Several files can't be switched at once
//
// Every file is written and synced beside its destination first. Then they are
// renamed back to back, the key first and fullchain last, so that who watches
// the certificate finds its key there already. Between the first rename and the
// last (microseconds; for good, if the host goes down just then or a rename
// fails) the files are of two versions, and a server that starts in that moment
// finds a key that is not its certificate's. [Check] finds that, and [Write]
// mends it. A directory has no such moment, nor have live/<name> and the formats
// with one file.
//
// # Where it refuses to write
//
// A path that is a symlink or no regular file (for a directory: that is anything
// but a symlink); a parent directory that is missing; a path on which someone else could put a directory of theirs: see
// [Write]. A path that leads into the state directory that the pair was read
// from, by whatever symlinks, and two parts of an output that are one file.
// Whether two outputs are, or one lies in another's directory, [Conflicts] tells
// who knows all of them.
//
// # What is written is read back
//
// Where content, owner or mode are not as asked although every call succeeded
// (a file system without owners or modes, another program that writes there),
// [Write] fails, and [Check] goes on to say what differs.
package install
