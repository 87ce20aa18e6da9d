package discover

import (
	"os"
	"path/filepath"
	"strings"
)

// haproxy reads what HAProxy serves by TLS from its configuration files. Which of
// an address's certificates a name gets is told by their own names, so that it is
// known where there is one alone.
func haproxy(conf ...string) ([]use, []error) {
	r := reader{}
	var uses []use
	base := ""
	for _, path := range conf {
		for _, file := range matching(path) {
			for line := range strings.Lines(r.read(file)) {
				w := words(strings.TrimRight(line, "\n"), true)
				switch {
				case len(w) > 1 && w[0] == "crt-base":
					base = w[1]
				case len(w) > 2 && w[0] == "bind":
					uses = append(uses, r.haproxyBind(w, base)...)
				}
			}
		}
	}
	return uses, r.errs
}

func (r *reader) haproxyBind(w []string, base string) []use {
	u := use{any: true}
	tls := false
	for i := 2; i < len(w); i++ {
		switch w[i] {
		case "ssl":
			tls = true
		case "accept-proxy":
			u.proxy = true
		case "crt":
			if i++; i < len(w) {
				u.files = append(u.files, matching(within(base, w[i]))...)
			}
		case "crt-list":
			if i++; i < len(w) {
				u.files = append(u.files, r.crtList(w[i], base)...)
			}
		}
	}
	if !tls {
		return nil
	}
	u.files = knownFiles(leaves(u.files))
	var uses []use
	for at := range strings.SplitSeq(w[1], ",") {
		one := u
		if path, ok := strings.CutPrefix(at, "unix@"); ok || strings.HasPrefix(at, "/") {
			one.path = path
			uses = append(uses, one)
			continue
		}
		for _, family := range []string{"ipv4@", "ipv6@", "tcp@"} {
			at = strings.TrimPrefix(at, family)
		}
		i := strings.LastIndex(at, ":") // IPv6 without brackets, such as :::443, is the rule here
		if i < 0 {
			continue
		}
		var ok bool
		if host := strings.Trim(at[:i], "[]"); strings.Contains(host, ":") && host != "::" {
			at = "[" + host + "]" + at[i:]
		} else if host == "" || host == "*" || host == "::" {
			at = at[i+1:]
		}
		if one.host, one.port, ok = parseBinding(at, 0); ok {
			uses = append(uses, one)
		}
	}
	return uses
}

// crtList reads the files that a crt-list names: the first word of each line.
func (r *reader) crtList(path, base string) []string {
	var files []string
	for line := range strings.Lines(r.read(path)) {
		if file, _, _ := strings.Cut(strings.TrimSpace(line), " "); file != "" && file[0] != '#' {
			files = append(files, within(base, file))
		}
	}
	return files
}

// leaves leaves out what lies beside certificates: keys, chains, OCSP answers.
func leaves(files []string) []string {
	var all []string
	for _, f := range files {
		switch filepath.Ext(f) {
		case ".key", ".issuer", ".ocsp", ".sctl":
			continue
		}
		if fi, err := os.Stat(f); err != nil || !fi.IsDir() {
			all = append(all, f)
		}
	}
	return all
}
