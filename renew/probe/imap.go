package probe

import "strings"

// imap is RFC 9051, section 6.2.1. What is untagged may stand before the answer.
func imap(d *dialogue) error {
	greeting, err := d.ReadLine()
	if err != nil {
		return err
	}
	if !startsFold(greeting, "* OK") {
		return refused(greeting)
	}
	if err := d.send("c1 STARTTLS"); err != nil {
		return err
	}
	for {
		line, err := d.ReadLine()
		if err != nil {
			return err
		}
		if startsFold(line, "c1 OK") {
			return nil
		}
		if !strings.HasPrefix(line, "* ") || startsFold(line, "* BYE") {
			return refused(line)
		}
	}
}
