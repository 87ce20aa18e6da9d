package issue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// misconfigured is a failure that the operator's configuration is the cause of.
func misconfigured(format string, args ...any) error {
	return &renew.Failure{Class: renew.Config, Err: fmt.Errorf(format, args...)}
}

// refusing is a failure that the CA, or what it answered, is the cause of.
func refusing(format string, args ...any) error {
	return &renew.Failure{Class: renew.Refused, Err: fmt.Errorf(format, args...)}
}

// local is a failure that this host is the cause of.
func local(err error) error { return &renew.Failure{Class: renew.Local, Err: err} }

// classify makes a Failure of whatever went wrong, and holds the account where
// the CA asked for time.
func (c *Client) classify(op string, err error, a *attempt) *renew.Failure {
	f := &renew.Failure{Op: op, Class: classOf(err), Err: shown(err)}
	if a != nil {
		f.Names = namesOf(err, a.cert.Names)
	}
	p, ok := errors.AsType[*problem](err)
	if inner, found := errors.AsType[*renew.Failure](err); found {
		f.RetryAt = inner.RetryAt
	}
	if ok && p.Limited && f.Class == renew.Limited {
		f.RetryAt = c.hold(p, a)
	}
	return f
}

func classOf(err error) renew.Class {
	if f, ok := errors.AsType[*renew.Failure](err); ok {
		return f.Class
	}
	if p, ok := errors.AsType[*problem](err); ok {
		return p.class()
	}
	if _, ok := errors.AsType[*keypair.Refusal](err); ok {
		return renew.Refused
	}
	return renew.Transient // network, timeouts, answers that make no sense
}

// class sorts what CAs answer: by the type where it is one of ACME's, else by
// the status.
func (p *problem) class() renew.Class {
	switch {
	case p.Limited:
		return renew.Limited
	case p.is(badNonce, serverInternal, orderNotReady, connection, dnsProblem):
		return renew.Transient
	case p.is(invalidProfile, invalidContact, unsupportedContact, externalAccountRequired):
		return renew.Config
	case p.Status >= 500, p.Type == "":
		// Without an ACME type it was a proxy, a firewall or a captive portal.
		return renew.Transient
	}
	return renew.Refused
}

// shown keeps what errors.Is and errors.As find, and shows what is fit to be.
func shown(err error) error {
	if hint := trustHint(err); hint != "" {
		err = fmt.Errorf("%w (%s)", err, hint)
	}
	return &cleaned{err}
}

// unwrapURL drops the method and URL that net/http puts before our own errors.
func unwrapURL(err error) error {
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // only the outermost
		return u.Err
	}
	return err
}

func trustHint(err error) string {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the CA's own TLS certificate is not trusted here: see the issuer's trust_roots, and this host's clock"
	}
	if d, ok := errors.AsType[*net.DNSError](err); ok && d.IsNotFound {
		return "this host does not resolve the CA's name"
	}
	return ""
}

// cleaned shows an error's text bounded and escaped.
type cleaned struct{ err error }

func (e *cleaned) Error() string { return cleanTo(e.err.Error(), maxMessage) }
func (e *cleaned) Unwrap() error { return e.err }

// canceled tells whether the work was ended from outside, or ran out of time.
func canceled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
