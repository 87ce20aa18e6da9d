package install

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// dirMode is that of a directory that is switched: the key's own mode keeps it.
const dirMode fs.FileMode = 0o755

// stays is for how long at least a directory that was switched away from is
// there, for who has opened it and goes on reading in it. The last one stays until
// the next switch.
const stays = time.Minute

const maxNumber = 1_000_000_000 // more is not ours

// directory is an output's directory: a symlink in parent that leads to
// .NAME.certvigil-N beside it, of which N only grows.
type directory struct {
	path   string
	name   string
	parent store.Folder
	owner  int
	n      int // what the link leads to; 0 where it is missing or not one of ours
}

func openDirectory(dirs *folders, path string) (*directory, error) {
	path = filepath.Clean(path)
	d := &directory{path: path, name: filepath.Base(path), owner: dirs.owner}
	var err error
	if d.parent, err = dirs.open(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if target, err := d.parent.Root.Readlink(d.name); err == nil {
		d.n = d.number(target)
	}
	return d, nil
}

func (d *directory) version(n int) string { return d.prefix() + strconv.Itoa(n) }

func (d *directory) prefix() string { return "." + d.name + ".certvigil-" }

// number is that of a version's name; 0 is none.
func (d *directory) number(name string) int {
	text, ok := strings.CutPrefix(name, d.prefix())
	n, err := strconv.Atoi(text)
	if !ok || err != nil || n < 1 || n > maxNumber || strconv.Itoa(n) != text {
		return 0
	}
	return n
}

// stands tells what is wrong with the link itself, and with what it leads to.
func (d *directory) stands() finding {
	st, err := d.parent.Root.Lstat(d.name)
	if errors.Is(err, fs.ErrNotExist) {
		return finding{otherContent, d.path + " does not exist"}
	}
	if err == nil {
		err = d.switchable(st)
	}
	if err == nil {
		err = trustedThere(d.parent, d.path, st, d.owner)
	}
	if err != nil {
		return finding{otherContent, err.Error()}
	}
	if d.n == 0 {
		target, _ := d.parent.Root.Readlink(d.name) // for the message only
		return finding{otherContent, fmt.Sprintf("%s is a symlink to %q", d.path, target)}
	}
	inside, err := d.parent.Root.Lstat(d.version(d.n))
	switch {
	case err != nil || !inside.IsDir():
		return finding{otherContent, fmt.Sprintf("%s leads to no directory", d.path)}
	case trustedThere(d.parent, d.path, inside, d.owner) != nil:
		return finding{otherAccess, fmt.Sprintf("the directory that %s leads to belongs to user %d", d.path, ownerOf(inside).UID)}
	case inside.Mode().Perm() != dirMode:
		return finding{otherAccess, fmt.Sprintf("the directory that %s leads to has mode %04o, not %04o", d.path, inside.Mode().Perm(), dirMode)}
	}
	return finding{}
}

// switchable refuses what a rename does not replace, or what it would lose.
func (d *directory) switchable(st fs.FileInfo) error {
	if st.Mode()&fs.ModeSymlink != 0 {
		return nil
	}
	return fmt.Errorf("%s is there and is no symlink: move it away, it is to be a symlink that is switched", d.path)
}

// lookInto compares what lies in an output's directory with what is to lie there.
func lookInto(dirs *folders, o renew.Output, all []file, want access, b store.Bundle) []finding {
	d, err := openDirectory(dirs, o.Directory)
	if err != nil {
		return []finding{{otherContent, err.Error()}}
	}
	found := []finding{d.stands()}
	if found[0].state == otherContent {
		return found
	}
	folder, err := dirs.open(filepath.Join(filepath.Dir(d.path), d.version(d.n)))
	if err != nil {
		return append(found, finding{otherContent, err.Error()})
	}
	for _, f := range all {
		found = append(found, f.look(folder, want, b))
	}
	return found
}

// flip makes a new directory with all of the files in it and switches the link
// to it. Power fails before the rename of the link: readers find the old
// directory, whole, and the new one is removed by the next flip; after it: they
// find the new one, which was synced, its name included, before.
func (t *task) flip(path string) error {
	d, err := openDirectory(&t.folders, path)
	if err != nil {
		return err
	}
	if st, err := d.parent.Root.Lstat(d.name); err == nil {
		if err := d.switchable(st); err != nil {
			return err
		}
	}
	numbers, err := d.numbers()
	if err != nil {
		return err
	}
	if err := d.tidy(numbers); err != nil {
		return err
	}
	if slices.IndexFunc(t.findings, func(f finding) bool { return f.state != inPlace }) < 0 {
		return d.parent.SyncDir(".") // it may have been the sync that failed last time
	}
	next := 1 + max(d.n, slices.Max(append(numbers, 0)))
	if d.n > 0 {
		next = d.n + 1 // what was above it is gone
	}
	if err := t.build(d, d.version(next)); err != nil {
		_ = d.parent.Remove(d.version(next)) // it holds a key; the next flip removes it otherwise
		return err
	}
	if err := d.parent.Symlink(d.version(next), d.name); err != nil {
		return err
	}
	d.n = next
	return d.tidy(append(numbers, next))
}

// build makes a version; it is synced, its name in the parent included.
func (t *task) build(d *directory, version string) error {
	if err := d.parent.MakeDir(version, dirMode); err != nil {
		return err
	}
	for _, f := range t.files {
		name := filepath.Base(f.path)
		was, err := t.before(d, f)
		if err != nil {
			return err
		}
		data, err := f.form.encode(t.bundle)
		if err != nil {
			return err
		}
		err = first(t.access.choices(was), func(a store.Access) error {
			return d.parent.Create(filepath.Join(version, name), data, a)
		})
		if err != nil {
			return err
		}
	}
	if err := d.parent.SyncDir(version); err != nil {
		return err
	}
	return d.parent.SyncDir(".")
}

// before is what a file in the version before passes on: nothing, where somebody
// made something else of it or of the directory.
func (t *task) before(d *directory, f file) (standing, error) {
	if d.n == 0 {
		return newStanding(f), nil
	}
	folder, err := t.folders.open(filepath.Join(filepath.Dir(d.path), d.version(d.n)))
	if err != nil {
		return newStanding(f), nil
	}
	if st, err := folder.Root.Lstat(filepath.Base(f.path)); err != nil || !st.Mode().IsRegular() {
		return newStanding(f), nil
	}
	return standingOf(folder, filepath.Base(f.path), f)
}

// numbers lists the versions that there are, in order.
func (d *directory) numbers() ([]int, error) {
	all, err := fs.ReadDir(d.parent.Root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Dir(d.path), err)
	}
	var numbers []int
	for _, e := range all {
		if n := d.number(e.Name()); n > 0 && e.IsDir() {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// tidy removes what a crash has left above the version that the link leads to,
// and the versions before that nobody reads any more. Where the link leads
// elsewhere, nobody knows which of them somebody reads.
func (d *directory) tidy(numbers []int) error {
	if d.n == 0 {
		return nil
	}
	var gone []int
	for i, n := range numbers {
		if n >= d.n || i+1 == len(numbers) || !d.replacedBy(numbers[i+1]) {
			break // what follows was replaced later still
		}
		gone = append(gone, n)
	}
	for _, n := range slices.Backward(numbers) {
		if n <= d.n {
			break
		}
		gone = append(gone, n)
	}
	for _, n := range gone {
		if err := d.parent.Remove(d.version(n)); err != nil {
			return err
		}
	}
	return nil
}

// replacedBy tells whether version n has long been there: it was built just
// before the link was switched to it.
func (d *directory) replacedBy(n int) bool {
	st, err := d.parent.Root.Lstat(d.version(n))
	return err == nil && time.Since(st.ModTime()) > stays
}
