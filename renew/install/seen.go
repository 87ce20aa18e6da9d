package install

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/certvigil/certvigil/renew"
)

// Seen digests how the files of an output stand, in 16 hex digits: two that
// differ mean that a server may read something else than before. It takes in
// what paths there are and, for each, whether there is a file, its inode, size,
// type, mode, owner, group, and when it was last written to.
//
// It leaves out when a file last changed in any way (ctime), which a hook moves
// that sets a mode or a group to what it is: run again for that, it would run
// for ever. It leaves out the device, which has another number after a restart.
//
// Nothing is read but inodes, and the digest of files that stay as they are is
// the same in every process. A file that can't be looked at (permissions, I/O)
// counts as neither there nor missing.
func Seen(o renew.Output) string {
	h := sha256.New()
	paths := []string{o.Key, o.Cert, o.Chain, o.Fullchain, o.Path}
	if o.Directory != "" { // the link, and what can be seen through it
		paths = o.Paths()
	}
	for _, path := range paths {
		if path != "" {
			see(h, filepath.Clean(path)) // the file that Write writes
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// see writes one line; the path is quoted, so that no name can forge another.
func see(w io.Writer, path string) {
	st, err := os.Lstat(path)
	if err != nil {
		fmt.Fprintf(w, "%q %v\n", path, err)
		return
	}
	var inode uint64
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		inode = sys.Ino
	}
	owner := ownerOf(st)
	fmt.Fprintf(w, "%q %d %d %d %o %d %d\n", path, inode, st.Size(), st.ModTime().UnixNano(), st.Mode(), owner.UID, owner.GID)
}
