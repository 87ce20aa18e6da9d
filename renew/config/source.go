package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/hcl/v2"
)

// maxFile bounds a configuration file, and a file that one names.
const maxFile = 1 << 20

// othersRead is the permission that makes a file unfit for a secret.
const othersRead fs.FileMode = 0o004

// source is one configuration file.
type source struct {
	name   string      // as diagnostics show it
	dir    string      // its folder, absolute: relative paths in it start there
	mode   fs.FileMode //
	json   bool
	text   []byte   // without byte order mark
	lines  []string // of text, without line ends
	starts []int    // the offset of each line in text
	hidden map[int]bool
	body   hcl.Body
}

func newSource(name, dir string, mode fs.FileMode, text []byte) *source {
	src := &source{name: name, dir: dir, mode: mode, json: strings.HasSuffix(name, ".json"), hidden: map[int]bool{}}
	src.text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	offset := 0
	for line := range bytes.Lines(src.text) {
		src.lines = append(src.lines, string(bytes.TrimRight(line, "\r\n")))
		src.starts = append(src.starts, offset)
		offset += len(line)
	}
	return src
}

// hide marks the lines of rng as never to be shown.
func (s *source) hide(rng hcl.Range) {
	for line := rng.Start.Line; line <= rng.End.Line && line <= len(s.lines); line++ {
		s.hidden[line] = true
	}
}

// hideBytes is hide for offsets in the text.
func (s *source) hideBytes(from, to int) {
	for i, start := range s.starts {
		if start < to && start+len(s.lines[i]) >= from {
			s.hidden[i+1] = true
		}
	}
}

// readRegular reads a regular file of at most maxFile bytes. It never waits: a
// FIFO, a device or a socket is refused before a byte of it is read.
func readRegular(path string) ([]byte, fs.FileMode, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, bare(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("it is not a regular file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, 0, bare(err)
	}
	if len(text) > maxFile {
		return nil, 0, fmt.Errorf("it is larger than %d KiB", maxFile>>10)
	}
	return text, info.Mode(), nil
}

// bare takes the path off an error of package os: the caller names it.
func bare(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// listing returns the configuration files of a folder in lexical order. Names
// that begin with a dot are what editors leave behind.
func listing(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, bare(err)
	}
	var paths []string
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".hcl") && !strings.HasSuffix(name, ".hcl.json") {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.IsDir() {
			continue
		}
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths, nil
}
