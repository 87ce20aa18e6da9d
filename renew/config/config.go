package config

import (
	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// Config is a whole configuration, checked: every reference resolves, every
// name can be issued, every file that it needs could be read.
type Config struct {
	Path    string // what Load was given; empty for the default places
	Agent   Agent
	Issuers map[string]Issuer     // by label
	Solvers map[string]Solver     // by "type.label"
	Hooks   map[string]hooks.Hook // by label
	Certs   []renew.Cert          // sorted by name
	Sources []string              // every file and directory that it was read from or that was looked for, for the watcher; absolute, sorted
}

// Agent is the agent block.
type Agent struct {
	StateDir string // default /var/lib/certvigil
	Socket   string // the control socket; default /run/certvigil/control.sock
	Listen   string // the status page's host:port; empty means none
	Resolver string // the DNS server that a preflight asks, as ip:port; empty means those of /etc/resolv.conf
}

// Issuer is one CA.
type Issuer struct {
	Name       string
	Directory  string   // https URL; a well-known name is already resolved
	WellKnown  string   // that well-known name; empty for a URL of nobody we know
	Contact    []string // mail addresses, without "mailto:"
	AgreeTerms bool
	Profile    string
	EAB        EAB    // zero where there is none
	TrustRoots []byte // PEM of the roots to trust beside the system's; may be empty
	HTTPPort   int    // where this CA looks for http-01 answers; zero means 80
}

// EAB is an external account binding (RFC 8555, section 7.3.4).
type EAB struct {
	KeyID   string
	HMACKey Secret // base64url, as the CA gave it
}

// Solver answers the CA's challenges.
type Solver struct {
	Type   string   // "http" or "webroot"
	Name   string   // the label; also the name of the systemd socket
	Listen []string // http: addresses such as ":80" or "[::1]:8080"
	Path   string   // webroot: the document root, absolute
}

// Secret is text that is never shown: whatever prints it prints "(secret)".
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. What receives it must not print it.
func (s Secret) Reveal() string { return s.text }
