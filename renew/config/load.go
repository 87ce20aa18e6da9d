package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
)

// Where the configuration lies when nobody says.
const (
	DefaultFile   = "/etc/certvigil/certvigil.hcl"
	DefaultFolder = "/etc/certvigil/conf.d"
)

// Load reads a configuration: a file, or the *.hcl and *.hcl.json files of a
// directory in lexical order; for the empty path, DefaultFile and then those of
// DefaultFolder, which may be missing. The Config is nil exactly where the
// diagnostics have errors. Load reads the files that the configuration names,
// the environment variables that env names, and nothing else.
func Load(path string) (*Config, Diagnostics) {
	cfg, _, diags := LoadWithSources(path)
	return cfg, diags
}

// LoadWithSources is Load, and returns what Config.Sources is also where there is
// no Config: with the files that were missing, so that who watches them learns
// when to load again.
func LoadWithSources(path string) (cfg *Config, sources []string, diags Diagnostics) {
	return load(path, places())
}

// Outline is Load for somebody who looks on from outside of the service, where
// its credentials are not: what the configuration names (files, folders,
// environment variables, credentials) need not be there, and credentials are not
// even looked for. Something stands in for what is missing, which is of no use
// to a CA.
func Outline(path string) (*Config, Diagnostics) {
	opts := places()
	opts.skipFiles = true
	cfg, _, diags := load(path, opts)
	return cfg, diags
}

// SocketOf returns the agent block's socket as Load does, whatever else is wrong
// with the configuration: an agent may run on with the one before. Where the
// block can't be read, it is DefaultSocket.
func SocketOf(path string) string { return socketOf(path, places()) }

func places() options { return options{file: DefaultFile, folder: DefaultFolder} }

// options are what Outline and tests alter.
type options struct {
	file, folder string // the default places
	skipFiles    bool   // nothing that the configuration names has to exist
}

func load(path string, opts options) (cfg *Config, sources []string, diags Diagnostics) {
	d := newDecoder(newReport(), opts)
	defer func() {
		if p := recover(); p != nil {
			cfg, diags = nil, Diagnostics{panicked(p)}
		}
		sources = slices.Sorted(maps.Keys(d.used))
		if cfg != nil {
			cfg.Sources = sources
		}
	}()
	d.parseAll(path)
	if d.failed() { // half of a file would only bring errors that are not there
		return nil, nil, d.diagnostics()
	}
	cfg = d.decode()
	cfg.Path = path
	if d.failed() {
		cfg = nil
	}
	return cfg, nil, d.diagnostics()
}

func socketOf(path string, opts options) (socket string) {
	defer func() {
		if recover() != nil { // a defect of ours or the parser's, which Load reports
			socket = DefaultSocket
		}
	}()
	d := newDecoder(newReport(), opts)
	d.parseAll(path)
	d.agentAlone()
	return d.cfg.Agent.Socket
}

// parseAll reads and parses the files at path, and notes them as used.
func (d *decoder) parseAll(path string) {
	var watched []string
	if path == "" {
		watched = d.readDefault(d.opts)
	} else {
		watched = d.readPath(path)
	}
	for _, p := range watched {
		d.used[fromHere(p)] = true
	}
	for _, src := range d.files {
		d.parse(src)
	}
}

// panicked is the answer to a defect of ours, or of the parser's. What the
// panic says may hold a secret, and so only where it happened is told.
func panicked(p any) Diagnostic {
	place := "an unknown place"
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	for {
		frame, more := frames.Next()
		if strings.Contains(frame.Function, "certvigil") && !strings.HasSuffix(frame.Function, "load.func1") {
			place = fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
			break
		}
		if !more {
			break
		}
	}
	return Diagnostic{
		Severity: Error,
		Summary:  fmt.Sprintf("certvigil failed while it read the configuration (%T at %s)", p, place),
		Advice:   "This is a defect of certvigil: please report it, with the configuration but without its secrets.",
	}
}

// readDefault reads the default places and returns what is to be watched.
func (r *report) readDefault(opts options) []string {
	r.readFile(opts.file)
	paths, _ := listing(opts.folder) // it may be missing, and may come
	for _, p := range paths {
		r.readFile(p)
	}
	return append([]string{opts.file, opts.folder}, paths...)
}

// readPath reads a file or a directory and returns what is to be watched.
func (r *report) readPath(path string) []string {
	if !isDir(path) {
		r.readFile(path)
		return []string{path}
	}
	paths, err := listing(path)
	if err != nil {
		r.unreadable(path, err)
	}
	for _, p := range paths {
		r.readFile(p)
	}
	return append([]string{path}, paths...)
}

func (r *report) readFile(path string) {
	text, mode, err := readRegular(path)
	if err != nil {
		r.unreadable(path, err)
		return
	}
	r.addSource(newSource(path, fromHere(filepath.Dir(path)), mode, text))
}

func (r *report) unreadable(path string, err error) {
	r.fail(hcl.Range{Filename: path}, fmt.Sprintf("the configuration can't be read: %v", err),
		"Name a file, or a directory with *.hcl files, that certvigil may read (--config PATH).")
}
