package faultproxy_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/issue/faultproxy"
)

// maxSpent bounds what one attempt allocates in all, freed or not, the proxy's
// share and that of TLS included: far below what each of the bombs would take to
// hold. It is a sum, so it depends on no garbage collector's mood.
const maxSpent = 16 << 20

// What is bigger than a CA's answer can be costs what a CA's answer may cost.
func TestABombCostsNoMemory(t *testing.T) {
	w := newTown(t, acmetest.Options{})
	p := w.proxy(faultproxy.Options{HTTP1: true})
	h := w.host(p)
	h.timeout = 20 * time.Second
	cert := h.cert("www", "a.example.com")
	held, err := h.issued(cert, renew.Version{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, bomb := range []struct {
		name string
		act  faultproxy.Action
	}{
		{"4 GiB in gzip", faultproxy.GzipBomb(4 << 10)},
		{"a body without end", faultproxy.Endless()},
		{"a million objects deep", faultproxy.Deep(1e6)},
		{"100,000 objects deep", faultproxy.Deep(1e5)},
		{"a million headers", faultproxy.Headers(1e6)},
	} {
		for _, kind := range []faultproxy.Kind{faultproxy.Directory, faultproxy.NewOrder, faultproxy.Authz, faultproxy.Cert, faultproxy.RenewalInfo} {
			h.restart()
			p.Set(faultproxy.Rule{Kind: kind, Do: bomb.act})
			name := fmt.Sprintf("c%d-%s", i, kind)
			fresh := h.cert(name, name+".example.com") // with no order in flight, and no authorization that may be used again
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			advice, err := renew.Advice{}, error(nil)
			if kind == faultproxy.RenewalInfo {
				advice, err = h.client.Advise(t.Context(), cert, held)
			} else {
				err = h.issue(t.Context(), fresh, renew.Version{})
			}
			runtime.ReadMemStats(&after)
			spent := after.TotalAlloc - before.TotalAlloc
			if spent > maxSpent {
				t.Errorf("%s at %s: %d MiB", bomb.name, kind, spent>>20)
			}
			if kind == faultproxy.RenewalInfo && err == nil && advice.Start.IsZero() {
				continue // no advice, which is none the worse
			}
			if _, odd := failure(err); odd != nil {
				t.Errorf("%s at %s: %v", bomb.name, kind, odd)
			}
			t.Logf("%s at %s: %d KiB", bomb.name, kind, spent>>10)
		}
	}
	p.Set()
	if _, err := h.issued(cert, held, 1); err != nil {
		t.Error(err)
	}
}
