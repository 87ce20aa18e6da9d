package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// opening says what a protocol says in plain text until TLS begins. When it
// returns, the server's next byte has to be one of TLS.
type opening func(*dialogue) error

// openings has one for each of renew.Protocols, but for "tls".
var openings = map[string]opening{
	"smtp": smtp, "submission": smtp, "lmtp": lmtp,
	"imap": imap, "pop3": pop3, "sieve": sieve,
	"ftp": ftp, "nntp": nntp, "ldap": ldap,
	"xmpp": xmpp("jabber:client"), "xmpp-server": xmpp("jabber:server"),
	"postgres": postgres, "mysql": mysql,
}

// talks tells whether something is said before TLS.
func talks(e renew.Endpoint) bool { return openings[e.Protocol] != nil }

func known(protocol string) error {
	if protocol == "" || protocol == "tls" || openings[protocol] != nil {
		return nil
	}
	return fmt.Errorf("protocol %q is not known", protocol)
}

// maxDialogue bounds what a server may say before TLS begins, in bytes.
const maxDialogue = 64 << 10

// dialogue is a conversation in plain text. Reading from it never takes more
// from the connection than is kept in R, so that what came too early is seen.
type dialogue struct {
	*textproto.Reader
	conn  net.Conn
	name  string // that TLS will ask for; may be empty
	step  string // what was asked last
	heard *meter

	packets bool // the protocol has no lines
}

// open carries conn to the point where TLS begins. Once ctx is done, whatever
// it waits for fails.
func open(ctx context.Context, conn net.Conn, protocol, name string) error {
	say := openings[protocol]
	if say == nil {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	heard := &meter{from: conn}
	d := &dialogue{Reader: textproto.NewReader(bufio.NewReader(heard)), conn: conn, name: concrete(name), step: "greeting", heard: heard}
	err := say(d)
	if err == nil {
		err = d.nothingMore()
	}
	if err == nil {
		return nil
	}
	where := protocol + " dialogue, " + d.step
	if !d.packets {
		where += fmt.Sprintf(", line %d", d.line(err))
	}
	return &dialogueError{where, told(err)}
}

// dialogueError says where in a dialogue it went wrong.
type dialogueError struct {
	where string // what was asked, and the line of what the server said
	err   error
}

func (e *dialogueError) Error() string { return e.where + ": " + e.err.Error() }
func (e *dialogueError) Unwrap() error { return e.err }

// nothingMore refuses what came behind the last answer. A server is silent until
// the client begins TLS: who adds bytes in plain text there wants them to be
// taken for the server's (RFC 3207, section 6; CVE-2011-0411).
func (d *dialogue) nothingMore() error {
	n := d.R.Buffered()
	if n == 0 {
		return nil
	}
	early, _ := d.R.Peek(n)
	return refusal(fmt.Sprintf("%d bytes in plain text follow the answer, before TLS: %s", n, quote(string(early))))
}

// refusal is an answer that was read, and is not the one that was hoped for.
type refusal string

func (r refusal) Error() string { return string(r) }

// refused quotes the answer.
func refused(answer string) error { return refusal("the server answered " + quote(answer)) }

// lacks tells that the server does not offer TLS, and what it offers instead.
func lacks(what, offer string) error {
	return refusal(fmt.Sprintf("the server offers no %s, only %s", what, quote(offer)))
}

// maxQuote bounds how much of an answer is repeated, in bytes.
const maxQuote = 160

func quote(answer string) string {
	if len(answer) > maxQuote {
		answer = strings.ToValidUTF8(answer[:maxQuote], "") + "…"
	}
	return fmt.Sprintf("%q", answer)
}

// line counts the lines that the server has said, up to the one where it went
// wrong: the last that was read where that is the fault, else the one that
// should have come.
func (d *dialogue) line(err error) int {
	ahead, _ := d.R.Peek(d.R.Buffered())
	read := d.heard.lines - bytes.Count(ahead, []byte("\n"))
	if _, ok := errors.AsType[refusal](err); !ok {
		read++
	}
	return max(read, 1) // XML needs no line ends
}

// told puts an error of reading into words.
func told(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the server closed the connection")
	}
	return err
}

// send says one line.
func (d *dialogue) send(line string) error {
	d.step = line
	return d.write([]byte(line + "\r\n"))
}

func (d *dialogue) write(what []byte) error {
	_, err := d.conn.Write(what)
	return err
}

// coded reads one reply of three digits and a text, of any number of lines, as
// RFC 5321, section 4.2, RFC 959, section 4.2, and RFC 3977, section 3.2, have it.
func (d *dialogue) coded() (code int, text string, err error) {
	code, text, err = d.ReadResponse(0)
	if bad, ok := errors.AsType[textproto.ProtocolError](err); ok {
		err = refusal("the server's answer can't be read: " + string(bad))
	}
	return code, text, err
}

// reply reads a reply that has one of these codes, and returns its text.
func (d *dialogue) reply(want ...int) (string, error) {
	code, text, err := d.coded()
	if err == nil && !slices.Contains(want, code) {
		err = refused(fmt.Sprintf("%d %s", code, text))
	}
	return text, err
}

// ask says one line and reads the reply.
func (d *dialogue) ask(line string, want ...int) (string, error) {
	if err := d.send(line); err != nil {
		return "", err
	}
	return d.reply(want...)
}

// startsFold tells whether line begins with the word, in whatever case.
func startsFold(line, word string) bool {
	if len(line) < len(word) || !strings.EqualFold(line[:len(word)], word) {
		return false
	}
	return len(line) == len(word) || line[len(word)] == ' '
}

// meter counts what is read through it, and ends it after maxDialogue bytes.
type meter struct {
	from         io.Reader
	bytes, lines int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.bytes >= maxDialogue {
		return 0, fmt.Errorf("the server said more than %d KiB before TLS", maxDialogue>>10)
	}
	n, err := m.from.Read(p[:min(len(p), maxDialogue-m.bytes)])
	m.bytes += n
	m.lines += bytes.Count(p[:n], []byte("\n"))
	return n, err
}
