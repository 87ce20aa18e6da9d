package preflight

import (
	"strconv"
	"strings"
)

// What strangers say is shown to people, in a terminal too: never more than this
// many bytes of it, and nothing in it that a terminal obeys.
const maxQuote = 120

// quote shows text of a stranger's.
func quote(text string) string {
	if len(text) > maxQuote {
		text = text[:maxQuote] + "…"
	}
	return strconv.Quote(strings.ToValidUTF8(text, "�"))
}

// oneLine makes one line of an error that joins several.
func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
