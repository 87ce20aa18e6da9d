package main

import (
	"os"
	"testing"
)

// blows, in groups that run beside each other. Those on the disk strike when a
// file is seen that may be there for half a millisecond: they run before all that
// runs in parallel, which would keep them from looking.
var blows = map[string]func() []blow{"requests": atRequests, "hooks": inHooks}

func newCrashHost(t *testing.T) *host {
	h := newHost(t, setup{})
	h.cfg.Test = nil
	h.cfg.Reload = h.script("hook", h.reloadLine())
	h.write()
	return h
}

func TestACrashAtAnyStepOfAFirstIssue(t *testing.T) {
	t.Parallel()
	for group, list := range blows {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			crashFirstIssues(t, list())
		})
	}
}

func TestACrashAtAnyFileOfAFirstIssue(t *testing.T) { crashFirstIssues(t, onDisk()) }

func crashFirstIssues(t *testing.T, list []blow) {
	h := newCrashHost(t)
	for _, b := range list {
		h.crashFirst(b)
	}
}

// tries is how often a blow may miss: what is there for a moment alone may come
// and go unseen, and the CA may take an authorization again that is valid still.
const tries = 20

// crashFirst strikes in the middle of a first issue, and sees it end well.
func (h *host) crashFirst(b blow) {
	h.t.Helper()
	for range tries {
		must(h.t, os.RemoveAll(h.cfg.State))
		counts := h.ca.Counts()
		r := watchPair(h.t, h.live("www", ""))
		disarm := b.arm(h, 1)
		h.start()
		struck := h.struck(b, 1, disarm)
		if struck {
			h.start()
		}
		h.served("www", 1)
		h.afterwards(b, r, counts.NewOrders, counts.Accounts, "")
		if n := h.ca.Counts().Accounts - counts.Accounts; n != 1 {
			h.t.Errorf("%s: %d accounts were registered", b.name, n)
		}
		h.run.kill()
		if struck {
			return
		}
	}
	h.t.Errorf("%s: missed %d times", b.name, tries)
}

// struck waits until the agent is dead, or has come to its end unharmed, and
// tells which.
func (h *host) struck(b blow, version int, disarm func()) bool {
	h.t.Helper()
	h.until(b.name+": struck, or missed", func() bool {
		c := h.cert("www")
		return !h.run.running() || c.Version >= version && c.Stage == "served" && c.Busy == ""
	})
	disarm()
	if h.shot.Swap(false) { // perhaps at the very end
		h.gone()
	}
	return !h.run.running()
}

func TestACrashAtAnyStepOfARenewal(t *testing.T) {
	t.Parallel()
	for group, list := range blows {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			crashRenewals(t, list())
		})
	}
}

func TestACrashAtAnyFileOfARenewal(t *testing.T) { crashRenewals(t, onDisk()) }

func crashRenewals(t *testing.T, list []blow) {
	h := newCrashHost(t)
	h.start()
	h.served("www", 1)
	url := h.account()
	for _, b := range list {
		if b.name == toAccount+" not sent" || b.name == toAccount+" done, reply lost" {
			continue // a renewal registers nothing
		}
		h.crashRenewal(b, url)
	}
}

// crashRenewal strikes in the middle of a renewal, and sees it end well.
func (h *host) crashRenewal(b blow, url string) {
	h.t.Helper()
	for range tries {
		version, counts := h.cert("www").Version, h.ca.Counts()
		r := watchPair(h.t, h.live("www", ""))
		disarm := b.arm(h, version+1)
		h.request("www")
		struck := h.struck(b, version+1, disarm)
		if struck {
			h.start()
		}
		h.served("www", version+1)
		h.afterwards(b, r, counts.NewOrders, counts.Accounts, url)
		if struck {
			return
		}
	}
	h.t.Errorf("%s: missed %d times", b.name, tries)
}
