package agent

import (
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/crl"
)

// publish makes the yard's CA publish a revocation list. revoke puts serials on
// the next; down makes its server fail.
func (y *yard) publish() (revoke func(serial int64), down func()) {
	l := &x509.RevocationList{Number: big.NewInt(1)}
	failing := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		y.mu.Lock()
		defer y.mu.Unlock()
		l.ThisUpdate, l.NextUpdate = time.Now().Add(-time.Second), time.Now().Add(time.Hour)
		der, err := x509.CreateRevocationList(rand.Reader, l, y.root, y.key)
		if err != nil || failing {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(der)
	}))
	y.t.Cleanup(s.Close)
	y.point, y.lists = s.URL, crl.New("test")
	revoke = func(serial int64) {
		y.mu.Lock()
		defer y.mu.Unlock()
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(serial), RevocationTime: time.Now(), ReasonCode: 4,
		})
	}
	down = func() { y.mu.Lock(); defer y.mu.Unlock(); failing = true }
	return revoke, down
}

func (y *yard) journal() renew.Journal {
	y.t.Helper()
	j, err := y.Journal("www")
	must(y.t, err)
	return j
}

func TestARevokedCertificateIsAlarmedAndReplaced(t *testing.T) {
	t.Parallel()
	var revoke func(int64)
	y := newYard(t, "", func(y *yard) { revoke, _ = y.publish() })
	first := report(t, y.agent, "www").Fingerprint
	y.until("the list was looked at", func(CertReport) bool { return y.journal().Revocation.Fingerprint == first })
	if r := report(t, y.agent, "www"); r.Health != renew.OK {
		t.Errorf("before: %+v", r)
	}
	y.mu.Lock()
	y.refuses = true // so that what is revoked stays served for a while
	y.mu.Unlock()
	revoke(101)
	y.until("it is alarmed", func(r CertReport) bool { return r.Health == renew.Critical && r.Reason == renew.IsRevoked })
	y.mu.Lock()
	y.refuses = false
	y.mu.Unlock()
	must(t, y.agent.Request("www", false))
	y.until("the next is served, and all is well", func(r CertReport) bool {
		return r.Version == 2 && r.Stage == renew.Served && r.Health == renew.OK
	})
	v, err := y.Versions("www")
	must(t, err)
	if last := v[len(v)-1]; last.Reason != renew.IsRevoked {
		t.Errorf("issued for %s", last.Reason)
	}
	if r := y.journal().Revoked; r.Fingerprint != first || r.Reason != 4 {
		t.Errorf("%+v", r)
	}
}

func TestAListThatCantBeHadStopsNothing(t *testing.T) {
	t.Parallel()
	y := newYard(t, "", func(y *yard) { _, down := y.publish(); down() })
	y.until("it was tried", func(CertReport) bool { return y.journal().LookUp.Count > 0 })
	if r := report(t, y.agent, "www"); r.Stage != renew.Served || r.Health != renew.OK || r.Failure != nil {
		t.Errorf("%+v", r)
	}
	must(t, y.agent.Request("www", true))
	y.until("the next is served", func(r CertReport) bool { return r.Version == 2 && r.Stage == renew.Served })
}
