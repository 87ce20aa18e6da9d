package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a file system of its own for the state directory.
func smallDisk(h *host) {
	h.t.Helper()
	must(h.t, os.Mkdir(h.cfg.State, 0o755))
	must(h.t, syscall.Mount("certvigil-test", h.cfg.State, "tmpfs", 0, "size=256k,mode=0755"))
	h.t.Cleanup(func() { _ = syscall.Unmount(h.cfg.State, syscall.MNT_DETACH) })
}

// fill leaves no block on the state's disk. It returns what gives the room back.
func (h *host) fill() (empty func()) {
	h.t.Helper()
	path := filepath.Join(h.cfg.State, "filling")
	f, err := os.Create(path)
	must(h.t, err)
	_, err = io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		h.t.Fatalf("filling the disk: %v", err)
	}
	must(h.t, f.Close())
	return func() { must(h.t, os.Remove(path)) }
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAFullDiskBeforeTheFirstCertificateIsSurvived(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{change: smallDisk})
	empty := h.fill()
	h.start()
	f := h.troubled()
	if f.Class != "local" || !strings.Contains(f.Message, "no space left on device") {
		t.Errorf("%s: %q", f.Class, f.Message)
	}
	h.triedThrice()
	if wait := time.Until(h.troubled().Next); wait > time.Minute {
		t.Errorf("the next try is in %s: a disk that has room again is to be found out within a minute", wait)
	}
	if got := h.ask("status"); got.code != exitCritical {
		t.Errorf("no certificate and no room for one, and status exits with %d: %s", got.code, got.all)
	}
	if n := h.ca.Counts(); n.Accounts+n.NewOrders != 0 {
		t.Errorf("%d accounts and %d orders whose keys nobody has", n.Accounts, n.NewOrders)
	}
	empty()
	h.served("www", 1)
	if n := h.ca.Counts(); n.Accounts != 1 || n.NewOrders != 1 {
		t.Errorf("%d accounts and %d orders for one certificate", n.Accounts, n.NewOrders)
	}
}

func TestAFullDiskKeepsTheOldPairWholeAndTheCAInPeace(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{change: smallDisk})
	h.start()
	h.served("www", 1)
	r := watchPair(t, h.live("www", ""))
	url := h.account()

	orders := h.ca.Orders()
	empty := h.fill()
	h.request("www")
	f := h.troubled()
	if f.Class != "local" || !strings.Contains(f.Message, "no space left on device") || !strings.Contains(f.Message, h.cfg.State) {
		t.Errorf("%s: %q; want the path and what is wrong", f.Class, f.Message)
	}
	h.triedThrice()
	h.until("status says so", func() bool { return h.ask("status").code == exitAttention })
	// The intent could not be noted, so the CA must not have heard of it.
	if n := h.ca.Orders() - orders; n != 0 {
		t.Errorf("%d orders while there was no room for their key", n)
	}
	if h.fingerprint("www.example.com") != h.cert("www").Fingerprint {
		t.Error("nginx serves something else")
	}
	empty()
	h.served("www", 2)
	if n := h.ca.Orders() - orders; n != 1 {
		t.Errorf("%d orders for one renewal", n)
	}
	if now := h.account(); now != url {
		t.Errorf("the account was %s and is %s", url, now)
	}
	if n := r.close(); n != 2 {
		t.Errorf("a reader saw %d pairs, want the old and the new", n)
	}
}

func TestADiskThatFillsUpAtAnyStepCostsNoSecondOrder(t *testing.T) {
	t.Parallel()
	h := newHost(t, setup{change: smallDisk})
	h.start()
	h.served("www", 1)
	r := watchPair(t, h.live("www", ""))
	version := 1
	for _, kind := range []string{toOrder, toChallenge, toFinalize, toDownload} {
		orders := h.ca.Orders()
		empty := h.fillAt(kind)
		h.request("www")
		if f := h.troubled(); !strings.Contains(f.Message, "no space left on device") {
			t.Errorf("%s: %q", kind, f.Message)
		}
		h.triedThrice()
		h.gate.set(nil)
		empty()
		version++
		h.served("www", version)
		// The one whose URL found no room is lost; nothing else is.
		most := 1
		if kind == toOrder {
			most = 2
		}
		if n := h.ca.Orders() - orders; n > most {
			t.Errorf("%s: %d orders, want %d", kind, n, most)
		}
	}
	r.close()
}

// fillAt fills the disk when the agent makes a request of that kind.
func (h *host) fillAt(kind string) (empty func()) {
	full := make(chan func(), 1)
	h.gate.set(onceOn(kind, func() { full <- h.fill() }))
	return func() {
		select {
		case empty := <-full:
			empty()
		default:
			h.t.Errorf("no %s was asked for", kind)
		}
	}
}

// triedThrice waits until the agent has failed so often in a row.
func (h *host) triedThrice() {
	h.t.Helper()
	h.until("it was tried three times", func() bool {
		c := h.cert("www")
		return c.Failure != nil && c.Failure.Count >= 3
	})
}
