package prober

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"time"
)

// Target is one name, asked for at one address (host:port).
type Target struct {
	Address string
	Name    string
}

func (t Target) String() string { return t.Name + " at " + t.Address }

// Seen is what one completed handshake showed.
type Seen struct {
	At          time.Time // when the handshake was complete
	Serial      string    // lower-case hex
	Fingerprint string    // SHA-256 of the leaf's DER, lower-case hex
	NotAfter    time.Time
	Kind        Kind   // empty when a client would accept it
	Detail      string // what is wrong, for a person
}

// Handshake makes one new connection to t, never resuming a session, and judges
// what it is answered with. The error is that of a handshake that did not
// complete; a certificate that is wrong is no error but a [Kind].
func Handshake(ctx context.Context, t Target, roots *x509.CertPool) (Seen, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", t.Address)
	if err != nil {
		return Seen{}, fmt.Errorf("connecting for %s: %w", t.Name, err)
	}
	defer raw.Close()
	// The judge verifies, so that a bad certificate is seen rather than
	// refused. The handshake proves that the server holds the leaf's key
	// all the same (RFC 8446, section 4.4.3).
	conn := tls.Client(raw, &tls.Config{ServerName: t.Name, InsecureSkipVerify: true}) //nolint:gosec // judged below
	if err := conn.HandshakeContext(ctx); err != nil {
		return Seen{}, fmt.Errorf("handshaking for %s: %w", t.Name, err)
	}
	now := time.Now()
	chain := conn.ConnectionState().PeerCertificates
	seen := Seen{At: now}
	seen.Kind, seen.Detail = Judge(now, chain, t.Name, roots)
	if len(chain) > 0 {
		sum := sha256.Sum256(chain[0].Raw)
		seen.Fingerprint = hex.EncodeToString(sum[:])
		seen.Serial = chain[0].SerialNumber.Text(16)
		seen.NotAfter = chain[0].NotAfter
	}
	return seen, nil
}
