package main

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew/agent"
)

var ariCerts = flag.Int("ari.certs", 24, "of how many certificates a CA revokes half")

// TestHalfOfTheCertificatesAreRevoked: a CA in trouble revokes every second
// certificate, long before any is due, and says so by ARI alone. Those and only
// those are replaced and proved, and no client meanwhile gets a bad one.
func TestHalfOfTheCertificatesAreRevoked(t *testing.T) {
	t.Parallel()
	var sites []site
	for i := range *ariCerts {
		sites = append(sites, site{Name: fmt.Sprintf("c%d", i), Names: []string{fmt.Sprintf("c%d.example.com", i)}})
	}
	h := newHost(t, setup{lifetime: time.Duration(max(4, *ariCerts/100)) * time.Minute, sites: sites})
	h.start()
	all := func(what string, is func(c agent.CertReport) bool) []agent.CertReport {
		t.Helper()
		var last []agent.CertReport
		h.within(patience+time.Duration(*ariCerts)*200*time.Millisecond, what, func() bool {
			r, err := h.client().Report(t.Context())
			last = r.Certificates
			if err != nil || len(last) != len(sites) {
				return false
			}
			for _, c := range last {
				if !is(c) {
					return false
				}
			}
			return true
		})
		return last
	}
	before := all("every certificate is served", func(c agent.CertReport) bool { return c.Stage == "served" })
	orders := h.ca.Orders()

	revoked, began := map[string]bool{}, time.Now()
	for i, c := range before {
		if i%2 == 0 {
			revoked[c.Name] = true
			h.ca.Revoke(h.handshake(c.Names[0]))
		}
	}
	after := all("those that were revoked are replaced and proved", func(c agent.CertReport) bool {
		return c.Stage == "served" && (c.Version == 2 || !revoked[c.Name])
	})
	took := time.Since(began)
	for i, c := range after {
		leaf := h.handshake(c.Names[0])
		if got := fmt.Sprintf("%x", leaf.SerialNumber); got != c.Serial && "0"+got != c.Serial {
			t.Errorf("%s: nginx serves %s, status says %s", c.Name, got, c.Serial)
		}
		if changed := c.Fingerprint != before[i].Fingerprint; changed != revoked[c.Name] {
			t.Errorf("%s: revoked: %v, replaced: %v", c.Name, revoked[c.Name], changed)
		}
	}
	if n := h.ca.Orders() - orders; n != len(revoked) {
		t.Errorf("%d orders for %d revoked certificates", n, len(revoked))
	}
	t.Logf("%d of %d revoked, replaced and proved after %s", len(revoked), len(after), took.Round(time.Millisecond))
}
