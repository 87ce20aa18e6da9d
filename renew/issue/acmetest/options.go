package acmetest

import (
	"io"
	"net/http"
	"os"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
)

// Options says what kind of CA to start. The zero Options is a CA without
// faults whose certificates last 90 days.
type Options struct {
	Addr     string        // where the API listens; default a free port of 127.0.0.1
	HTTPPort int           // where validation connects for http-01; default 5002
	Validity time.Duration // of certificates, in whole seconds; default 90 days

	Profiles    map[string]Profile // default: one, named "default", of Validity
	EAB         map[string]string  // key id → HMAC key, base64url without padding; any entry makes EAB required
	Sleep       bool               // validation sleeps 0–4 s, as Pebble does by default
	NonceReject int                // percent of good nonces that are rejected
	AuthzReuse  int                // percent of valid authorizations that are used again (0 still is about 1)
	RetryAfter  int                // seconds, sent with pending authorizations and processing orders; 0 sends none
	ChainLength int                // intermediates; default 1
	RSA         bool               // root and intermediates have RSA keys; Intermediate needs it

	// Middleware stands in front of everything: what it answers, the client
	// sees. It must keep the Host header, from which Pebble builds its URLs.
	Middleware func(http.Handler) http.Handler

	ManagementAddr string    // where Pebble's management interface listens; empty means nowhere
	Log            io.Writer // Pebble's own log; nil discards it (formatting it costs a quarter of its speed)
}

// Profile is one certificate profile that the CA offers.
type Profile struct {
	Description string
	Validity    time.Duration // default that of the Options
	CommonName  bool          // the first name becomes the subject's common name
}

func (o Options) withDefaults() Options {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.HTTPPort == 0 {
		o.HTTPPort = 5002
	}
	if o.Validity == 0 {
		o.Validity = 90 * 24 * time.Hour
	}
	if o.ChainLength == 0 {
		o.ChainLength = 1
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if len(o.Profiles) == 0 {
		o.Profiles = map[string]Profile{"default": {Description: "the only one"}}
	}
	return o
}

func (o Options) wrap(h http.Handler) http.Handler {
	if o.Middleware == nil {
		return h
	}
	return o.Middleware(h)
}

func (o Options) profiles() map[string]ca.Profile {
	profiles := make(map[string]ca.Profile)
	for name, p := range o.Profiles {
		validity := p.Validity
		if validity == 0 {
			validity = o.Validity
		}
		// Pebble takes one second off, since both ends of a validity count.
		profiles[name] = ca.Profile{
			Description:       p.Description,
			PromoteCommonName: p.CommonName,
			ValidityPeriod:    uint64(validity/time.Second) + 1,
		}
	}
	return profiles
}

func (o Options) keys() string {
	if o.RSA {
		return "rsa"
	}
	return "ecdsa"
}

func noSleep(sleep bool) string {
	if sleep {
		return ""
	}
	return "1"
}

// setenv sets variables and returns what puts the former ones back.
func setenv(vars map[string]string) (restore func()) {
	former := make(map[string]*string)
	for name, value := range vars {
		if old, ok := os.LookupEnv(name); ok {
			former[name] = &old
		} else {
			former[name] = nil
		}
		_ = os.Setenv(name, value)
	}
	return func() {
		for name, old := range former {
			if old == nil {
				_ = os.Unsetenv(name)
			} else {
				_ = os.Setenv(name, *old)
			}
		}
	}
}
