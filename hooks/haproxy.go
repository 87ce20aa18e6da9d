package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// HAProxy's runtime API, as its management guide describes it (section 9.3): one
// command a connection, answered in lines for a person. A certificate is put
// beside the one in use (set ssl cert), then takes its place (commit ssl cert).
// New handshakes get it from then on, and no connection is cut.
const (
	maxAnswer   = 16 << 10        // of what is read of an answer, in bytes
	maxPair     = 256 << 10       // of a file of the pair, in bytes; tune.bufsize is far less
	abortWait   = 2 * time.Second // for the abort of what failed
	loadedLimit = 1024            // of the name, in bytes
)

// LoadedName tells whether HAProxy's command line can name that file.
func LoadedName(name string) bool {
	return name != "" && len(name) <= loadedLimit && !strings.HasPrefix(name, "<<") &&
		!strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`;\<"'`, r) })
}

// exchange has HAProxy use the pair of the one certificate that changed.
func exchange(ctx context.Context, how Reload, events []Event) error {
	if len(events) != 1 {
		return fmt.Errorf("%s holds one certificate, and %s ask for it: write a hook for each", how.Certificate, strings.Join(certs(events), ", "))
	}
	pair, err := readPair(events[0].Dir)
	if err != nil {
		return err
	}
	// "Transaction created for certificate …", or "updated" where one is open.
	if err := told(ctx, how, "set ssl cert "+how.Certificate+" <<\n"+string(pair)+"\n", "Transaction "); err != nil {
		return abandoned(ctx, how, fmt.Errorf("giving HAProxy the certificate: %w", err))
	}
	if err := told(ctx, how, "commit ssl cert "+how.Certificate+"\n", "Success!"); err != nil {
		return abandoned(ctx, how, fmt.Errorf("having HAProxy use the certificate: %w", err))
	}
	return nil
}

// abandoned takes back what was begun, so that the next attempt, and whoever else
// uses the API, finds no open transaction: there can be only one at a time. That
// there is none is no fault.
func abandoned(ctx context.Context, how Reload, because error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortWait)
	defer cancel()
	_, _ = query(ctx, how, "abort ssl cert "+how.Certificate+"\n")
	return because
}

// loaded tells what would keep HAProxy from taking the certificate: a socket of
// nobody, a file that it did not load.
func loaded(ctx context.Context, how Reload) error {
	return told(ctx, how, "show ssl cert "+how.Certificate+"\n", "Filename: ")
}

// told gives a command and wants those words in the answer.
func told(ctx context.Context, how Reload, command, want string) error {
	answer, err := query(ctx, how, command)
	if err != nil {
		return err
	}
	if strings.Contains(answer, want) {
		return nil
	}
	said := new(tail)
	_, _ = said.Write([]byte(answer))
	verb := strings.Join(strings.Fields(command)[:3], " ")
	switch {
	case strings.Contains(answer, "not referenced by the configuration"), strings.Contains(answer, "not found"),
		strings.Contains(answer, "Can't display"):
		return fmt.Errorf("HAProxy loaded no file %s (%s: %s): write certificate as show ssl cert lists it", how.Certificate, verb, quote(said.String()))
	case strings.Contains(answer, "Permission denied"):
		return fmt.Errorf("HAProxy refuses %s at %s: its stats socket line needs level admin", verb, how.HAProxy)
	}
	return fmt.Errorf("HAProxy answers %s with %q", verb, quote(said.String()))
}

// query sends one command, and a payload with it, and returns the answer. Neither
// errors nor answers have what was sent in them.
func query(ctx context.Context, how Reload, command string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", how.HAProxy)
	if err != nil {
		return "", fmt.Errorf("reaching HAProxy's runtime API (is it running, and has it this stats socket?): %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := trusted(conn, how.HAProxy); err != nil {
		return "", err
	}
	answer, err := converse(conn, command)
	if ctx.Err() != nil {
		return "", fmt.Errorf("talking to HAProxy at %s: %w", how.HAProxy, context.Cause(ctx))
	}
	if err != nil {
		return "", fmt.Errorf("talking to HAProxy at %s: %w", how.HAProxy, err)
	}
	return answer, nil
}

func converse(conn net.Conn, command string) (string, error) {
	if _, err := io.WriteString(conn, command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	return string(answer), err
}

// trusted checks who listens: a private key goes to root or to certvigil's own
// user, and to nobody who came to own the path. HAProxy opens its sockets before
// it gives root up, and that is what SO_PEERCRED tells (unix(7)).
func trusted(conn net.Conn, socket string) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return fmt.Errorf("asking who listens at %s: %w", socket, err)
	}
	var peer *unix.Ucred
	if e := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); e != nil || err != nil {
		return fmt.Errorf("asking who listens at %s: %w", socket, errors.Join(e, err))
	}
	if !mayHaveKey(int(peer.Uid), os.Geteuid()) {
		return fmt.Errorf("user %d listens at %s, and a private key goes to root or user %s only: "+
			"start HAProxy as root, or use another form of reload", peer.Uid, socket, username())
	}
	return nil
}

func mayHaveKey(uid, own int) bool { return uid == 0 || uid == own }

// readPair returns the key and the chain as one PEM text, without an empty line,
// which would end the payload. Both are read in one folder, whatever the live
// link shows meanwhile.
func readPair(dir string) ([]byte, error) {
	live, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the live pair: %w", err)
	}
	defer live.Close()
	var pair []byte
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		f, err := live.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading the live pair: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(f, maxPair))
		f.Close() // nothing was written
		if err != nil {
			return nil, fmt.Errorf("reading the live pair: %w", err)
		}
		for line := range bytes.Lines(text) {
			if line = bytes.TrimSpace(line); len(line) > 0 {
				pair = append(append(pair, line...), '\n')
			}
		}
	}
	return pair, nil
}
