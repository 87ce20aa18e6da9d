package probe

// nntp is RFC 4642, section 2.2. A server greets with 201 where nobody may post.
func nntp(d *dialogue) error {
	if _, err := d.reply(200, 201); err != nil {
		return err
	}
	_, err := d.ask("STARTTLS", 382)
	return err
}
