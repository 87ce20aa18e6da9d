package discover

import (
	"path/filepath"
	"slices"
	"strings"
)

// directive is one of nginx's: words, and the block behind them where there is one.
type directive struct {
	words []string
	block []directive
}

// nginx reads what an nginx serves by TLS from its configuration file, with all
// that it includes.
func nginx(conf string) ([]use, []error) {
	r := reader{}
	var uses []use
	for _, top := range r.nginx(conf, filepath.Dir(conf), 0) {
		if top.words[0] == "http" || top.words[0] == "stream" {
			uses = append(uses, nginxServers(top.block, filepath.Dir(conf))...)
		}
	}
	return uses, r.errs
}

// nginx returns the directives of a file, those of included files in their place.
// Relative paths start at the folder of the main file (ngx_conf_full_name).
func (r *reader) nginx(path, dir string, depth int) []directive {
	if depth > mostDepth {
		return nil
	}
	t := tokens{text: r.read(path)}
	return r.include(t.block(0), dir, depth)
}

func (r *reader) include(list []directive, dir string, depth int) []directive {
	var all []directive
	for _, d := range list {
		if d.words[0] == "include" && len(d.words) == 2 {
			for _, path := range matching(within(dir, d.words[1])) {
				all = append(all, r.nginx(path, dir, depth+1)...)
			}
			continue
		}
		d.block = r.include(d.block, dir, depth)
		all = append(all, d)
	}
	return all
}

func nginxServers(block []directive, dir string) []use {
	inherited := certificates(block, dir)
	taken := map[string]bool{} // addresses that have a first server
	var uses []use
	for _, d := range block {
		if d.words[0] != "server" {
			continue
		}
		files := certificates(d.block, dir)
		if len(files) == 0 {
			files = inherited
		}
		var names []string
		for _, inner := range d.block {
			if inner.words[0] == "server_name" {
				names = append(names, inner.words[1:]...)
			}
		}
		for _, inner := range d.block {
			if u, ok := nginxListen(inner.words); ok {
				at := inner.words[1]
				u.standard = u.standard || !taken[at]
				u.names, u.files, taken[at] = names, knownFiles(files), true
				uses = append(uses, u)
			}
		}
	}
	return uses
}

func certificates(block []directive, dir string) []string {
	var files []string
	for _, d := range block {
		if d.words[0] == "ssl_certificate" && len(d.words) == 2 {
			files = append(files, within(dir, d.words[1]))
		}
	}
	return files
}

func nginxListen(words []string) (use, bool) {
	if words[0] != "listen" || len(words) < 3 || !slices.Contains(words[2:], "ssl") {
		return use{}, false
	}
	u := use{proxy: slices.Contains(words[2:], "proxy_protocol"), standard: slices.Contains(words[2:], "default_server") || slices.Contains(words[2:], "default")}
	if path, ok := strings.CutPrefix(words[1], "unix:"); ok {
		u.path = path
		return u, true
	}
	var ok bool
	u.host, u.port, ok = parseBinding(words[1], 80)
	return u, ok
}

// tokens takes nginx's text apart: words end at a space, ";", "{" or "}", and may
// stand in quotes.
type tokens struct {
	text string
}

// block returns the directives up to the end of the block.
func (t *tokens) block(depth int) []directive {
	var all []directive
	var current []string
	for t.text != "" {
		switch c := t.text[0]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			t.text = t.text[1:]
		case c == '#':
			_, t.text, _ = strings.Cut(t.text, "\n")
		case c == ';' || c == '{':
			t.text = t.text[1:]
			d := directive{words: current}
			switch {
			case c == ';':
			case len(current) > 0 && strings.HasSuffix(current[0], "_by_lua_block"):
				t.skipLua()
			case depth < mostDepth:
				d.block = t.block(depth + 1)
			}
			if len(current) > 0 {
				all = append(all, d)
			}
			current = nil
		case c == '}':
			t.text = t.text[1:]
			if depth > 0 {
				return all
			}
		default:
			current = append(current, t.word())
		}
	}
	return all
}

func (t *tokens) word() string {
	if quote := t.text[0]; quote == '"' || quote == '\'' {
		var word strings.Builder
		i := 1
		for ; i < len(t.text) && t.text[i] != quote; i++ {
			if t.text[i] == '\\' && i+1 < len(t.text) {
				i++
			}
			word.WriteByte(t.text[i])
		}
		t.text = t.text[min(i+1, len(t.text)):]
		return word.String()
	}
	end := strings.IndexAny(t.text, " \t\r\n;{}")
	for end > 0 && t.text[end] == '{' && t.text[end-1] == '$' { // ${variable}
		closing := strings.IndexByte(t.text[end:], '}')
		if closing < 0 {
			end = -1
			break
		}
		next := strings.IndexAny(t.text[end+closing+1:], " \t\r\n;{}")
		if next < 0 {
			end = -1
			break
		}
		end += closing + 1 + next
	}
	if end < 0 {
		end = len(t.text)
	}
	word := t.text[:end]
	t.text = t.text[end:]
	return word
}

// skipLua passes over a program, whose braces are balanced.
func (t *tokens) skipLua() {
	for depth := 1; depth > 0 && t.text != ""; {
		switch t.text[0] {
		case '{':
			depth++
		case '}':
			depth--
		}
		t.text = t.text[1:]
	}
}
