package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/certvigil/certvigil/renew"
)

// question is what one handshake asks.
type question struct {
	endpoint renew.Endpoint
	at       target
	name     string
	only     kind // of key that the answer may have; in TLS 1.2 at most: see explains it
}

// shown is what a server presented in one handshake.
type shown struct {
	chain   []*x509.Certificate // as sent, the leaf first
	version uint16              // of TLS
	only    kind                // of key that it could have; empty: any
	lacks   error               // why it shows no key of the kind that was wanted; nil where that was not asked
}

func (s shown) leaf() *x509.Certificate { return s.chain[0] }

func (s shown) ders() [][]byte {
	ders := make([][]byte, len(s.chain))
	for i, cert := range s.chain {
		ders[i] = cert.Raw
	}
	return ders
}

// dialError is a failure before anything was said: nothing listens, or nothing
// answers.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// ErrNotTLS is in the error of what was answered, and not in TLS.
var ErrNotTLS = errors.New("the server speaks something else")

// Unreached tells whether err is that no connection could be made.
func Unreached(err error) bool {
	_, dial := errors.AsType[dialError](err)
	return dial
}

// Refused tells whether err is that the server ended the handshake with an alert:
// it speaks TLS.
func Refused(err error) bool {
	_, ok := errors.AsType[alertError](err)
	return ok
}

// alertError is a handshake that the server ended with an alert.
type alertError struct{ error }

func (e alertError) Unwrap() error { return e.error }

// ErrNoAnswer is in the error of what was not answered in its time.
var ErrNoAnswer = errors.New("no answer in time")

// see makes one handshake, and where the server shows a key of another kind than
// wanted, one more that can take no other kind. In TLS 1.3 a client says which
// signatures it takes and package tls lets nobody choose them, but until 1.2 the
// cipher suites say it too (RFC 8422, section 5.1), and servers go by them.
func (p *Prober) see(ctx context.Context, q question, wanted kind) (shown, error) {
	first, err := p.handshake(ctx, q)
	if err != nil || wanted == "" || q.only == wanted || kindOf(keyType(first.leaf())) == wanted {
		return first, err
	}
	q.only = wanted
	again, err := p.handshake(ctx, q)
	_, unreached := errors.AsType[dialError](err)
	if err == nil || unreached || ctx.Err() != nil || errors.Is(err, ErrNoAnswer) {
		return again, err
	}
	first.lacks = err
	return first, nil
}

// handshake makes one new connection and returns what the server showed.
func (p *Prober) handshake(ctx context.Context, q question) (shown, error) {
	limited, cancel := context.WithTimeout(ctx, p.timeout(q.endpoint))
	defer cancel()
	raw, err := new(net.Dialer).DialContext(limited, q.at.network, q.at.address)
	if err != nil {
		return shown{}, dialError{fmt.Errorf("connecting: %w", Brief(err))}
	}
	defer raw.Close()

	if err := introduce(raw, q.endpoint.ProxyProtocol); err != nil {
		return shown{}, inWords(ctx, limited, err)
	}
	if err := open(limited, raw, q.endpoint.Protocol, q.name); err != nil {
		return shown{}, inWords(ctx, limited, err)
	}
	var seen shown
	conn := tls.Client(raw, q.config(&seen))
	err = conn.HandshakeContext(limited)
	if err == nil || alert(err) && len(seen.chain) > 0 {
		return seen, nil
	}
	return shown{}, fmt.Errorf("TLS handshake: %w", inWords(ctx, limited, err))
}

func (q question) config(seen *shown) *tls.Config {
	c := &tls.Config{
		NextProtos: q.endpoint.ALPN,
		// The comparison with what is wanted takes the place of verification;
		// and what is not wanted must be seen too, to be reported.
		InsecureSkipVerify: true,             //nolint:gosec // see above
		MinVersion:         tls.VersionTLS10, // this looks, and sends nothing worth protecting
		CipherSuites:       q.only.suites(),
		VerifyConnection: func(state tls.ConnectionState) error {
			*seen = shown{chain: state.PeerCertificates, version: state.Version, only: q.only}
			return nil
		},
	}
	if !q.endpoint.NoSNI {
		c.ServerName = serverName(q.name)
	}
	if q.only != "" {
		c.MaxVersion = tls.VersionTLS12
	}
	return c
}

// inWords says why something ended: the caller's context, its time, or err.
func inWords(ctx, limited context.Context, err error) error {
	if d, ok := errors.AsType[*dialogueError](err); ok {
		return &dialogueError{d.where, inWords(ctx, limited, d.err)}
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limited.Err() != nil:
		return ErrNoAnswer
	}
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("%w, beginning with %q", ErrNotTLS, header.RecordHeader[:])
	}
	if alert(err) {
		return alertError{Brief(err)}
	}
	return Brief(err)
}

// alert tells whether the handshake ended with an alert of the server: one that
// demands a client certificate (RFC 8446, section 4.4.2.4) ends so, but only
// after it has shown its own and proved its key. Any other end after the
// certificate, a signature that is not its key's above all, is no sight of it.
func alert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

// serverName is the SNI to ask with. RFC 6066, section 3: no literal addresses.
func serverName(name string) string {
	if _, err := netip.ParseAddr(name); err == nil {
		return ""
	}
	return concrete(name)
}

// concrete is a name that a wildcard covers: nobody answers for "*".
func concrete(name string) string {
	if under, ok := strings.CutPrefix(name, "*."); ok {
		return "certvigil-probe." + under
	}
	return name
}

// Brief takes addresses and system calls out of an error of package net: the
// address is told once, by whoever reports it.
func Brief(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Err != nil {
		if op.Timeout() {
			return ErrNoAnswer
		}
		err = op.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	return err
}
