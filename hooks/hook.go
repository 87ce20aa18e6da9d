package hooks

import (
	"fmt"
	"time"
)

// Hook is an operator's reload, as the configuration names it. Exactly one of
// the forms of Reload is set; Test and TestUnit are each optional.
type Hook struct {
	Name     string
	Test     []string      // argv that must exit 0 before the reload; no shell
	TestUnit string        // or a one-shot systemd unit that must succeed
	Timeout  time.Duration // of the test and of the reload, each on its own
	Each     bool          // run once for each certificate, never one run for several
	Reload   Reload
}

// Same tells whether both hooks do the same: what one of them has done need not
// be done again for the other.
func (h Hook) Same(other Hook) bool { return h.action() == other.action() }

// action stands for what the hook does, whatever it is called.
func (h Hook) action() string {
	h.Name, h.Timeout = "", 0
	return fmt.Sprintf("%#v", h)
}

// Reload is how the server is told. Command is an argv list; PIDFile and Signal
// go together; Unit is a systemd unit that is asked to reload over D-Bus; HAProxy
// and Certificate go together.
type Reload struct {
	Command     []string
	PIDFile     string
	Signal      string // "HUP", "USR1", "USR2", "WINCH", "INT", "TERM" or "QUIT"
	Process     string // what the pid file's process must be: a program's name or path; empty: as old as the file
	Unit        string
	TryRestart  bool   // restart the unit where it can't reload: systemd's reload-or-try-restart
	HAProxy     string // the Unix socket of its runtime API
	Certificate string // the file that it loaded the certificate from, as it knows it
}

// Event is what a hook is told of one certificate: its environment and, as
// JSON, its standard input.
type Event struct {
	Cert        string   `json:"certificate"`
	Names       []string `json:"names"`
	Version     int      `json:"version"`
	Dir         string   `json:"dir"`       // live/<name>, where the pair lies
	Fullchain   string   `json:"fullchain"` // absolute path
	Key         string   `json:"key"`       // absolute path
	Fingerprint string   `json:"fingerprint_sha256"`
	Reason      string   `json:"reason"`

	Reloading func() `json:"-"` // called just before the reload, after the test; may be nil
}
