package main

import (
	"os"
	"strings"

	"github.com/certvigil/certvigil/renew"
)

// hookLies are those of hooks, whatever the server is.
var hookLies = []lie{
	{name: "a reload returns 0 and does nothing", tell: func(h *host) ruse {
		change := h.hook(h.reloadLine())
		return ruse{begin: func() { change("exit 0") }, end: func() { change(h.reloadLine()) }}
	}},
	{name: "a hook returns 0 and leaves a daemon at its output", tell: func(h *host) ruse {
		change := h.hook(h.reloadLine())
		return ruse{begin: func() { change("setsid sleep 20 &\nexit 0") }, end: func() { change(h.reloadLine()) }}
	}},
	{name: "a reload hangs", tell: func(h *host) ruse {
		change := h.hook(h.reloadLine())
		return ruse{
			begin: func() {
				change("while [ -e " + h.path("hang") + " ]; do sleep 0.1; done\n" + h.reloadLine())
				h.touch("hang")
			},
			end:    func() { must(h.t, os.Remove(h.path("hang"))) },
			reason: renew.HookFailing, says: "nginx has not returned",
		}
	}},
	{name: "a reload kills the server", tell: func(h *host) ruse {
		change := h.hook(h.reloadLine())
		return ruse{
			begin: func() {
				change("echo run >>" + h.path("runs") + "\nkill -TERM $(cat " + h.path("nginx/nginx.pid") + ")")
			},
			end: func() { _ = h.nginx.Stop(); must(h.t, h.nginx.Start(h.t.Context())) }, // a reload starts no server
			after: func() {
				if runs, err := os.ReadFile(h.path("runs")); err != nil || string(runs) != "run\n" {
					h.t.Errorf("the hook ran: %q, %v; want once", runs, err)
				}
			},
			reason: renew.Unverifiable, says: "connection refused",
		}
	}},
	{name: "the server is stopped", tell: func(h *host) ruse {
		h.hook(strings.TrimPrefix(h.reloadLine(), "exec ") + " || true")
		return ruse{
			begin:  func() { must(h.t, h.nginx.Stop()) },
			end:    func() { must(h.t, h.nginx.Start(h.t.Context())) },
			reason: renew.Unverifiable, says: "connection refused",
		}
	}},
	{name: "the server needs 20 s to show what it was told to load", tell: func(h *host) ruse {
		change := h.hook(h.reloadLine())
		return ruse{
			begin: func() { change("(sleep 20; " + h.reloadLine() + ") >/dev/null 2>&1 &") },
			end:   func() {}, // time is
		}
	}},
}

// touch makes an empty file.
func (h *host) touch(name string) {
	h.t.Helper()
	must(h.t, os.WriteFile(h.path(name), nil, 0o644))
}
