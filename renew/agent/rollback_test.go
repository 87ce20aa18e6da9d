package agent

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
)

var errRefused = errors.New("nginx: [emerg] SSL_CTX_use_certificate failed: ee key too small")

// TestAVersionThatTheServerRefusesIsTakenBack: the one before is served on, told
// of, and no other is ordered; when it comes near its end the new one is tried
// for good, and once the server takes it all is well.
func TestAVersionThatTheServerRefusesIsTakenBack(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		taken := false
		h.hook = func(context.Context, hooks.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.live["www"] == 2 && !taken {
				return errRefused
			}
			return nil
		}
		a := h.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(60*day + time.Minute)
		if r := report(t, a, "www"); r.Version != 2 || r.Live != 2 {
			t.Fatalf("a minute after the renewal: %+v", r)
		}
		time.Sleep(15 * time.Minute)
		r := report(t, a, "www")
		if r.Version != 1 || r.Live != 1 || r.Stage != renew.Served || r.Reason != renew.RolledBack || r.Health != renew.Attention {
			t.Fatalf("a quarter of an hour after: %+v", r)
		}
		time.Sleep(20 * day)
		if issued, _ := h.count("www"); issued != 2 {
			t.Errorf("%d certificates were issued", issued)
		}
		if _, serving := h.shown("www"); h.lapsed("www") || serving != 1 {
			t.Errorf("version %d is served", serving)
		}
		time.Sleep(8*day + time.Hour) // two days and less before the end of the first
		if r := report(t, a, "www"); r.Live != 2 || r.Health != renew.Critical {
			t.Errorf("two days before the end: version %d is live, health %s", r.Live, r.Health)
		}
		h.set(func() { taken = true })
		time.Sleep(2 * time.Minute)
		if r := report(t, a, "www"); r.Version != 2 || r.Stage != renew.Served || r.Health != renew.OK {
			t.Errorf("once it is taken: %+v", r)
		}
		if j, _ := h.Journal("www"); j.Refused.Version != 0 {
			t.Errorf("the refusal is remembered: %+v", j.Refused)
		}
	})
}

// TestAnotherSitesFaultRollsNothingBackForLong: the hook fails with the version
// before as well, so the new one stays, and is served when the fault is mended.
func TestAnotherSitesFaultRollsNothingBackForLong(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		broken := false
		h.hook = func(context.Context, hooks.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if broken {
				return errors.New("nginx: [emerg] another site's file is missing")
			}
			return nil
		}
		a := h.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(time.Minute)
		h.set(func() { broken = true })
		time.Sleep(60*day + time.Hour)
		if r := report(t, a, "www"); r.Version != 2 || r.Live != 2 || r.Reason != renew.HookFailing {
			t.Errorf("an hour after: %+v", r)
		}
		_, reloads := h.count("www")
		h.set(func() { broken = false })
		time.Sleep(2 * time.Minute)
		if r := report(t, a, "www"); r.Version != 2 || r.Stage != renew.Served || r.Health != renew.OK {
			t.Errorf("once it is mended, after %d reloads: %+v", reloads, r)
		}
	})
}

// TestARefusedVersionIsTriedAgainWhenItsTimeHasCome, and not only when somebody looks
// for another reason: what was in its way may be gone, and the one before ends soon.
func TestARefusedVersionIsTriedAgainWhenItsTimeHasCome(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		refuses := true
		h.hook = func(context.Context, hooks.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.live["www"] == 2 && refuses {
				return errRefused
			}
			return nil
		}
		a := h.agent(configOf("www"))
		defer started(t, a)()
		time.Sleep(60*day + 12*time.Minute)
		if r := report(t, a, "www"); r.Version != 1 || r.Reason != renew.RolledBack {
			t.Fatalf("after twelve minutes: %+v", r)
		}
		h.set(func() { refuses = false })
		time.Sleep(10 * time.Minute)
		if r := report(t, a, "www"); r.Version != 2 || r.Stage != renew.Served {
			t.Errorf("ten minutes later: %+v", r)
		}
	})
}

// TestAFullDiskDoesNotForgetARefusal: what is in hand, and could not be written,
// decides what is held, as what lies on disk would. Otherwise the version is
// refused anew at every look.
func TestAFullDiskDoesNotForgetARefusal(t *testing.T) {
	h := newHost(90 * day)
	synctest.Test(t, func(t *testing.T) {
		h.hook = func(context.Context, hooks.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			if h.live["www"] == 2 {
				return errRefused
			}
			return nil
		}
		var said strings.Builder
		a := New(Parts{Store: h, Prober: h, Runner: h, Log: slog.New(slog.NewTextHandler(&said, nil))}, configOf("www"), h)
		stop := started(t, a)
		time.Sleep(60*day + time.Minute)
		h.set(func() { h.full = errors.New("no space left on device") })
		time.Sleep(15 * time.Minute)
		if r := report(t, a, "www"); r.Version != 1 || r.Live != 1 || r.Stage != renew.Served {
			t.Errorf("a quarter of an hour after, with a full disk: %+v", r)
		}
		stop()
		if n := strings.Count(said.String(), "a version is refused"); n != 1 {
			t.Errorf("the version is refused %d times", n)
		}
	})
}
