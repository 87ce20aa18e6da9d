package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
// (see [Write]), believes no file of such a one, and reads a megabyte of each at
// most.
func Find(o renew.Output, ours []store.Bundle) (Found, error) {
	want, err := accessOf(o)
	if err != nil {
		return Found{}, err
	}
	all, err := files(o, "")
	if err != nil {
		return Found{}, err
	}
	found := Found{Ours: true}
	var parts contents
	for _, f := range all {
		data, st, err := readForeign(f.path, want.uid)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if st != nil && changedAt(st).After(found.ChangedAt) {
			found.ChangedAt = changedAt(st)
		}
		if err == nil && f.form.sealed { // to look into it may be costly, for whom nobody trusts
			err = trustedOwner(f.path, st, want.uid)
		}
		isOurs := err == nil && f.isOurs(data, ours)
		if err == nil && !isOurs {
			err = trustedOwner(f.path, st, want.uid)
		}
		found.Ours = found.Ours && isOurs
		if err == nil {
			err = parts.add(f, data)
		}
		if err != nil && !isOurs {
			return Found{ChangedAt: found.ChangedAt}, err
		}
	}
	found.Key, found.Fullchain = parts.key, parts.fullchain
	if found.Fullchain == nil {
		found.Fullchain = append(bytes.Clone(parts.cert), parts.chain...)
	}
	return found, nil
}

func (f file) isOurs(data []byte, ours []store.Bundle) bool {
	return slices.ContainsFunc(ours, func(b store.Bundle) bool {
		holds, err := f.form.holds(data, b)
		return err == nil && holds
	})
}

// add notes down what a file holds.
func (c *contents) add(f file, data []byte) error {
	got, err := f.form.decode(data)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	for _, part := range []struct{ to, from *[]byte }{
		{&c.key, &got.key}, {&c.cert, &got.cert}, {&c.chain, &got.chain}, {&c.fullchain, &got.fullchain},
	} {
		if *part.from != nil {
			*part.to = *part.from
		}
	}
	return nil
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

// trustedOwner refuses a file of a user who is not trusted with the path: what
// is adopted goes to every output, and he knows its key. A directory that a group
// or everybody may make files in is no refusal of its own.
func trustedOwner(path string, st fs.FileInfo, owner int) error {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: who owns it can't be found out", path)
	}
	if uid := int(sys.Uid); uid != 0 && uid != os.Geteuid() && uid != owner {
		return fmt.Errorf("%s belongs to user %d, who is not the output's owner", path, uid)
	}
	return nil
}

// readForeign reads a file whose directory is in good hands. st is nil where it
// is not known.
func readForeign(path string, owner int) (data []byte, st fs.FileInfo, err error) {
	root, err := openParent(filepath.Dir(path), owner)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close() // nothing is written through it
	name := filepath.Base(path)
	if st, err = root.Lstat(name); err != nil {
		return nil, nil, err
	}
	if err := replaceable(store.Folder{Root: root}, path, st); err != nil {
		return nil, st, err
	}
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, st, err
	}
	defer file.Close() // nothing was written
	if opened, err := file.Stat(); err != nil || !os.SameFile(st, opened) {
		return nil, st, fmt.Errorf("%s was exchanged while it was read", path)
	}
	data, err = io.ReadAll(io.LimitReader(file, maxForeign+1))
	if err == nil && len(data) > maxForeign {
		err = fmt.Errorf("%s has more than %d bytes", path, maxForeign)
	}
	return data, st, err
}

// changedAt is when a file last changed in any way.
func changedAt(st fs.FileInfo) time.Time {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return time.Unix(sys.Ctim.Unix())
	}
	return st.ModTime()
}
