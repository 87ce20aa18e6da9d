package agent

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

// TestAnExpiredPairStandsInWithoutAReload: the live pair is destroyed, its CA
// issues nothing more, and the one before has expired. The expired one goes in
// place, so that the server reads the other site's files, and starts; what it has
// loaded stays until somebody else reloads it.
func TestAnExpiredPairStandsInWithoutAReload(t *testing.T) {
	const life = 160 * time.Hour
	h := newHost(life)
	synctest.Test(t, func(t *testing.T) {
		h.hook = func(context.Context, hooks.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			for name, v := range h.versions {
				if last := v[len(v)-1]; last.Fault != "" && h.live[name] == last.N {
					return errors.New("nginx: [emerg] cannot load certificate key")
				}
			}
			return nil
		}
		a := h.agent(configOf("lost", "other"))
		defer started(t, a)()
		time.Sleep(life + time.Hour) // the first has expired, the third is served
		h.set(func() {
			v := h.versions["lost"]
			v[2].Fault, v[2].FaultDetail = renew.Unreadable, "privkey.pem: no such file"
			h.versions["lost"] = []renew.Version{v[0], v[2]}
			h.issue = func(_ context.Context, c renew.Cert) error {
				if c.Name == "lost" {
					return errDown
				}
				return nil
			}
		})
		_, reloads := h.count("lost")
		a.Wake()
		time.Sleep(24 * time.Hour)
		if live, serving := h.shown("lost"); live != 1 || serving != 3 {
			t.Errorf("version %d is live and %d served, want 1 and 3", live, serving)
		}
		if _, n := h.count("lost"); n != reloads {
			t.Errorf("%d reloads for an expired certificate", n-reloads)
		}
		if report(t, a, "lost").Health != renew.Critical {
			t.Error("nobody is told")
		}
		time.Sleep(80 * time.Hour)
		if _, serving := h.shown("other"); serving < 4 || report(t, a, "other").Health != renew.OK {
			t.Errorf("of the other version %d is served", serving)
		}
	})
}

// TestAnOlderPairStandsInWithoutAReload: the newest pair is lost, and the one
// before lasts for days yet. It goes in place, so that the server can restart, but
// what the server has loaded lasts longer.
func TestAnOlderPairStandsInWithoutAReload(t *testing.T) {
	const life = 160 * time.Hour
	h := newHost(life)
	synctest.Test(t, func(t *testing.T) {
		a := h.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(life/2 + time.Hour)
		h.set(func() {
			h.versions["www"][1].Fault = renew.Unreadable
			h.issue = func(context.Context, renew.Cert) error { return errDown }
		})
		_, reloads := h.count("www")
		a.Wake()
		time.Sleep(time.Hour)
		if live, serving := h.shown("www"); live != 1 || serving != 2 {
			t.Errorf("version %d is live and %d served, want 1 and 2", live, serving)
		}
		if _, n := h.count("www"); n != reloads {
			t.Errorf("reloaded %d times", n-reloads)
		}
		h.set(func() { h.issue = func(context.Context, renew.Cert) error { return nil } })
		time.Sleep(12 * time.Hour)
		if r := report(t, a, "www"); r.Stage != renew.Served || r.Version != 3 || r.Health != renew.OK {
			t.Errorf("once there is a new one: %+v", r)
		}
	})
}
