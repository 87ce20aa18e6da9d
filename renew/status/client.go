package status

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
)

// ErrNotRunning is what a Client returns where no agent answers.
var ErrNotRunning = errors.New("no agent is running")

// Client talks to a running agent.
type Client struct {
	path string
	http *http.Client
}

// The longest a client waits for an answer, and the longest it reads.
const (
	clientTimeout = 10 * time.Second
	answerBytes   = 256 << 20
)

// NewClient returns a client of the control socket at path.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	return &Client{path, &http.Client{Timeout: clientTimeout, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Report asks how every certificate is.
func (c *Client) Report(ctx context.Context) (agent.Report, error) {
	var r agent.Report
	return r, c.call(ctx, http.MethodGet, "/v1/status", nil, &r)
}

// Plan asks what lies ahead.
func (c *Client) Plan(ctx context.Context, until time.Time) ([]agent.Planned, error) {
	var p []agent.Planned
	q := url.Values{"until": {until.UTC().Format(time.RFC3339)}}
	return p, c.call(ctx, http.MethodGet, "/v1/plan?"+q.Encode(), nil, &p)
}

// Renew asks for name to be tried now; with force, to be issued anew although
// nothing is due.
func (c *Client) Renew(ctx context.Context, name string, force bool) error {
	var done RenewRequest
	return c.call(ctx, http.MethodPost, "/v1/renew", RenewRequest{Name: name, Force: force}, &done)
}

// Preflight has the agent look now for what would stop a renewal of name. It
// takes up to two minutes.
func (c *Client) Preflight(ctx context.Context, name string) (agent.CertReport, error) {
	var r agent.CertReport
	patient := *c.http
	patient.Timeout = preflightTimeout
	return r, (&Client{c.path, &patient}).call(ctx, http.MethodPost, "/v1/preflight", PreflightRequest{Name: name}, &r)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://certvigil"+path, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w (at %s)", ErrNotRunning, c.path)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("asking the agent: %s: permission denied: be root or in the service's group", c.path)
	case err != nil:
		return fmt.Errorf("asking the agent: %w", err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, answerBytes))
	if resp.StatusCode >= 300 {
		var refusal struct{ Error string }
		if err := dec.Decode(&refusal); err != nil || refusal.Error == "" {
			refusal.Error = resp.Status
		}
		return fmt.Errorf("the agent refused: %s", refusal.Error)
	}
	if err := dec.Decode(out); err != nil {
		return fmt.Errorf("reading the agent's answer: %w", err)
	}
	return nil
}
