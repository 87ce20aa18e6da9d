package status

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
)

// source is an agent that keeps one certificate.
type source struct {
	mu     sync.Mutex
	asked  []string
	report agent.Report
}

func (s *source) Report() agent.Report { return s.report }

func (s *source) Plan(until time.Time) []agent.Planned {
	return []agent.Planned{{Cert: "www", Step: renew.Step{Do: renew.Issue, At: until, Reason: renew.Lifetime}}}
}

func (s *source) Request(name string, force bool) error {
	if name != "www" {
		return agent.ErrUnknown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, name)
	return nil
}

func (s *source) Preflight(_ context.Context, name string) (agent.CertReport, error) {
	if name != "www" {
		return agent.CertReport{}, agent.ErrUnknown
	}
	return agent.CertReport{Name: name, Preflight: agent.PreflightReport{
		At: time.Now(), Obstacles: []renew.Obstacle{{Level: renew.Attention, Reason: renew.CAAForbids, Subject: "example.com"}},
	}}, nil
}

func TestAPreflightIsAskedFor(t *testing.T) {
	c := NewClient(control(t, &source{report: sample()}))
	r, err := c.Preflight(t.Context(), "www")
	if err != nil || len(r.Preflight.Obstacles) != 1 || r.Preflight.Obstacles[0].Reason != renew.CAAForbids {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Preflight(t.Context(), "nobody"); err == nil || !strings.Contains(err.Error(), agent.ErrUnknown.Error()) {
		t.Errorf("a certificate that is not there: %v", err)
	}
}

func sample() agent.Report {
	return agent.Report{
		Version: "1.2.3", Running: true, Config: agent.ConfigReport{Path: "/etc/certvigil"},
		Certificates: []agent.CertReport{{
			Name: "www", Names: []string{"example.com"}, Stage: renew.Served, Health: renew.Attention,
			Reason:    renew.HookFailing,
			Findings:  []renew.Finding{{Level: renew.Attention, Reason: renew.HookFailing, Detail: "<script>alert(1)</script>"}},
			NotAfter:  time.Now().Add(60*24*time.Hour + time.Minute),
			Next:      renew.Step{Do: renew.Issue, At: time.Now().Add(time.Hour), Reason: renew.Lifetime},
			Endpoints: []agent.EndpointReport{{Address: "127.0.0.1:443", Name: "example.com", Served: true}},
		}},
	}
}

// control serves src on a socket of its own until the test ends.
func control(t *testing.T, src Source) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", "control.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := ServeControl(ctx, l, src, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	return path
}

func TestAskingAndTelling(t *testing.T) {
	src := &source{report: sample()}
	c := NewClient(control(t, src))
	r, err := c.Report(t.Context())
	if err != nil || len(r.Certificates) != 1 || r.Certificates[0].Name != "www" || r.Worst() != renew.Attention {
		t.Errorf("report %+v, %v", r, err)
	}
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	p, err := c.Plan(t.Context(), until)
	if err != nil || len(p) != 1 || !p[0].At.Equal(until) {
		t.Errorf("plan %+v, %v", p, err)
	}
	if err := c.Renew(t.Context(), "www", true); err != nil || len(src.asked) != 1 {
		t.Errorf("renew: %v, asked %v", err, src.asked)
	}
	if err := c.Renew(t.Context(), "nobody", false); err == nil || !strings.Contains(err.Error(), agent.ErrUnknown.Error()) {
		t.Errorf("renew of an unknown name: %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := NewClient(filepath.Join(dir, "none.sock")).Report(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no socket: %v", err)
	}
	left := filepath.Join(dir, "left.sock")
	l, err := Listen(left)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.current().Close(); err != nil { // as a crash leaves it: the path stays
		t.Fatal(err)
	}
	if _, err := NewClient(left).Report(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a socket left behind: %v", err)
	}
	again, err := Listen(left)
	if err != nil {
		t.Errorf("a socket left behind is not replaced: %v", err)
	} else {
		again.Close()
	}
}

func TestTheSocketsMode(t *testing.T) {
	fi, err := os.Stat(control(t, &source{}))
	if err != nil || fi.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v; want 0660", fi.Mode(), err)
	}
}

func TestWhatIsNoSocketIsNotReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(path, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(path); err == nil {
		l.Close()
		t.Error("a file was replaced by a socket")
	}
	if got, _ := os.ReadFile(path); string(got) != "data" {
		t.Error("the file is gone")
	}
}

func TestWhoMayAct(t *testing.T) {
	for _, tc := range []struct {
		uid, self uint32
		may       bool
	}{{0, 990, true}, {990, 990, true}, {1000, 990, false}, {33, 0, false}} {
		if err := allowed(tc.uid, tc.self); (err == nil) != tc.may {
			t.Errorf("user %d of an agent run by %d: %v", tc.uid, tc.self, err)
		}
	}
	if mayAct(t.Context()) == nil {
		t.Error("one whom the kernel does not vouch for may act")
	}
}

func TestBadRequests(t *testing.T) {
	path := control(t, &source{})
	hc := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	for _, tc := range []struct {
		name, method, path, body string
		want                     int
	}{
		{"no JSON", "POST", "/v1/renew", "renew it", http.StatusBadRequest},
		{"a body without end", "POST", "/v1/renew", `{"name":"` + strings.Repeat("x", 2*bodyBytes), http.StatusBadRequest},
		{"reading by POST", "POST", "/v1/status", "", http.StatusMethodNotAllowed},
		{"acting by GET", "GET", "/v1/renew", "", http.StatusMethodNotAllowed},
		{"no time", "GET", "/v1/plan?until=tomorrow", "", http.StatusBadRequest},
		{"nothing there", "GET", "/v2", "", http.StatusNotFound},
	} {
		req, err := http.NewRequestWithContext(t.Context(), tc.method, "http://agent"+tc.path, strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := hc.Do(req)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != tc.want {
			t.Errorf("%s: %d, want %d", tc.name, resp.StatusCode, tc.want)
		}
	}
}

func TestThePage(t *testing.T) {
	src := &source{report: sample()}
	bad := "certvigil.hcl:3: error: <b>"
	src.report.Config.Error = &bad
	hostile := sample().Certificates[0]
	const evil = `"><script>alert('x')</script>&`
	hostile.Name, hostile.Names, hostile.Stage, hostile.Health, hostile.Busy = evil, []string{evil}, evil, evil, evil
	hostile.Findings = []renew.Finding{{Reason: evil, Detail: evil}}
	hostile.Next = renew.Step{Do: evil, Reason: evil}
	hostile.Endpoints = []agent.EndpointReport{{Address: evil, Name: evil, Error: evil, OlderConnections: 3}}
	src.report.Version, src.report.Config.Path = evil, evil
	src.report.Certificates = append(src.report.Certificates, hostile)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := ServePage(ctx, l, src); err != nil {
			t.Error(err)
		}
	})
	defer func() { cancel(); running.Wait() }()

	get := func(method, path string) (int, string, http.Header) {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+l.Addr().String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body), resp.Header
	}
	code, body, header := get("GET", "/")
	if code != http.StatusOK || !strings.Contains(body, "hook-failing") || !strings.Contains(body, "60 days") || !strings.Contains(body, "example.com") {
		t.Errorf("page %d:\n%s", code, body)
	}
	if !strings.Contains(body, ": 3 connections from before the reload are still open (at ") {
		t.Errorf("older connections are not on the page:\n%s", body)
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, "error: <b>") {
		t.Error("what a hook or a file says gets into the page as it is")
	}
	const harmless = "&#34;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;"
	if n := strings.Count(body, harmless); n != 16 || strings.Contains(body, `"">`) {
		t.Errorf("%d places are escaped in\n%s", n, body)
	}
	if !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", header)
	}
	if code, body, _ := get("GET", "/status.json"); code != http.StatusOK || !strings.Contains(body, `"stage":"served"`) {
		t.Errorf("status.json %d %s", code, body)
	}
	for _, p := range []string{"/v1/renew", "/v1/status", "/other"} {
		if code, _, _ := get("POST", p); code != http.StatusNotFound && code != http.StatusMethodNotAllowed {
			t.Errorf("POST %s on the page: %d", p, code)
		}
	}
}
