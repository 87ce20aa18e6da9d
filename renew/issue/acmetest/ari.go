package acmetest

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/letsencrypt/pebble/v2/core"
)

// Certificates that last less than this are to be renewed at half of their
// lifetime, the others with a third left: Boulder's rule.
const shortValidity = 10 * 24 * time.Hour

// What Boulder tells clients to wait between two questions, in seconds.
const ariRetryAfter = "21600"

// windows are the answers that a test set, by serial number.
type windows struct {
	mu     sync.Mutex
	bodies map[string]string
}

// Window is a suggested renewal window (RFC 9773, section 4.2).
type Window struct {
	Start, End  time.Time
	Explanation string // explanationURL; may be empty
}

// SetARI makes the CA suggest window for the certificate with that serial
// number. The zero Window brings the default back.
func (c *CA) SetARI(serial *big.Int, window Window) {
	if window == (Window{}) {
		c.SetARIBody(serial, "")
		return
	}
	c.SetARIBody(serial, window.body())
}

// SetARIBody makes the CA answer body, whatever it is, for the certificate with
// that serial number. Empty brings the default back.
func (c *CA) SetARIBody(serial *big.Int, body string) {
	c.ari.mu.Lock()
	defer c.ari.mu.Unlock()
	if c.ari.bodies == nil {
		c.ari.bodies = make(map[string]string)
	}
	c.ari.bodies[serial.String()] = body
}

// Revoke marks the certificate as revoked by the CA, as in an incident: its
// window then lies in the past.
func (c *CA) Revoke(leaf *x509.Certificate) {
	if cert := c.store.GetCertificateByDER(leaf.Raw); cert != nil {
		c.store.RevokeCertificate(&core.RevokedCertificate{Certificate: cert, RevokedAt: time.Now()})
	}
}

// renewalInfo answers for the certificates that Pebble knows: its own windows
// are 48 hours wide, whatever the lifetime.
func (c *CA) renewalInfo(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, isARI := strings.CutPrefix(r.URL.Path, renewalInfoPath)
		if !isARI {
			next.ServeHTTP(w, r)
			return
		}
		c.counts.ari.Add(1)
		body, ok := c.suggestion(id)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Retry-After", ariRetryAfter)
		_, _ = io.WriteString(w, body)
	})
}

// serialOf reads the serial number of a CertID (RFC 9773, section 4.1).
func serialOf(certID string) (*big.Int, bool) {
	_, tail, _ := strings.Cut(certID, ".")
	serial, err := base64.RawURLEncoding.DecodeString(tail)
	return new(big.Int).SetBytes(serial), err == nil && len(serial) > 0
}

func (c *CA) suggestion(certID string) (string, bool) {
	serial, ok := serialOf(certID)
	if !ok {
		return "", false
	}
	cert := c.store.GetCertificateBySerial(serial)
	if cert == nil {
		return "", false
	}
	c.ari.mu.Lock()
	body := c.ari.bodies[serial.String()]
	c.ari.mu.Unlock()
	switch {
	case body != "":
		return body, true
	case c.store.GetRevokedCertificateBySerial(serial) != nil:
		now := time.Now()
		return Window{Start: now.Add(-time.Hour), End: now.Add(-30 * time.Minute)}.body(), true
	default:
		return defaultWindow(cert.Cert).body(), true
	}
}

// defaultWindow is Boulder's: 2 % of the lifetime wide.
func defaultWindow(leaf *x509.Certificate) Window {
	validity := leaf.NotAfter.Sub(leaf.NotBefore)
	left := validity / 3
	if validity < shortValidity {
		left = validity / 2
	}
	ideal := leaf.NotAfter.Add(-left)
	return Window{Start: ideal.Add(-validity / 100), End: ideal.Add(validity / 100)}
}

func (w Window) body() string {
	type span struct {
		Start time.Time `json:"start"`
		End   time.Time `json:"end"`
	}
	text, _ := json.Marshal(struct { // two times and a string: cannot fail
		Window      span   `json:"suggestedWindow"`
		Explanation string `json:"explanationURL,omitempty"`
	}{span{w.Start.UTC(), w.End.UTC()}, w.Explanation})
	return string(text)
}
