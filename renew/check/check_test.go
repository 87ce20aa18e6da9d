package check

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

func TestAllIsWell(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	r := h.run(Options{}, OK)
	left := "6911999s" // the certificate's dates have whole seconds
	if h.pair.leaf.NotAfter.Sub(h.now) >= 6912000*time.Second {
		left = "6912000s"
	}
	want := "CERTVIGIL OK - 1 certificate, next expiry www in 79d | www_left=" + left + ";1944000:;1296000:; left_min=" + left +
		";;; certificates=1;;;0 endpoints=1;;;0 not_served=0;0;;0 overdue=0;0;;0"
	if got := r.Line(); got != want && got != strings.ReplaceAll(want, "79d", "80d") {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := h.server.asked.Load(); n != 1 {
		t.Errorf("%d handshakes, want 1", n)
	}
}

func TestADeadAgentIsNoticed(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.sign(3 * time.Minute)
	must(t, h.st.Close())
	h.run(Options{Timeout: time.Second}, Warning, "no agent is running", h.dir, "last sign of life 3m ago")
}

// An agent that systemd starts again at this moment is no dead one.
func TestAnAgentThatIsJustStartingIsWaitedFor(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	must(t, h.st.Close())
	starting := proberFunc(func() []renew.Proof {
		st, err := store.Open(h.dir)
		must(t, err)
		t.Cleanup(func() { _ = st.Close() })
		return nil
	})
	h.run(Options{Prober: starting}, OK)
}

type proberFunc func() []renew.Proof

func (p proberFunc) Prove(context.Context, renew.Endpoint, []string, int, probe.Want, time.Duration) []renew.Proof {
	return p()
}

func TestAnAgentWithoutASignOfLifeHangs(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.sign(21 * time.Minute) // a beat was missed, and the next may still come
	h.run(Options{}, OK)
	h.sign(23 * time.Minute)
	h.run(Options{}, Warning, "the agent hangs", "no sign of life for 23m")
	h.sign(-time.Hour) // the clock was set back
	h.run(Options{}, OK)
}

func TestAnAgentThatDoesNotStayUpIsNoticed(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.prove(h.now.Add(-5 * time.Hour))
	h.started(time.Second, 100*time.Minute, 200*time.Minute, 300*time.Minute, 400*time.Minute)
	h.run(Options{}, OK) // it has just come, and will prove
	h.started(time.Second, 2*time.Minute, 4*time.Minute, 6*time.Minute, 8*time.Minute)
	h.run(Options{}, Warning, "started 5 times within 7m")
	h.started(40*time.Minute, 42*time.Minute, 44*time.Minute, 46*time.Minute, 48*time.Minute)
	h.run(Options{}, OK) // it has stayed up since

	// Its starts do not begin anew what it promised.
	h = newHost(t, 20*time.Minute, time.Hour)
	h.prove(h.now.Add(-20 * time.Minute))
	h.started(time.Second)
	h.run(Options{}, OK)
	h.started(time.Second, 5*time.Minute, 10*time.Minute, 15*time.Minute, 19*time.Minute)
	h.run(Options{}, Warning, "started 5 times", "overdue: verify www")
}

func TestWhatWasNotDoneInTimeIsOverdue(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.prove(h.now.Add(-5 * time.Hour))
	h.run(Options{}, Warning, "overdue: verify www (proof-due), due 4h ago", "overdue=1;0;;0")
	h.started(time.Minute)
	h.run(Options{}, OK, "overdue=0;")
	h.started(2 * time.Hour)
	h.run(Options{}, Warning, "overdue: verify www")
	h.started(-time.Hour) // the clock was set back
	h.run(Options{}, Warning, "overdue: verify www")
}

func TestAShortCertificateIsOverdueWithinSeconds(t *testing.T) {
	h := newHost(t, 20*time.Second, time.Minute)
	h.run(Options{}, OK)
	h.prove(h.now.Add(-19 * time.Second))
	h.run(Options{}, Warning, "overdue: verify www (proof-due), due 16s ago")
}

func TestARenewalThatIsLate(t *testing.T) {
	for _, tc := range []struct {
		name string
		age  time.Duration
		o    Options
		want State
		text string
	}{
		{"not due", 59 * day, Options{}, OK, "next expiry www in 3"},
		{"due, and for a while", 60*day + 30*time.Minute, Options{}, OK, ""},
		{"the attempt is overdue", 61 * day, Options{}, Warning, "overdue: issue www (lifetime), due 24h ago"},
		{"a quarter of the slack is gone", 68 * day, Options{}, Warning, "www: expires in 21d, less than 22d"},
		{"half of the slack is gone", 76 * day, Options{}, Critical, "www: expires in 13d, less than 15d"},
		{"expired", 91 * day, Options{}, Critical, "www: expired: expired "},
		{"a limit of its own", 10 * day, Options{Warning: Threshold{left: 85 * day}}, Warning, "less than 85d"},
		{"a critical one", 10 * day, Options{Critical: PartOfSlack(3)}, Critical, "less than 90d"},
		{"a lax one", 76 * day, Options{Warning: Threshold{left: 2 * day}, Critical: Threshold{left: day}}, Warning, "overdue: issue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, tc.age, 90*day)
			h.run(tc.o, tc.want, tc.text)
		})
	}
}

// A chain that ends before its leaf is the end.
func TestAnIntermediateThatEndsFirst(t *testing.T) {
	for age, want := range map[time.Duration]State{30 * day: OK, 45 * day: Warning, 48 * day: Warning, 54 * day: Critical} {
		h := newHost(t, 59*day, 90*day)
		n, err := h.st.Commit("www", makePair(t, h.now.Add(-age).Truncate(time.Second), 90*day, 60*day).bundle)
		must(t, err)
		must(t, h.st.Link("www", n))
		h.prove(h.now.Add(-time.Second))
		h.run(Options{NoEndpoints: true}, want, "next expiry www in "+span(60*day-age-time.Second))
	}
}

func TestAStateDirectoryThatDoesNotExist(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.cfg.Agent.StateDir = h.dir + "-not"
	h.run(Options{}, Warning, "nobody ever held the lock", "www: missing", "none is held", "overdue=2;")
	if _, err := os.Stat(h.cfg.Agent.StateDir); err == nil {
		t.Error("it was made")
	}
}

func TestNothingIsConfigured(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.cfg.Certs = nil
	h.run(Options{}, OK, "no certificate is configured")
}

func TestAStateThatCantBeReadIsUnknown(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	must(t, os.RemoveAll(h.file("certs", "www", "versions")))
	must(t, os.WriteFile(h.file("certs", "www", "versions"), nil, 0o644))
	h.run(Options{}, Unknown, "www: ", "not a directory")

	h.cfg.Agent.StateDir = h.lock()
	if _, err := Run(t.Context(), h.now, h.cfg, Options{}); err == nil {
		t.Error("a file passes for a state directory")
	}
}

func TestWhatHangsIsAnError(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	release := make(chan struct{})
	hangs := proberFunc(func() []renew.Proof { <-release; return nil })
	_, err := Run(t.Context(), h.now, h.cfg, Options{Timeout: 100 * time.Millisecond, Prober: hangs})
	if err == nil || !strings.Contains(err.Error(), "no end after 100ms") {
		t.Errorf("%v", err)
	}
	close(release)
}

func TestConfiguredAtIsTheLastChangeOfAFile(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.cfg.Sources = []string{h.file("not-there"), h.file("certs"), h.lock()}
	st, err := os.Stat(h.lock())
	must(t, err)
	if at := configuredAt(time.Now().Add(time.Minute), h.cfg); at.Before(st.ModTime()) {
		t.Errorf("%s, want after %s", at, st.ModTime())
	}
	if at := configuredAt(h.now.Add(-day), h.cfg); !at.IsZero() {
		t.Errorf("%s lies ahead of the clock", at)
	}
}
