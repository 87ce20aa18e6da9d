package check

import (
	"os"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

func TestWhatAnEndpointShows(t *testing.T) {
	for _, tc := range []struct {
		name          string
		age, lifetime time.Duration // of what is served in its place
		held          time.Duration // the age of what is held
		want          State
		text          string
	}{
		{"another one, valid for long", day, 90 * day, 10 * day, Warning, "not-served: 127.0.0.1:"},
		{"the one before, for a moment", 60 * day, 90 * day, time.Minute, OK, "not_served=0;"},
		{"the one before, for hours", 60 * day, 90 * day, 2 * time.Hour, Warning, "not-served: "},
		{"the one before, close to its end", 80 * day, 90 * day, time.Minute, Critical, "served-expiring: "},
		{"an expired one", 91 * day, 90 * day, 10 * day, Critical, "expired 24 hours ago"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHost(t, tc.held, 90*day)
			h.server.shows.Store(newPair(t, h.now, tc.age, tc.lifetime).served)
			h.run(Options{}, tc.want, tc.text)
			// The journal says that it is served, and without a look that counts.
			h.run(Options{NoEndpoints: true}, OK, "endpoints=0;")
		})
	}
}

func TestTheChainBelongsToIt(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	bare := *h.pair.served
	bare.Certificate = bare.Certificate[:1]
	h.server.shows.Store(&bare)
	h.run(Options{}, Warning, "not-served: ", "without its intermediates")
}

func TestAnEndpointThatCantBeReached(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.cfg.Certs[0].Endpoints = append(h.cfg.Certs[0].Endpoints, renew.Endpoint{Address: unused(t), Protocol: "tls"})
	h.prove(h.now.Add(-time.Second))
	h.run(Options{}, Warning, "unverifiable: ", "connection refused", "endpoints=2;;;0 not_served=1;0;;0")
}

// What the journal says of endpoints counts where nobody looks, and only there.
func TestTheJournalsWordOnEndpoints(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.record(renew.Journal{
		Proofs: []renew.Proof{{Address: h.server.address, Name: name, Version: 1, Error: "serves another", CheckedAt: h.now.Add(-time.Second)}},
		Verify: renew.Trouble{Count: 1, Last: h.now.Add(-time.Second), RetryAt: h.now.Add(time.Minute)},
	})
	h.run(Options{NoEndpoints: true}, Warning, "not-served: "+h.server.address+" for www.example.com: serves another")
	h.run(Options{}, OK)
	// One process in four has the old certificate: the agent, which looks five
	// times, is believed while it goes on saying so.
	for age, want := range map[time.Duration]State{time.Minute: Warning, 10 * time.Minute: OK} {
		h.record(renew.Journal{
			Proofs: []renew.Proof{{Address: h.server.address, Name: name, Version: 1, Error: "serves another", CheckedAt: h.now.Add(-age)}},
			Verify: renew.Trouble{Count: 3, Last: h.now.Add(-age), RetryAt: h.now.Add(time.Minute)},
		})
		h.run(Options{}, want, "not_served=0;")
	}
}

func TestABrokenPair(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	must(t, os.Truncate(h.file("live", "www", "privkey.pem"), 10))
	h.run(Options{}, Critical, "www: unreadable: ")

	// An older one stands in for it, and servers are still pointed at the broken.
	h = newHost(t, 10*day, 90*day)
	n, err := h.st.Commit("www", newPair(t, h.now, 9*day, 90*day).bundle)
	must(t, err)
	must(t, h.st.Link("www", n))
	must(t, os.Truncate(h.file("live", "www", "privkey.pem"), 10))
	h.run(Options{}, Critical, "what live/www points at can't be used")
}

func TestALiveLinkOfSomebodyElse(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	must(t, os.Remove(h.file("live", "www")))
	must(t, os.Symlink("/etc/ssl", h.file("live", "www")))
	h.run(Options{}, Warning, "install-pending: live/www is missing or points at nothing of certvigil's")
}

func TestANewVersionThatIsNotLive(t *testing.T) {
	h := newHost(t, 60*day, 90*day)
	_, err := h.st.Commit("www", newPair(t, h.now, time.Minute, 90*day).bundle)
	must(t, err)
	h.run(Options{}, OK, "next expiry www in 29d") // of the live one
	h.now = h.now.Add(5*time.Hour + time.Minute)   // the link's date can't be set, the clock can
	h.started(day)
	h.run(Options{}, Warning, "overdue: install www (install-pending), due 5h ago: version 2 is held, and 1 is live")
}

func TestWhatElseTheJournalSays(t *testing.T) {
	h := newHost(t, 10*day, 90*day)
	h.cfg.Certs[0].Hooks = []string{"nginx"}
	h.record(renew.Journal{
		Hooks:  map[string]renew.HookRecord{"nginx": {Trouble: renew.Trouble{Count: 2, Message: "exit status 1\n|| evil", Last: h.now, RetryAt: h.now.Add(time.Minute)}}},
		Proofs: []renew.Proof{{Address: h.server.address, Name: name, Version: 1, Served: true, CheckedAt: h.now.Add(-time.Second)}},
	})
	h.run(Options{}, Warning, "www: hook-failing: nginx: exit status 1 // evil;")
}
