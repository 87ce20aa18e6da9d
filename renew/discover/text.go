package discover

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of what is read of one server's configuration.
const (
	mostFiles = 4096
	mostBytes = 4 << 20 // of one file
	mostDepth = 16      // of files that include each other
)

// reader reads the files of one server's configuration.
type reader struct {
	files int
	errs  []error
}

// read returns a file's text. What can't be read is noted down, and is as empty:
// the others are worth reading all the same.
func (r *reader) read(path string) string {
	r.files++
	if r.files > mostFiles {
		if r.files == mostFiles+1 {
			r.errs = append(r.errs, fmt.Errorf("more than %d files", mostFiles))
		}
		return ""
	}
	f, err := os.Open(path)
	if err == nil {
		defer f.Close()
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(f, mostBytes)); err == nil {
			return string(text)
		}
	}
	r.errs = append(r.errs, err)
	return ""
}

// matching lists the files that an include names, in order. A folder is all that
// is in it.
func matching(pattern string) []string {
	if fi, err := os.Stat(pattern); err == nil && fi.IsDir() {
		pattern = filepath.Join(pattern, "*")
	}
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	paths, _ := filepath.Glob(pattern) // a bad pattern names nothing
	slices.Sort(paths)
	return slices.DeleteFunc(paths, func(p string) bool {
		fi, err := os.Stat(p)
		return err != nil || fi.IsDir()
	})
}

// within makes a path of a configuration absolute.
func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// words splits a line as Apache and HAProxy do: by spaces, with quotes, with a
// backslash before a character that stands for itself, up to a comment.
func words(line string, comments bool) []string {
	var all []string
	var word strings.Builder
	var quote rune
	begun, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			begun, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			begun, quote = true, r
		case r == '#' && comments:
			if begun {
				all = append(all, word.String())
			}
			return all
		case r == ' ' || r == '\t' || r == '\r':
			if begun {
				all = append(all, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(r)
			begun = true
		}
	}
	if begun {
		all = append(all, word.String())
	}
	return all
}
