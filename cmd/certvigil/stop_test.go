package main

import (
	"net"
	"strings"
	"testing"
	"time"
)

// stopsWithin is the agent's promise, and what a busy machine adds to it.
const stopsWithin = 5 * time.Second

// stopsInTime sends SIGTERM and checks what the agent promises of it.
func (h *host) stopsInTime() {
	h.t.Helper()
	took, code := h.stop()
	if took > stopsWithin || code != exitOK {
		h.t.Errorf("SIGTERM took %s and gave exit code %d; want 0 within %s", took, code, stopsWithin)
	}
	if n := h.logged("agent stopped", ""); n != 1 {
		h.t.Errorf("it said %d times that it stopped", n)
	}
}

func TestSIGTERMEndsTheAgentAtRest(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.start()
	h.served("www", 1)
	h.stopsInTime()
	if _, err := net.Dial("unix", h.cfg.Socket); err == nil {
		t.Error("the control socket is still answered")
	}
}

func TestSIGTERMEndsTheAgentWhileTheCAIsSilent(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{toDirectory, toNonce, toOrder, toAuthz, toChallenge, toFinalize, toDownload} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, setup{bare: true})
			h.gate.set(on(kind, stalled))
			h.start()
			h.until("the CA is asked", func() bool { return h.gate.count(kind) > 0 })
			h.stopsInTime()
			// Being stopped is nobody's failure: the next run begins at once.
			h.gate.set(nil)
			h.start()
			h.until("the first version", func() bool { return h.cert("www").Live == 1 })
			if n := h.logged("step failed", ""); n != 0 {
				t.Errorf("%d steps failed because of a stop", n)
			}
			if n := h.ca.Orders(); n != 1 {
				t.Errorf("%d orders for one certificate", n)
			}
		})
	}
}

func TestSIGTERMEndsTheAgentInAHangingHook(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{})
	h.cfg.Test = nil
	h.cfg.Reload = h.script("hook", "trap '' TERM\ntouch "+h.path("hanging")+"\nwhile :; do sleep 1; done")
	h.write()
	h.start()
	h.until("the hook hangs", func() bool { return readable(h.path("hanging")) })
	h.stopsInTime()
	h.script("hook", h.reloadLine())
	h.start()
	h.served("www", 1)
}

func TestSIGTERMEndsTheAgentWhileItProves(t *testing.T) {
	t.Parallel()
	// An endpoint that takes connections and never says a word.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	asked := make(chan net.Conn, 100)
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				close(asked)
				return
			}
			asked <- conn
		}
	}()
	h := newHost(t, setup{bare: true, lifetime: time.Hour})
	h.cfg.Sites[0].Endpoint = silent.Addr().String()
	h.write()
	h.start()
	defer (<-asked).Close()
	h.stopsInTime()
}

func TestAnAddressThatIsTakenIsNamedWithItsHolder(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{bare: true})
	taken, err := net.Listen("tcp", h.cfg.HTTP)
	must(t, err)
	defer taken.Close()
	h.start()
	f := h.troubled()
	if f.Class != "local" || !strings.Contains(f.Message, h.cfg.HTTP) || !strings.Contains(f.Message, "certvigil.test") {
		t.Errorf("%s: %q; want the address and the process that has it", f.Class, f.Message)
	}
	must(t, taken.Close())
	h.until("the first version", func() bool { return h.cert("www").Live == 1 })
	if n := h.ca.Orders(); n != 1 {
		t.Errorf("%d orders for one certificate", n)
	}
}
