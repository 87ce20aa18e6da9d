package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
)

func TestRenewTriesWithoutForceAndIssuesWithIt(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: time.Hour})
	h.start()
	h.served("www", 1)
	got := h.ask("renew", "www")
	if got.code != exitOK || !strings.Contains(got.stdout, "www: version 1, served") || h.ca.Orders() != 1 {
		t.Errorf("nothing is due, and renew: exit code %d, %d orders: %s", got.code, h.ca.Orders(), got.all)
	}
	got = h.ask("renew", "www", "--force")
	if got.code != exitOK || !strings.Contains(got.stdout, "www: version 2, served") || h.ca.Orders() != 2 {
		t.Errorf("renew --force: exit code %d, %d orders: %s", got.code, h.ca.Orders(), got.all)
	}
	if c := h.cert("www"); h.fingerprint("www.example.com") != c.Fingerprint || c.Version != 2 {
		t.Errorf("renew said that it is served: %+v", c)
	}
	for _, argv := range [][]string{{"renew", "mail"}, {"renew", "mail", "--socket", h.cfg.Socket}} {
		if got := h.ask(argv...); got.code != exitUnknown || !strings.Contains(got.all, `"mail"`) {
			t.Errorf("%v: exit code %d: %s", argv, got.code, got.all)
		}
	}
}

func TestRenewTellsWhatWentWrongAndGoesPastABackoff(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true, lifetime: time.Hour})
	h.gate.set(on(toOrder, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		reply(400, "application/problem+json", `{"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"not this name"}`)(w, r)
	}))
	h.start()
	if f := h.troubled(); f.Class != "refused" || time.Until(f.Next) < 30*time.Second {
		t.Fatalf("%+v", f) // a minute, more or less: nobody waits for it below
	}
	if got := h.ask("status"); got.code != exitCritical || !strings.Contains(got.stdout, "not this name") {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
	if got := h.ask("renew", "www"); got.code != exitCritical || !strings.Contains(got.all, "not this name") {
		t.Errorf("renew: exit code %d: %s", got.code, got.all)
	}
	h.gate.set(nil)
	if got := h.ask("renew", "www"); got.code != exitOK {
		t.Errorf("renew: exit code %d: %s", got.code, got.all)
	}
	if c := h.cert("www"); c.Stage != "deployed" || c.Reason != "" {
		t.Errorf("%s, %s: with no endpoint nobody proves more", c.Stage, c.Reason)
	}
	if got := h.ask("status"); got.code != exitOK || !strings.Contains(got.stdout, "nobody proves what is served") {
		t.Errorf("status: exit code %d: %s", got.code, got.all)
	}
}

func TestPlanIsTheSameWithAndWithoutTheAgent(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: 24 * time.Hour})
	h.start()
	h.served("www", 1)
	plan := func(until string) (steps []agent.Planned) {
		got := h.ask("plan", "--json", "--until", until)
		if got.code != exitOK {
			t.Fatalf("plan: exit code %d: %s", got.code, got.all)
		}
		must(t, json.Unmarshal([]byte(got.stdout), &steps))
		return steps
	}
	var issues [2][]time.Time
	for i, running := range []bool{true, false} {
		if !running {
			h.stop()
		}
		for _, s := range plan("10h") {
			if s.Do == "issue" {
				t.Errorf("running %v: a certificate of a day is renewed within ten hours: %+v", running, s)
			}
		}
		for _, s := range plan("3d") {
			if s.Do == "issue" {
				issues[i] = append(issues[i], s.At)
			}
		}
		got := h.ask("plan", "--until", "3d")
		text := regexp.MustCompile(`www +issue +(ari-window|lifetime)`)
		if !text.MatchString(got.stdout) || !strings.Contains(got.stdout, "(projected)") {
			t.Errorf("running %v: %s", running, got.stdout)
		}
		if says := strings.Contains(got.stdout, "No agent is running"); says == running {
			t.Errorf("running %v: %s", running, got.stdout)
		}
	}
	if len(issues[0]) < 5 || len(issues[0]) != len(issues[1]) || !issues[0][0].Equal(issues[1][0]) {
		t.Errorf("renewals with the agent %v, without it %v", issues[0], issues[1])
	}
	if h.ca.Orders() != 1 {
		t.Error("a plan was carried out")
	}
}

func TestApplyDoesOnePassAndTellsHowItWent(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{lifetime: time.Hour, sites: []site{
		{Name: "www", Names: []string{"www.example.com"}}, {Name: "mail", Names: []string{"mail.example.com"}},
	}})
	h.cfg.Test = nil // it would fail for the site whose turn has not come
	h.write()
	must(t, os.Remove(filepath.Join(h.nginx.Dir, "sites", "mail.conf")))
	if got := h.ask("apply", "www"); got.code != exitOK || !strings.Contains(got.stdout, "served") || h.ca.Orders() != 1 {
		t.Fatalf("apply www: exit code %d, %d orders: %s", got.code, h.ca.Orders(), got.all)
	}
	h.handshake("www.example.com")
	if got := h.ask("status", "mail"); got.code != exitAttention {
		t.Errorf("status mail: exit code %d: %s", got.code, got.all)
	}
	h.enable(h.cfg.Sites[1])
	if got := h.ask("apply"); got.code != exitOK || h.ca.Orders() != 2 {
		t.Fatalf("apply: exit code %d, %d orders: %s", got.code, h.ca.Orders(), got.all)
	}
	h.handshake("mail.example.com")
	if got := h.ask("apply"); got.code != exitOK || h.ca.Orders() != 2 {
		t.Errorf("nothing is due, and apply: exit code %d, %d orders: %s", got.code, h.ca.Orders(), got.all)
	}

	// A hook that fails, then a CA that is gone before anything is held.
	h.cfg.Reload = h.script("hook", "echo out of ink; exit 1")
	h.write()
	must(t, os.RemoveAll(h.cfg.State))
	if got := h.ask("apply"); got.code != exitAttention || !strings.Contains(got.stdout, "out of ink") {
		t.Errorf("the hook fails, and apply: exit code %d: %s", got.code, got.all)
	}
	must(t, os.RemoveAll(h.cfg.State))
	must(t, h.ca.Stop())
	if got := h.ask("apply"); got.code != exitCritical || !strings.Contains(got.stdout, "refused") {
		t.Errorf("the CA is gone, and apply: exit code %d: %s", got.code, got.all)
	}
}

func TestProbeShowsWhatIsReallyServed(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	c := h.served("www", 1)
	got := h.ask("probe", h.nginx.Address, "--name", "www.example.com")
	if got.code != exitAttention || !strings.Contains(got.stdout, c.Fingerprint) || !strings.Contains(got.stdout, "www.example.com") {
		t.Errorf("an unknown root, and probe: exit code %d: %s", got.code, got.all)
	}
	got = h.ask("probe", h.nginx.Address, "--name", "evil.example.com")
	if got.code != exitCritical || !strings.Contains(got.stdout, "A client refuses it") {
		t.Errorf("another name, and probe: exit code %d: %s", got.code, got.all)
	}
	var seen struct {
		Chain []struct{ Fingerprint string }
	}
	got = h.ask("probe", h.nginx.Address, "--name", "www.example.com", "--json")
	if err := json.Unmarshal([]byte(strings.ReplaceAll(got.stdout, "fingerprint_sha256", "fingerprint")), &seen); err != nil || len(seen.Chain) < 2 || seen.Chain[0].Fingerprint != c.Fingerprint {
		t.Errorf("probe --json: %v: %s", err, got.all)
	}
	if got := h.ask("probe", h.nginx.Address, "--protocol", "gopher"); got.code != exitUnknown {
		t.Errorf("an unknown protocol: exit code %d: %s", got.code, got.all)
	}
	if got := h.ask("probe", h.nginx.Plain); got.code != exitCritical {
		t.Errorf("no TLS at all: exit code %d: %s", got.code, got.all)
	}
}
