package probe

import "fmt"

// ftp is RFC 4217, section 4. RFC 959, section 4.2: a server that is not ready
// yet says 120 before it greets.
func ftp(d *dialogue) error {
	code, text, err := d.coded()
	for err == nil && code == 120 {
		code, text, err = d.coded()
	}
	switch {
	case err != nil:
		return err
	case code != 220:
		return refused(fmt.Sprintf("%d %s", code, text))
	}
	_, err = d.ask("AUTH TLS", 234)
	return err
}
