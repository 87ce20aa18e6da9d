package probe

// pop3 is RFC 2595, section 4.
func pop3(d *dialogue) error {
	if err := d.positive(); err != nil {
		return err
	}
	if err := d.send("STLS"); err != nil {
		return err
	}
	return d.positive()
}

func (d *dialogue) positive() error {
	line, err := d.ReadLine()
	if err == nil && !startsFold(line, "+OK") {
		return refused(line)
	}
	return err
}
