package watch

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// spot is a name in a directory whose events concern a path. The directory is
// free of symlinks, so that each has one spelling and gets one watch. An empty
// name means everything in the directory.
type spot struct{ dir, name string }

// maxLinks bounds the symlinks followed for one path, as the kernel does
// (path_resolution(7)).
const maxLinks = 40

// route lists the spots that a path depends on: where it lies itself, where each
// symlink on the way lies, and, if it leads to a directory, all within. Where a
// directory on the way is missing, it ends with the place where that would
// appear.
func route(path string) []spot {
	spots := []spot{}
	dir, rest := "/", parts(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			dir = filepath.Dir(dir) // dir holds no symlinks, so this is its parent
			continue
		}
		full := filepath.Join(dir, name)
		info, err := os.Lstat(full)
		switch {
		case err != nil:
			return append(spots, spot{dir, name})
		case info.Mode().Type() == fs.ModeSymlink:
			spots = append(spots, spot{dir, name})
			target, err := os.Readlink(full)
			if links++; err != nil || links > maxLinks {
				return spots
			}
			if filepath.IsAbs(target) {
				dir = "/"
			}
			rest = slices.Concat(parts(target), rest)
		case info.IsDir() && len(rest) > 0:
			dir = full
		case info.IsDir():
			return append(spots, spot{dir, name}, spot{full, ""})
		default:
			return append(spots, spot{dir, name})
		}
	}
	return append(spots, spot{dir, ""}) // the path, or the last symlink, ended in ".." or "/"
}

func parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}
