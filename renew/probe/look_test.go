package probe

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

func TestLookTellsWhatAClientWouldThink(t *testing.T) {
	a := newAuthority(t)
	good := a.issue(t, soon(), "www.example.com", "*.example.org", "127.0.0.1")
	bare := *good
	bare.Certificate = good.Certificate[:1]
	a.usage = x509.ExtKeyUsageClientAuth
	client := a.issue(t, soon(), "www.example.com")
	a.usage = x509.ExtKeyUsageServerAuth
	trusting := x509.NewCertPool()
	trusting.AddCert(a.root)
	for _, tt := range []struct {
		name      string
		serves    *tls.Certificate
		roots     *x509.CertPool
		ask       string
		verdict   string // empty: none
		untrusted bool
	}{
		{"a root of ours", good, trusting, "www.example.com", "", false},
		{"a wildcard", good, trusting, "*.example.org", "", false},
		{"an address", good, trusting, "127.0.0.1", "", false},
		{"no name, so the host of the address", good, trusting, "", "", false},
		{"a root that nobody knows", good, nil, "www.example.com", "unknown authority", true},
		{"another name", good, trusting, "mail.example.com", "not mail.example.com", false},
		{"another name and an unknown root", good, nil, "mail.example.com", "not mail.example.com", false},
		{"an intermediate missing", &bare, trusting, "www.example.com", "unknown authority", true},
		{"not meant for servers", client, trusting, "www.example.com", "incompatible key usage", false},
		{"expired", a.issue(t, time.Now().Add(-3*time.Hour), "www.example.com"), trusting, "www.example.com",
			"certificate of www.example.com: expired 3 hours ago", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address, handshakes := serve(t, "127.0.0.1:0", with(tt.serves))
			seen, err := (&Prober{Roots: tt.roots}).Look(t.Context(), renew.Endpoint{Address: address}, tt.ask)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(seen.Verdict, tt.verdict) || (tt.verdict == "") != (seen.Verdict == "") || seen.Untrusted != tt.untrusted {
				t.Errorf("verdict %q (untrusted %v), want %q", seen.Verdict, seen.Untrusted, tt.verdict)
			}
			if seen.TLS != "TLS 1.3" || seen.Address != address || len(seen.Chain) != len(tt.serves.Certificate) ||
				seen.ChainDigest != keypair.ChainDigest(tt.serves.Certificate) || handshakes.Load() != 2 {
				t.Errorf("seen %+v after %d handshakes", seen, handshakes.Load())
			}
			leaf := seen.Chain[0]
			if leaf.Fingerprint != keypair.Fingerprint(tt.serves.Certificate[0]) || !leaf.NotAfter.Equal(tt.serves.Leaf.NotAfter) || leaf.Names[0] != "www.example.com" {
				t.Errorf("leaf %+v", leaf)
			}
		})
	}
}

func TestLookSaysWhyNothingWasSeen(t *testing.T) {
	address, _ := serve(t, "127.0.0.1:0", &tls.Config{})
	_, err := (&Prober{}).Look(t.Context(), renew.Endpoint{Address: address}, "www.example.com")
	if err == nil || !strings.Contains(err.Error(), "asking "+address+" for www.example.com") || !strings.Contains(err.Error(), "TLS handshake") {
		t.Errorf("err = %v", err)
	}
}

func TestSpansAreToldInOneUnit(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 seconds", time.Second: "1 second", 119 * time.Second: "119 seconds", 2 * time.Minute: "2 minutes",
		3 * time.Hour: "3 hours", 47 * time.Hour: "47 hours", 90 * 24 * time.Hour: "90 days",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
