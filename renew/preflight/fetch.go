package preflight

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
)

const (
	maxRedirects = 10 // as many as Boulder follows
	maxBody      = 4 << 10
	maxHeader    = 16 << 10
)

// fetch gets the token from one address of the name, and tells what came back in
// its place. Redirects are followed as RFC 8555, section 8.3, has the CA follow
// them, but to names of this certificate only: a request of ours is nobody's to
// send elsewhere.
func (l *look) fetch(ctx context.Context, name string, at netip.AddrPort, t *token) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	target := &url.URL{Scheme: "http", Host: hostPort(name, at.Port()), Path: "/.well-known/acme-challenge/" + t.path}
	way := ""
	for range maxRedirects {
		answer, body, err := l.get(ctx, target, at)
		if err != nil {
			return told(err, way)
		}
		location := answer.Header.Get("Location")
		if answer.StatusCode < 300 || answer.StatusCode > 399 || location == "" {
			return judge(answer, body, t, way)
		}
		way += fmt.Sprintf("redirects (%d) to %s, ", answer.StatusCode, quote(location))
		next, err := target.Parse(location)
		if err != nil {
			return fmt.Errorf("%swhich is no URL", way)
		}
		if at, err = l.follow(ctx, name, at, next); err != nil {
			return fmt.Errorf("%swhich is not followed from here: %w", way, err)
		}
		target = next
	}
	return fmt.Errorf("redirects more than %d times", maxRedirects)
}

// told keeps apart an address that is dead from one that fails after a redirect.
func told(err error, way string) error {
	if way == "" {
		return err
	}
	return fmt.Errorf("%swhere nothing answers: %s", way, err) //nolint:errorlint // the address itself did answer
}

func hostPort(name string, port uint16) string {
	if port == 80 {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return net.JoinHostPort(name, strconv.Itoa(int(port)))
}

// get makes one request at one address. Whose certificate answers does not
// matter: the CA does not look either (RFC 8555, section 8.3).
func (l *look) get(ctx context.Context, target *url.URL, at netip.AddrPort) (*http.Response, string, error) {
	conn, err := dial(ctx, at)
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	transport := &http.Transport{
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10}, //nolint:gosec // see above
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeader,
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("User-Agent", "certvigil preflight")
	answer, err := transport.RoundTrip(req)
	if err != nil {
		return nil, "", fmt.Errorf("answers no HTTP: %w", timely(ctx, probe.Brief(err)))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return nil, "", fmt.Errorf("breaks off: %w", timely(ctx, probe.Brief(err)))
	}
	return answer, string(body), nil
}

func timely(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return probe.ErrNoAnswer
	}
	return err
}

// follow finds the address that a redirect leads to.
func (l *look) follow(ctx context.Context, name string, at netip.AddrPort, next *url.URL) (netip.AddrPort, error) {
	port := at.Port()
	switch next.Scheme {
	case "http":
	case "https":
		port = l.httpsPort
	default:
		return at, errors.New("it is neither http nor https")
	}
	standard := map[string]uint16{"http": 80, "https": 443}[next.Scheme]
	if given := next.Port(); given != "" && given != strconv.Itoa(int(port)) && given != strconv.Itoa(int(standard)) {
		return at, errors.New("CAs follow to the ports 80 and 443 only")
	}
	host, err := renew.ParseName(next.Hostname())
	switch {
	case err != nil:
		return at, errors.New("it has no host name")
	case host == name: // the CA stays at the address that it has chosen, or takes another of the name's
		return netip.AddrPortFrom(at.Addr(), port), nil
	case !slices.Contains(l.cert.Names, host):
		return at, fmt.Errorf("%s is no name of this certificate; the token would have to be there", host)
	}
	addresses, _ := l.addresses(ctx, host)
	if len(addresses) == 0 {
		return at, fmt.Errorf("%s has no address", host)
	}
	return netip.AddrPortFrom(addresses[0], port), nil
}

// judge compares what came back. White space at the end is nobody's fault (RFC
// 8555, section 8.3).
func judge(answer *http.Response, body string, t *token, way string) error {
	if answer.StatusCode == http.StatusOK && strings.TrimRight(body, " \t\r\n") == t.answer {
		return nil
	}
	kind := ""
	if value := answer.Header.Get("Content-Type"); value != "" {
		kind = ", " + quote(value)
	}
	if value := answer.Header.Get("WWW-Authenticate"); value != "" {
		kind += ", wants a password " + quote(value)
	}
	return fmt.Errorf("%sanswers %d %s%s in place of the token: %s", way, answer.StatusCode, http.StatusText(answer.StatusCode), kind, quote(body))
}
