package disktest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Image writes to a directory, which it makes, what a start after a loss of
// power at this moment may find: rng decides what of the rest survives.
func (d *Disk) Image(to string, rng *rand.Rand) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.root.write(d.base, to, rng); err != nil {
		return fmt.Errorf("making an image of %s: %w", d.base, err)
	}
	return nil
}

// write writes a node that now lies at from, if it is there still.
func (n *node) write(from, to string, rng *rand.Rand) error {
	switch {
	case n.kind.IsDir():
		return n.writeDir(from, to, rng)
	case n.kind&fs.ModeSymlink != 0:
		return os.Symlink(n.target, to)
	case n.kind.IsRegular():
		data, err := n.survivor(from, rng)
		if err != nil {
			return err
		}
		return errors.Join(os.WriteFile(to, data, 0o600), os.Chmod(to, n.mode))
	default:
		return nil // a socket: none of the store's
	}
}

// writeDir writes what is durable of a directory, and each change since then
// or not.
func (n *node) writeDir(from, to string, rng *rand.Rand) error {
	if err := errors.Join(os.Mkdir(to, 0o700), os.Chmod(to, n.mode)); err != nil {
		return err
	}
	names := maps.Clone(n.durable)
	for _, c := range n.pending {
		if rng.IntN(2) == 0 {
			continue
		}
		if c.gone != "" {
			delete(names, c.gone)
		}
		if c.name != "" {
			names[c.name] = c.to
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child := names[name]
		where := from
		for now, other := range n.now { // it may have another name by now
			if other == child {
				where = filepath.Join(from, now)
			}
		}
		if err := child.write(where, filepath.Join(to, name), rng); err != nil {
			return err
		}
	}
	return nil
}

// survivor is what is found in a file: all that was synced, and of what was
// not, a part, nothing, or zeros where the data did not come but the size did.
func (n *node) survivor(from string, rng *rand.Rand) ([]byte, error) {
	if n.synced {
		return n.data, nil
	}
	now, err := os.ReadFile(from)
	if err != nil {
		now = n.data // it was removed since
	}
	switch rng.IntN(4) {
	case 0:
		return n.data, nil
	case 1:
		return now[:rng.IntN(len(now)+1)], nil
	case 2:
		return make([]byte, len(now)), nil
	default:
		return now, nil
	}
}
