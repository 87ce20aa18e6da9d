package probe

import "strings"

// sieve is ManageSieve: RFC 5804, sections 1.7 and 2.2.
func sieve(d *dialogue) error {
	offers, err := d.capabilities()
	if err != nil {
		return err
	}
	if !strings.Contains(strings.ToUpper(offers), `"STARTTLS"`) {
		return lacks("STARTTLS", offers)
	}
	if err := d.send("STARTTLS"); err != nil {
		return err
	}
	line, err := d.ReadLine()
	if err == nil && !startsFold(line, "OK") {
		return refused(line)
	}
	return err
}

// capabilities reads the strings that the server begins with, until its OK.
func (d *dialogue) capabilities() (string, error) {
	var offers strings.Builder
	for {
		line, err := d.ReadLine()
		switch {
		case err != nil:
			return "", err
		case startsFold(line, "OK"):
			return offers.String(), nil
		case !strings.HasPrefix(line, `"`):
			return "", refused(line)
		}
		offers.WriteString(line + " ")
	}
}
