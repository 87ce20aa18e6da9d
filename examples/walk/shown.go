package walk

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os/exec"
	"strings"
)

// starttls is what openssl calls a protocol; what is not here begins with TLS.
var starttls = map[string]string{"smtp": "smtp", "submission": "smtp", "imap": "imap", "pop3": "pop3", "postgres": "postgres"}

// Shown asks every endpoint of a server with openssl, which shares no code with
// the agent, for the name, and returns the fingerprint of what all of them show:
// a certificate that clients accept.
func (w *Walk) Shown(g *Guest) string {
	w.T.Helper()
	var all string
	for _, e := range g.Endpoints {
		leaf, err := w.show(e, g.For)
		if err != nil {
			w.T.Fatalf("%s at %s (%s): %v\n%s", g.Name, e.Address, e.Protocol, err, g.Said(10))
		}
		sum := sha256.Sum256(leaf.Raw)
		one := hex.EncodeToString(sum[:])
		if all != "" && one != all {
			w.T.Errorf("%s shows another certificate at %s than elsewhere", g.Name, e.Address)
		}
		all = one
	}
	return all
}

func (w *Walk) show(e Endpoint, name string) (*x509.Certificate, error) {
	argv := []string{"s_client", "-connect", e.Address, "-servername", name, "-showcerts"}
	if dialogue := starttls[e.Protocol]; dialogue != "" {
		argv = append(argv, "-starttls", dialogue)
	}
	cmd := exec.CommandContext(w.context(), "openssl", argv...)
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running openssl: %w: %s", err, out)
	}
	var chain []*x509.Certificate
	between := x509.NewCertPool()
	for block, rest := pem.Decode(out); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		chain = append(chain, cert)
		between.AddCert(cert)
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("no certificate in %s", out)
	}
	_, err = chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: w.CA.Roots(), Intermediates: between})
	return chain[0], err
}
