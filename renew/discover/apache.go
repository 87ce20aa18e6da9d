package discover

import (
	"cmp"
	"path/filepath"
	"strings"
)

// apache reads what an Apache serves by TLS from its configuration file, with all
// that it includes. Conditions (IfModule and the like) are taken as true.
func apache(conf, root string) ([]use, []error) {
	a := apacheReader{root: root, https: map[uint16]bool{443: true}}
	if a.root == "" {
		a.root = filepath.Dir(conf)
	}
	a.file(conf, 0)
	return a.uses(), a.errs
}

type apacheReader struct {
	reader
	root   string
	host   *virtualHost    // the one that is open
	hosts  []virtualHost   // those that are closed
	files  []string        // of the main server, for hosts without their own
	engine string          // likewise
	https  map[uint16]bool // ports that are listened to for https
}

type virtualHost struct {
	at           []string
	names, files []string
	proxy        bool
	engine       string // what SSLEngine is set to, in lower case; empty where it is not
}

func (a *apacheReader) file(path string, depth int) {
	if depth > mostDepth {
		return
	}
	text := strings.ReplaceAll(a.read(path), "\\\r\n", "")
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", "")) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		section, isSection := strings.CutPrefix(line, "<")
		w := words(strings.TrimSuffix(section, ">"), false)
		if len(w) == 0 {
			continue
		}
		switch name := strings.ToLower(w[0]); {
		case isSection && name == "virtualhost":
			a.host = &virtualHost{at: w[1:]}
		case isSection && name == "/virtualhost":
			a.close()
		case isSection || len(w) < 2:
		case name == "serverroot":
			a.root = w[1]
		case name == "include" || name == "includeoptional":
			for _, included := range matching(within(a.root, w[1])) {
				a.file(included, depth+1)
			}
		default:
			a.directive(name, w[1:])
		}
	}
}

func (a *apacheReader) directive(name string, args []string) {
	if a.host == nil {
		switch name {
		case "sslcertificatefile":
			a.files = append(a.files, within(a.root, args[0]))
		case "sslengine":
			a.engine = strings.ToLower(args[0])
		case "listen":
			if _, port, ok := parseBinding(args[0], 0); ok && len(args) > 1 {
				a.https[port] = strings.EqualFold(args[1], "https")
			}
		}
		return
	}
	switch name {
	case "servername":
		// It may have a scheme and a port.
		host := args[0][strings.LastIndex(args[0], "/")+1:]
		host, _, _ = strings.Cut(host, ":")
		a.host.names = append(a.host.names, host)
	case "serveralias":
		a.host.names = append(a.host.names, args...)
	case "sslengine":
		a.host.engine = strings.ToLower(args[0])
	case "sslcertificatefile":
		a.host.files = append(a.host.files, within(a.root, args[0]))
	case "remoteipproxyprotocol":
		a.host.proxy = strings.EqualFold(args[0], "on")
	}
}

func (a *apacheReader) close() {
	if a.host != nil {
		a.hosts = append(a.hosts, *a.host)
		a.host = nil
	}
}

// uses are what the hosts serve. The main server's certificate is theirs wherever
// it stands, behind them too.
func (a *apacheReader) uses() (all []use) {
	taken := map[string]bool{} // addresses that have a first host, which is the default
	for _, h := range a.hosts {
		if len(h.files) == 0 {
			h.files = a.files
		}
		if len(h.files) == 0 {
			continue
		}
		for _, at := range h.at {
			host, port, ok := parseBinding(strings.Replace(at, "_default_", "*", 1), 443)
			if !ok || !a.speaksTLS(h, port) {
				continue
			}
			all = append(all, use{host: host, port: port, proxy: h.proxy, names: h.names, files: knownFiles(h.files), standard: !taken[at]})
			taken[at] = true
		}
	}
	return all
}

// speaksTLS: who says nothing of it does as the main server, or by the protocol of
// the port, which is https for 443 if nothing is said.
func (a *apacheReader) speaksTLS(h virtualHost, port uint16) bool {
	engine := cmp.Or(h.engine, a.engine)
	return engine != "off" && (engine != "" || a.https[port])
}
