package probe

import "errors"

// sslRequest is the message SSLRequest of PostgreSQL's frontend/backend
// protocol: its length, and 80877103 where a version would stand.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

// maxComplaint bounds what is quoted of PostgreSQL's words, in bytes.
const maxComplaint = 512

// postgres is answered with one byte: S where TLS may begin. One that is too
// old, or has no process to spare, sends an error (E) and closes.
func postgres(d *dialogue) error {
	d.packets, d.step = true, "SSLRequest"
	if err := d.write([]byte(sslRequest)); err != nil {
		return err
	}
	answer, err := d.R.ReadByte()
	switch {
	case err != nil:
		return err
	case answer == 'S':
		return nil
	case answer == 'N':
		return refusal("the server answered \"N\": it does not do TLS (ssl = off)")
	}
	text := []byte{answer}
	for len(text) < maxComplaint {
		b, err := d.R.ReadByte()
		if err != nil {
			break // the answer, not its end, is what is wrong
		}
		text = append(text, b)
	}
	if len(text) == 1 && answer == 'E' {
		return errors.New("the server answered with an error, and closed")
	}
	return refused(string(text))
}
