package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2/hclwrite"
)

// contextLines is how many unchanged lines a diff shows around a change.
const contextLines = 2

// Format returns configuration text in its one layout: indentation, and equals
// signs and comments in columns, and the difference, in which lines with a secret
// are hidden; it is empty where nothing changes. Only spaces change: what the text
// means, its comments and its line ends stay. Text that does not parse is refused
// with its Diagnostics, which call it name.
func Format(name string, text []byte) (formatted []byte, diff string, err error) {
	r := newReport()
	src := newSource(name, "", 0, text)
	r.addSource(src)
	if r.parse(src); r.failed() {
		return nil, "", r.diagnostics()
	}
	formatted = layout(src.text)
	if bytes.Equal(formatted, text) {
		return formatted, "", nil
	}
	return formatted, difference(src, formatted), nil
}

// layout formats until nothing changes any more: one pass can leave columns
// that the next one would move.
func layout(text []byte) []byte {
	for range 4 {
		next := hclwrite.Format(text)
		if bytes.Equal(next, text) {
			break
		}
		text = next
	}
	return text
}

// FormatFile is Format for the file at path. It tells whether that changes the
// file; with write, the file is replaced.
func FormatFile(path string, write bool) (changed bool, diff string, err error) {
	if strings.HasSuffix(path, ".json") {
		return false, "", fmt.Errorf("formatting %s: it is JSON, which has no layout of ours: name .hcl files", path)
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false, "", fmt.Errorf("formatting %s: %w", path, bare(err))
	}
	text, _, err := readRegular(target)
	if err != nil {
		return false, "", fmt.Errorf("formatting %s: %w", path, err)
	}
	formatted, diff, err := Format(path, text)
	if err != nil || bytes.Equal(formatted, text) {
		return false, "", err
	}
	if !write {
		return true, diff, nil
	}
	if err := replace(target, formatted); err != nil {
		return true, diff, fmt.Errorf("writing %s: %w", path, err)
	}
	return true, diff, nil
}

// replace puts text in the place of the file at path, with the same owner and
// permissions. Crash argument: until the rename, path is the old file, whole;
// from then on it is the new file, whose bytes were synced before. A temporary
// file may stay behind; its name begins with a dot, so that nobody loads it.
func replace(path string, text []byte) (err error) {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".certvigil-fmt-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, temp.Close(), os.Remove(temp.Name()))
		}
	}()
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := temp.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return err
		}
	}
	if err := temp.Chmod(info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)); err != nil {
		return err
	}
	if _, err := temp.Write(text); err != nil {
		return err
	}
	if err := temp.Sync(); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return errors.Join(temp.Close(), syncFolder(filepath.Dir(path)))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// difference shows what formatting changes, line by line: formatting moves
// nothing from one line to another.
func difference(src *source, formatted []byte) string {
	after := newSource(src.name, "", 0, formatted)
	var b strings.Builder
	fmt.Fprintf(&b, "--- %s\n+++ %s (formatted)\n", printable(src.name), printable(src.name))
	shownTo := 0
	for i := range max(len(src.lines), len(after.lines)) {
		if lineAt(src, i) == lineAt(after, i) {
			continue
		}
		if start := max(shownTo, i-contextLines); shownTo == 0 || start > shownTo {
			fmt.Fprintf(&b, "@@ line %d @@\n", start+1)
			shownTo = start
		}
		for ; shownTo < i; shownTo++ {
			writeLine(&b, ' ', src, shownTo, lineAt(src, shownTo))
		}
		writeLine(&b, '-', src, i, lineAt(src, i))
		writeLine(&b, '+', src, i, lineAt(after, i))
		shownTo = i + 1
	}
	return b.String()
}

func lineAt(s *source, i int) string {
	if i < len(s.lines) {
		return s.lines[i]
	}
	return ""
}

func writeLine(b *strings.Builder, mark byte, src *source, i int, text string) {
	if src.hidden[i+1] {
		text = hiddenLine
	}
	fmt.Fprintf(b, "%c%s\n", mark, printable(text))
}
