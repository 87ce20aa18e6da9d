package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// maxForeign is what is read of a file of someone else's, in bytes: a key and
// ten certificates are far below.
const maxForeign = 1 << 20

// Found is what lies at the paths of an output.
type Found struct {
	Key       []byte // nil where the output has no path for it, or no file is there
	Fullchain []byte // the leaf, then the intermediates
	ChangedAt time.Time
	// Ours tells that nothing is there but parts of pairs of ours, perhaps of
	// several: a crash, or a file that was removed, leaves that.
	Ours bool
}

// Find reads what lies at the paths of an output. It opens nothing that is not a
// regular file, follows no symlink of someone who is not trusted with the path
// (see [Write]), and reads a megabyte of each file at most.
func Find(o renew.Output, ours []store.Bundle) (Found, error) {
	want, err := accessOf(o)
	if err != nil {
		return Found{}, err
	}
	found := Found{Ours: true}
	var parts [4][]byte
	for i, path := range []string{o.Key, o.Cert, o.Chain, o.Fullchain} {
		if path == "" {
			continue
		}
		data, changed, err := readForeign(filepath.Clean(path), want.uid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if changed.After(found.ChangedAt) {
			found.ChangedAt = changed
		}
		if err != nil {
			found.Ours = false
			return found, err
		}
		parts[i] = data
		found.Ours = found.Ours && isPart(i, data, ours)
	}
	found.Key, found.Fullchain = parts[0], parts[3]
	if o.Fullchain == "" {
		found.Fullchain = append(bytes.Clone(parts[1]), parts[2]...)
	}
	return found, nil
}

func isPart(i int, data []byte, ours []store.Bundle) bool {
	for _, b := range ours {
		if bytes.Equal([][]byte{b.Key, b.Cert, b.Chain, b.Fullchain()}[i], data) {
			return true
		}
	}
	return false
}

// FindLive reads the pair that live/<name> leads to, be it a link to elsewhere
// or a folder. Where there is nothing at all, it is ours.
func FindLive(dir string, ours []store.Bundle) (Found, error) {
	st, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Found{Ours: true}, nil
	}
	if err != nil {
		return Found{}, err
	}
	target := dir
	if st.Mode()&fs.ModeSymlink != 0 {
		if target, err = os.Readlink(dir); err != nil {
			return Found{}, err
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(dir), target)
		}
	}
	found, err := Find(renew.Output{Key: filepath.Join(target, "privkey.pem"), Fullchain: filepath.Join(target, "fullchain.pem")}, ours)
	if changed := changedAt(st); changed.After(found.ChangedAt) {
		found.ChangedAt = changed
	}
	return found, err
}

// readForeign reads a file whose directory is in good hands.
func readForeign(path string, owner int) (data []byte, changed time.Time, err error) {
	root, err := openParent(filepath.Dir(path), owner)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer root.Close() // nothing is written through it
	name := filepath.Base(path)
	st, err := root.Lstat(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	changed = changedAt(st)
	if err := replaceable(path, st); err != nil {
		return nil, changed, err
	}
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, changed, err
	}
	defer file.Close() // nothing was written
	if opened, err := file.Stat(); err != nil || !os.SameFile(st, opened) {
		return nil, changed, fmt.Errorf("%s was exchanged while it was read", path)
	}
	data, err = io.ReadAll(io.LimitReader(file, maxForeign+1))
	if err == nil && len(data) > maxForeign {
		err = fmt.Errorf("%s has more than %d bytes", path, maxForeign)
	}
	return data, changed, err
}

// changedAt is when a file last changed in any way.
func changedAt(st fs.FileInfo) time.Time {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return time.Unix(sys.Ctim.Unix())
	}
	return st.ModTime()
}
