package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/renew/store/disktest"
)

// nthStride is how many of the changes are left out between two that are
// failed, without -crash.all.
const nthStride = 30

// TestTheNthChangeOfTheDiskFails is SQLite's loop: the first change of the disk
// fails, then the second, and so on until none does. It fails alone, or with all
// that come after it; the next agent has a good disk.
func TestTheNthChangeOfTheDiskFails(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	seed := drawSeed()
	t.Run("scenarios", func(t *testing.T) {
		for _, replaces := range []bool{false, true} {
			for _, fault := range []struct {
				err   syscall.Errno
				count int
			}{{syscall.ENOSPC, 0}, {syscall.ENOSPC, 1}, {syscall.EIO, 0}, {syscall.EIO, 1}} {
				t.Run(fmt.Sprintf("key type change=%v, %v, count=%d", replaces, fault.err, fault.count), func(t *testing.T) {
					t.Parallel()
					n, stride := 1, 1
					if !*crashAll {
						n, stride = 1+rand.New(rand.NewPCG(seed, uint64(fault.err))).IntN(nthStride), nthStride
					}
					h := newNthHost(t, replaces)
					for h.nth(&disktest.Fault{First: n, Count: fault.count, Err: fault.err}) {
						n += stride
						runs.Add(1)
					}
				})
			}
		}
	})
	t.Logf("n-th change fails: %d runs, seed %d", runs.Load(), seed)
}

// asWanted tells whether the live certificate has the key that is configured.
func (h *nthHost) asWanted() bool {
	h.t.Helper()
	text, err := os.ReadFile(h.live("www", "cert.pem"))
	must(h.t, err)
	block, _ := pem.Decode(text)
	leaf, err := x509.ParseCertificate(block.Bytes)
	must(h.t, err)
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	return ok && (key.Curve == elliptic.P384()) == h.replaces
}

// nthHost is a host of which a state can be had again and again.
type nthHost struct {
	*host
	replaces bool
	template string // a state in which a certificate is served
	k        int    // how many states there were
}

func newNthHost(t *testing.T, replaces bool) *nthHost {
	h := &nthHost{host: newHost(t, setup{bare: true}), replaces: replaces, template: "template"}
	site := &h.cfg.Sites[0]
	site.Endpoint = serveLive(t, func() string { return h.live("www", "") })
	h.cfg.Reload = []string{"true"}
	if replaces {
		h.enter(h.template)
		h.revive()
	}
	return h
}

// enter goes to another state directory, with outputs of its own.
func (h *nthHost) enter(name string) {
	h.t.Helper()
	h.cfg.State = h.path(name + "/state")
	site := &h.cfg.Sites[0]
	site.Fullchain, site.Key = h.path(name+"/www.crt"), h.path(name+"/www.key")
	must(h.t, os.MkdirAll(h.path(name), 0o755))
}

// nth runs an agent on a disk that fails, then one on a good disk. It tells
// whether the disk failed at all.
func (h *nthHost) nth(fault *disktest.Fault) (failed bool) {
	h.t.Helper()
	h.k++
	h.enter(fmt.Sprint("state", h.k))
	if h.replaces {
		must(h.t, exec.Command("cp", "-a", h.path(h.template)+"/.", h.path(fmt.Sprint("state", h.k))).Run())
		h.cfg.Sites[0].KeyType = "ec384"
	}
	counts, r := h.ca.Counts(), watchPair(h.t, h.live("www", ""))
	st, err := openAlone(h.cfg.State, fault.Around)
	if err == nil { // else it did not even start
		_, _, _ = liveIn(h.t, st, h.load(), false, -1, fault.Around)
	}
	what := fmt.Sprintf("%v from change %d on, %d times", fault.Err, fault.First, fault.Count)
	h.until(what+": mended", func() bool { h.revive(); return h.asWanted() })
	r.close()
	// One whose URL found no room is lost.
	if n := h.ca.Orders() - counts.NewOrders; n < 1 || n > 2 {
		h.t.Errorf("%s: %d orders", what, n)
	}
	if n := h.ca.Counts().Accounts - counts.Accounts; n > 1 || h.replaces && n > 0 {
		h.t.Errorf("%s: %d new accounts", what, n)
	}
	must(h.t, os.RemoveAll(h.path(fmt.Sprint("state", h.k))))
	return fault.Failed() > 0
}
