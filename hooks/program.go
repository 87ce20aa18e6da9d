package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// findProgram returns the absolute path of the program that an argv list names.
func findProgram(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			return "", fmt.Errorf("program %q: write an absolute path, or a name alone to search PATH for", name)
		}
		return name, executable(name)
	}
	var refused error // found, but of no use: better to tell than "not found"
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, name)
		switch err := executable(file); {
		case err == nil:
			return file, nil
		case refused == nil && !errors.Is(err, fs.ErrNotExist):
			refused = err
		}
	}
	if refused != nil {
		return "", refused
	}
	return "", fmt.Errorf("program %q is not in PATH (%s)", name, path)
}

func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("program %s does not exist: %w", file, fs.ErrNotExist)
	case err != nil:
		return fmt.Errorf("looking for program %s: %w", file, err)
	case info.IsDir():
		return fmt.Errorf("program %s is a directory", file)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("program %s is not executable (mode %04o)", file, info.Mode().Perm())
	default:
		return nil
	}
}

// startError explains why the kernel refused to start a program that is there.
func startError(file string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("starting %s: the interpreter that its first line names does not exist: %w", file, err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("starting %s: neither a binary of this machine nor a script with a #! line: %w", file, err)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("starting %s: user %d may not execute it: %w", file, os.Geteuid(), err)
	default:
		return fmt.Errorf("starting %s: %w", file, err)
	}
}
