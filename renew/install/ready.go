package install

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/renew"
)

// Folders lists the directories in which an output's files are made, each once;
// of an output's directory, the one that it is in.
func Folders(o renew.Output) []string {
	var dirs []string
	seen := map[string]bool{}
	for _, path := range switched(o) {
		if dir := filepath.Dir(filepath.Clean(path)); !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// Ready tells what would keep [Write] from making files in dir, one of the
// output's [Folders], as far as can be told without making one: that it is
// missing, in the wrong hands, not for this process to write to, or on a file
// system that is read-only.
func Ready(o renew.Output, dir string) error {
	a, err := accessOf(o)
	if err != nil {
		return err
	}
	root, err := openParent(dir, a.uid)
	if err != nil {
		return err
	}
	defer root.Close() // it was only looked at
	return mayWrite(root, dir)
}

func mayWrite(root *os.Root, dir string) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Faccessat(int(d.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("user %d may not write to %s: %w", os.Geteuid(), dir, err)
	}
	return nil
}
