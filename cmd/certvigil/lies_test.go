package main

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
)

// lie is a deployment that seems to have worked, or that nobody waits for, while
// clients get the certificate before, or none.
type lie struct {
	name string
	bare bool // without the host's nginx
	root bool // only root can set it up; another lie of the same kind needs no rights
	tell func(h *host) ruse
}

// ruse is a lie on one host, whose agent has not started yet.
type ruse struct {
	begin func() // called once version 1 is served: what comes after it is a lie
	end   func() // takes the cause away: the agent is told nothing
	after func() // more checks; may be nil

	reason   renew.Reason // what status has to say; not-served where empty
	says     string       // and in which words
	endpoint string       // of which it is said; nginx where empty
	starttls bool         // there SMTP is spoken
}

// liedName is what all of them serve.
const liedName = "www.example.com"

// The lies by theme. docs/deploy.md has a row for each.
var lies = slices.Concat(hookLies, nginxLies, copyLies)

// TestReloadsThatLie: a client gets the old certificate, or none, and for as
// long as that is so the agent says it; once the cause is gone it heals by
// itself. Times are logged, and belong into docs/deploy.md.
func TestReloadsThatLie(t *testing.T) {
	t.Parallel()
	for i, l := range lies {
		if l.root && os.Geteuid() != 0 {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			reported, healed := l.unmask(t)
			t.Logf("lie %d: %s: reported after %.1f s, healed after %.1f s", i+1, l.name, reported.Seconds(), healed.Seconds())
		})
	}
}

func (l lie) unmask(t *testing.T) (reported, healed time.Duration) {
	h := newHost(t, setup{bare: l.bare, lifetime: 10 * time.Minute})
	r := l.tell(h)
	if r.reason == "" {
		r.reason = renew.NotServed
	}
	if r.endpoint == "" {
		r.endpoint = h.nginx.Address
	}
	h.write()
	h.start()
	h.until("version 1 is served", func() bool { return h.cert("www").Stage == renew.Served })
	old := h.cert("www").Fingerprint
	if got := r.shown(h); got != old {
		t.Fatalf("a client gets %s, want version 1: %s", got, old)
	}

	r.begin()
	h.request("www")
	in := h.awaitEvent("version 2 is installed", func(e stage.Event) bool {
		return e.Msg == "installed" && e.Number("version") == 2
	})
	var c agent.CertReport
	h.until("status says that it is "+string(r.reason), func() bool {
		c = h.cert("www")
		return slices.ContainsFunc(c.Findings, func(f renew.Finding) bool { return f.Reason == r.reason && strings.Contains(f.Detail, r.says) })
	})
	reported = time.Since(in.Time)
	r.check(h, c, old)

	began, at := time.Now(), h.log.End()
	r.end()
	h.until("version 2 is served", func() bool { return h.cert("www").Stage == renew.Served })
	healed = time.Since(began)
	if got := r.shown(h); got != h.cert("www").Fingerprint {
		t.Errorf("healed, and a client gets %s, not version 2", got)
	}
	if h.saidServed(2, at) {
		t.Error("version 2 was called served before it was")
	}
	if level, text := h.status(); level != renew.OK {
		t.Errorf("healed, and status: %s: %s", level, text)
	}
	if n := h.ca.Orders(); n != 2 {
		t.Errorf("%d orders for two versions", n)
	}
	if r.after != nil {
		r.after()
	}
	return reported, healed
}

// check: it is true what status says of a lie, and it helps.
func (r ruse) check(h *host, c agent.CertReport, old string) {
	h.t.Helper()
	if c.Stage == renew.Served || c.Health == renew.OK {
		h.t.Errorf("stage %s, health %s", c.Stage, c.Health)
	}
	if r.reason == renew.Unverifiable {
		if got := r.shown(h); got != "" {
			h.t.Errorf("a false alarm: a client gets %s", got)
		}
	} else { // of two processes at one port one may answer rightly
		h.until("a client gets version 1", func() bool { return r.shown(h) == old })
	}
	words := []string{string(r.reason), r.says}
	if r.reason != renew.HookFailing {
		words = append(words, r.endpoint+" for "+liedName)
	}
	if r.reason == renew.NotServed {
		words = append(words, old[:12])
	}
	level, text := h.status()
	for _, w := range words {
		if level != renew.Attention || !strings.Contains(text, w) {
			h.t.Errorf("status: %s, want attention and %q: %s", level, w, text)
		}
	}
}

// status is what the command of that name prints, without a process for it: the
// next try may be a second away.
func (h *host) status() (renew.Level, string) {
	h.t.Helper()
	r, err := h.client().Report(h.t.Context())
	must(h.t, err)
	var text strings.Builder
	printStatus(&text, r, false, time.Now())
	return r.Worst(), text.String()
}

// shown is the fingerprint of what a client gets; empty where it gets nothing.
func (r ruse) shown(h *host) string {
	leaf, err := r.dial()
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(leaf.Raw))
}

func (r ruse) dial() (*x509.Certificate, error) {
	cfg := &tls.Config{ServerName: liedName, InsecureSkipVerify: true}
	if !r.starttls {
		conn, err := tls.Dial("tcp", r.endpoint, cfg)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0], nil
	}
	c, err := smtp.Dial(r.endpoint)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.StartTLS(cfg) // the miniature server says nothing after its handshake
	state, _ := c.TLSConnectionState()
	if len(state.PeerCertificates) == 0 {
		return nil, fmt.Errorf("no certificate from %s", r.endpoint)
	}
	return state.PeerCertificates[0], nil
}

// saidServed tells whether the log called a version served before its position
// at.
func (h *host) saidServed(version, at int) bool {
	events, next, _ := h.log.Since(0)
	return slices.ContainsFunc(events[:max(0, len(events)-(next-at))], func(e stage.Event) bool {
		return e.Msg == "served" && e.Number("version") == version
	})
}

// hook makes a shell script the host's only hook; the function that it returns
// exchanges it under the running agent.
func (h *host) hook(text string) (change func(text string)) {
	h.cfg.Test, h.cfg.Reload = nil, h.script("hook", text)
	return func(text string) { h.script("hook", text) }
}

// keep copies a live pair into a folder, as somebody did once and forgot.
func (h *host) keep(dir string) (full, key string) {
	h.t.Helper()
	must(h.t, os.MkdirAll(dir, 0o755))
	full, key = dir+"/fullchain.pem", dir+"/privkey.pem"
	for path, file := range map[string]string{full: "fullchain.pem", key: "privkey.pem"} {
		data, err := os.ReadFile(h.live("www", file))
		must(h.t, err)
		must(h.t, os.WriteFile(path, data, 0o600))
	}
	return full, key
}
