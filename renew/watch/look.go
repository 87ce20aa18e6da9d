package watch

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxEntries bounds how many entries of a watched directory are looked at.
const maxEntries = 10_000

// look sums up what can be known of a path without reading it: of the path
// itself, of what it leads to, and of a directory's entries. It is kept as a
// number so that a hundred thousand paths stay small.
func look(seed maphash.Seed, path string) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	if info := stat(&h, path); info == nil || !info.IsDir() {
		return h.Sum64()
	}
	dir, err := os.Open(path)
	if err != nil {
		return h.Sum64()
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(maxEntries)
	var sum uint64 // the order of entries means nothing, so they are added up
	for _, name := range names {
		var entry maphash.Hash
		entry.SetSeed(seed)
		_, _ = entry.WriteString(name)
		stat(&entry, filepath.Join(path, name))
		sum += entry.Sum64()
	}
	_ = binary.Write(&h, binary.NativeEndian, sum)
	return h.Sum64()
}

// stat adds a path, and what it leads to, to the sum. It returns the latter.
func stat(h *maphash.Hash, path string) fs.FileInfo {
	link, err := os.Lstat(path)
	add(h, link, err)
	if err != nil || link.Mode().Type() != fs.ModeSymlink {
		return link
	}
	// A symlink that leads elsewhere, to a file that looks the same, has another
	// inode itself; so where it leads need not be read.
	info, err := os.Stat(path)
	add(h, info, err)
	return info
}

func add(h *maphash.Hash, info fs.FileInfo, err error) {
	if err != nil {
		var number syscall.Errno
		errors.As(err, &number)
		_ = binary.Write(h, binary.NativeEndian, int64(number))
		return
	}
	numbers := [...]int64{info.Size(), info.ModTime().UnixNano(), int64(info.Mode()), 0, 0, 0, 0}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		numbers[3], numbers[4] = int64(sys.Dev), int64(sys.Ino)
		numbers[5], numbers[6] = sys.Ctim.Nano(), int64(sys.Uid)<<32|int64(sys.Gid)
	}
	_ = binary.Write(h, binary.NativeEndian, numbers[:])
}
