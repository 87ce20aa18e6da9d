package hooks

import (
	"strings"
	"unicode"
)

// keptOutput is how much of a program's output is held, in bytes: the last part.
const keptOutput = 64 << 10

// Error.Output holds no more than this.
const (
	shownLines = 20
	shownBytes = 4 << 10
)

// tail is a writer that keeps the last keptOutput bytes, so that a program that
// prints without end costs no memory.
type tail struct {
	buf []byte // never more than twice keptOutput: it is cut only now and then
	cut bool   // something before buf is gone
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if over := n - keptOutput; over > 0 {
		p, t.cut = p[over:], true
	}
	if len(t.buf)+len(p) > 2*keptOutput {
		kept := copy(t.buf, t.buf[len(t.buf)-keptOutput:])
		t.buf, t.cut = t.buf[:kept], true
	}
	t.buf = append(t.buf, p...)
	return n, nil
}

func (t *tail) kept() (text []byte, cut bool) {
	if over := len(t.buf) - keptOutput; over > 0 {
		return t.buf[over:], true
	}
	return t.buf, t.cut
}

// String returns the last lines in a form that a terminal and a log can show.
func (t *tail) String() string {
	text, cut := t.kept()
	lines := strings.FieldsFunc(string(text), func(r rune) bool { return r == '\n' || r == '\r' })
	if cut && len(lines) > 1 {
		lines = lines[1:] // its beginning is gone
	}
	return lastLines(withoutKeys(lines))
}

func lastLines(lines []string) string {
	var shown []string
	size := 0
	for i := len(lines) - 1; i >= 0 && len(shown) < shownLines; i-- {
		line := strings.TrimSpace(strings.Map(printable, lines[i]))
		if line == "" {
			continue
		}
		if len(line) > shownBytes {
			line = strings.ToValidUTF8(line[:shownBytes], "") + "…"
		}
		if size += len(line) + 1; size > shownBytes && len(shown) > 0 {
			break
		}
		shown = append([]string{line}, shown...)
	}
	return strings.Join(shown, "\n")
}

func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case unicode.IsPrint(r):
		return r
	default:
		return '?'
	}
}

const keyRemoved = "[private key removed]"

// withoutKeys removes what looks like a PEM private key: output ends up in
// errors, and errors in logs, status and alerts.
func withoutKeys(lines []string) []string {
	var out []string
	inside := false
	for _, line := range lines {
		begins := strings.Contains(line, "-----BEGIN ") && strings.Contains(line, "PRIVATE KEY-----")
		ends := strings.Contains(line, "-----END ") && strings.Contains(line, "PRIVATE KEY-----")
		switch {
		case begins:
			inside = !ends
			out = append(out, keyRemoved)
		case ends && inside:
			inside = false
		case ends:
			out = []string{keyRemoved} // its beginning was cut off with all that came before
		case !inside:
			out = append(out, line)
		}
	}
	return out
}
