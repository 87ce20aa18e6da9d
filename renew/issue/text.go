package issue

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What a CA says is shown to people, in a terminal too: never more than this
// many bytes of it, and nothing in it that a terminal obeys.
const maxText = 500

// A whole message may be longer: it can name several identifiers.
const maxMessage = 2000

// keyAuthorization matches a token and an account's thumbprint (RFC 8555,
// section 8.1), which CAs like to repeat in their errors.
var keyAuthorization = regexp.MustCompile(`[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{43}`)

// clean makes text of a stranger's fit to be shown.
func clean(text string) string { return cleanTo(text, maxText) }

func cleanTo(text string, limit int) string {
	if len(text) > 8*limit {
		text = text[:8*limit]
	}
	text = keyAuthorization.ReplaceAllString(text, "(key authorization)")
	var b strings.Builder
	for _, r := range text {
		piece := string(r)
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			if piece = " "; r != '\n' && r != '\t' && r != '\r' {
				piece = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
			}
		}
		if b.Len()+len(piece) > limit-len("…") {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
	}
	return b.String()
}

// quote is clean in quotation marks.
func quote(text string) string { return `"` + strings.ReplaceAll(clean(text), `"`, `'`) + `"` }
