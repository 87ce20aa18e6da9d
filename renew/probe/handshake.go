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
)

// shown is what a server presented in one handshake.
type shown struct {
	chain   []*x509.Certificate // as sent, the leaf first
	version uint16              // of TLS
}

func (s shown) leaf() *x509.Certificate { return s.chain[0] }

func (s shown) ders() [][]byte {
	ders := make([][]byte, len(s.chain))
	for i, cert := range s.chain {
		ders[i] = cert.Raw
	}
	return ders
}

// dialError is a failure before TLS: nothing listens, or nothing answers.
type dialError struct{ error }

func (e dialError) Unwrap() error { return e.error }

// ErrNoAnswer is in the error of what was not answered in its time.
var ErrNoAnswer = errors.New("no answer in time")

// handshake makes one new connection and returns what the server showed.
func (p *Prober) handshake(ctx context.Context, addr netip.AddrPort, name string) (shown, error) {
	limited, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	var dialer net.Dialer
	raw, err := dialer.DialContext(limited, "tcp", addr.String())
	if err != nil {
		return shown{}, dialError{fmt.Errorf("connecting: %w", Brief(err))}
	}
	defer raw.Close()

	var seen shown
	conn := tls.Client(raw, &tls.Config{
		ServerName: serverName(name),
		// The comparison with what is wanted takes the place of verification;
		// and what is not wanted must be seen too, to be reported.
		InsecureSkipVerify: true,             //nolint:gosec // see above
		MinVersion:         tls.VersionTLS10, // this looks, and sends nothing worth protecting
		VerifyConnection: func(state tls.ConnectionState) error {
			seen = shown{chain: state.PeerCertificates, version: state.Version}
			return nil
		},
	})
	err = conn.HandshakeContext(limited)
	switch {
	case err == nil, refusedByPeer(err) && len(seen.chain) > 0:
		return seen, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case limited.Err() != nil:
		err = ErrNoAnswer
	default:
		err = Brief(err)
	}
	return shown{}, fmt.Errorf("TLS handshake: %w", err)
}

// refusedByPeer tells whether the handshake ended with an alert of the server:
// one that demands a client certificate (RFC 8446, section 4.4.2.4) ends so, but
// only after it has shown its own and proved its key. Any other end after the
// certificate, a signature that is not its key's above all, is no sight of it.
func refusedByPeer(err error) bool {
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
