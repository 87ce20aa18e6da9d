package stage_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

func TestTheCAFailsAndComesBackAtTheSameAddress(t *testing.T) {
	ports, err := stage.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := stage.StartCA(20*time.Second, ports[0], ports[1], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ca.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.TrustPEM())
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	directory := func() int {
		r, err := client.Get(ca.DirectoryURL())
		if err != nil {
			return 0
		}
		defer r.Body.Close()
		return r.StatusCode
	}

	if got := directory(); got != http.StatusOK {
		t.Fatalf("the directory: %d", got)
	}
	ca.Faults.Set(1, stage.Unavailable)
	if got := directory(); got != http.StatusServiceUnavailable {
		t.Errorf("while unavailable: %d", got)
	}
	ca.Faults.Set(0)
	if err := ca.Stop(); err != nil {
		t.Fatal(err)
	}
	if got := directory(); got != 0 {
		t.Errorf("while stopped: %d", got)
	}
	if err := ca.Restart(); err != nil {
		t.Fatal(err)
	}
	if got := directory(); got != http.StatusOK {
		t.Errorf("after it came back: %d", got)
	}
}

func TestPortsAreFreeDifferentAndOutOfTheWayOfClients(t *testing.T) {
	ports, err := stage.FreePorts(20)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[int]bool)
	for _, p := range ports {
		if seen[p] || p < 15000 || p > 32767 {
			t.Errorf("port %d of %v", p, ports)
		}
		seen[p] = true
	}
}
