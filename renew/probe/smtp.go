package probe

import (
	"net"
	"strings"
)

// smtp is RFC 3207, for relaying as for submission.
func smtp(d *dialogue) error { return d.mail("EHLO") }

// lmtp is RFC 2033, which greets with a word of its own.
func lmtp(d *dialogue) error { return d.mail("LHLO") }

func (d *dialogue) mail(hello string) error {
	if _, err := d.reply(220); err != nil {
		return err
	}
	offers, err := d.ask(hello+" "+d.self(), 250)
	if err != nil {
		return err
	}
	// RFC 5321, section 4.1.1.1: the first line is the server's name.
	_, extensions, _ := strings.Cut(offers, "\n")
	for line := range strings.Lines(extensions) {
		if startsFold(strings.TrimSpace(line), "STARTTLS") {
			_, err = d.ask("STARTTLS", 220)
			return err
		}
	}
	return lacks("STARTTLS", extensions)
}

// self names this host by its address (RFC 5321, section 4.1.3): its name may
// be one that nobody can look up.
func (d *dialogue) self() string {
	tcp, ok := d.conn.LocalAddr().(*net.TCPAddr)
	switch {
	case !ok:
		return "localhost"
	case tcp.IP.To4() == nil:
		return "[IPv6:" + tcp.IP.String() + "]"
	default:
		return "[" + tcp.IP.String() + "]"
	}
}
