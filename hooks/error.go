package hooks

import (
	"strings"
)

// The phases of a run, as Error.Phase has them.
const (
	phaseTest   = "test"
	phaseReload = "reload"
)

// Error says how a run failed.
type Error struct {
	Hook      string
	Phase     string // "test" or "reload"
	ExitCode  int    // of the program; -1 where none exited by itself
	Temporary bool   // it asked to be run again soon: exit code 75
	TimedOut  bool   // the timeout ended it
	Output    string // its last lines: bounded, printable, private keys removed
	Err       error
}

// Error quotes the last lines of the output, since tests such as that of nginx
// put the cause in the line before the last.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("hook " + e.Hook + ": " + e.Phase + ": " + e.Err.Error())
	if quoted := quote(e.Output); quoted != "" {
		b.WriteString(": " + quoted)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// What an error message quotes of the output at most.
const (
	quotedLines = 5
	quotedBytes = 600
)

func quote(output string) string {
	lines := strings.Split(output, "\n")
	if len(lines) > quotedLines {
		lines = lines[len(lines)-quotedLines:]
	}
	text := strings.Join(lines, "; ")
	if len(text) > quotedBytes {
		text = "…" + strings.ToValidUTF8(text[len(text)-quotedBytes:], "")
	}
	return text
}
