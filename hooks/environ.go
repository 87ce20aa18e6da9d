package hooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What a program gets where the agent itself has none.
const (
	defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	defaultLang = "C.UTF-8"
)

// environ is the whole environment of a program; see the package's contract.
func environ(path, lang string, events []Event) []string {
	first := events[0]
	var names []string
	seen := make(map[string]bool)
	for _, ev := range events {
		for _, name := range ev.Names {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	all := strings.Join(names, " ")
	return []string{
		"PATH=" + path,
		"LANG=" + lang,
		"CERTVIGIL_CERT=" + strings.Join(certs(events), " "),
		"CERTVIGIL_NAMES=" + all,
		"CERTVIGIL_VERSION=" + strconv.Itoa(first.Version),
		"CERTVIGIL_DIR=" + first.Dir,
		"CERTVIGIL_FULLCHAIN=" + first.Fullchain,
		"CERTVIGIL_KEY=" + first.Key,
		"CERTVIGIL_FINGERPRINT=" + first.Fingerprint,
		"CERTVIGIL_REASON=" + first.Reason,
		"RENEWED_LINEAGE=" + first.Dir,
		"RENEWED_DOMAINS=" + all,
	}
}

func certs(events []Event) []string {
	names := make([]string, len(events))
	for i, ev := range events {
		names[i] = ev.Cert
	}
	return names
}

// message is what a program reads on its standard input.
func message(events []Event) ([]byte, error) {
	events = slices.Clone(events)
	for i := range events {
		if events[i].Names == nil {
			events[i].Names = []string{} // "names" is a list for every reader
		}
	}
	text, err := json.Marshal(struct {
		Event        string  `json:"event"`
		Certificates []Event `json:"certificates"`
	}{"deploy", events})
	if err != nil {
		return nil, fmt.Errorf("writing the event of %s: %w", events[0].Cert, err)
	}
	return append(text, '\n'), nil
}

// size is what an event adds to the longest variable of the environment.
func (e Event) size() int {
	n := len(e.Cert) + 1
	for _, name := range e.Names {
		n += len(name) + 1
	}
	return n
}
