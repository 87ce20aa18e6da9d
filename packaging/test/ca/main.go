// Command ca is the CA of the service test: an ACME server for a throw-away
// system with nothing but a loopback. Every name resolves to 127.0.0.1, where it
// connects to port 80 to validate. It runs until it is signalled.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:14000", "host:port of the directory")
	port := flag.Int("http-port", 80, "where validation connects for http-01")
	validity := flag.Duration("validity", time.Minute, "lifetime of certificates")
	eab := flag.String("eab", "", "file with a key id, a colon and its base64url HMAC key, which new accounts must have")
	roots := flag.String("roots", "roots.pem", "file for the root of the certificates and that of the directory")
	resolver := flag.String("dns", "dns", "file for the address of its DNS server, to which every name is 127.0.0.1")
	flag.Parse()
	options := acmetest.Options{Addr: *addr, HTTPPort: *port, Validity: *validity}
	err := bind(&options, *eab)
	if err == nil {
		err = serve(options, *roots, *resolver)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "ca:", err)
		os.Exit(1)
	}
}

// bind takes the external account binding from a file: on the command line the
// key would be in the journal, where the test looks for it.
func bind(o *acmetest.Options, file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the account binding: %w", err)
	}
	id, key, ok := strings.Cut(strings.TrimSpace(string(text)), ":")
	if !ok {
		return fmt.Errorf("reading the account binding: no colon in %s", file)
	}
	o.EAB = map[string]string{id: key}
	return nil
}

// serve writes its files before it says where the directory is, so that whoever
// reads that line finds them.
func serve(o acmetest.Options, roots, resolver string) error {
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	ca, err := acmetest.Start(o)
	if err != nil {
		return fmt.Errorf("starting the CA: %w", err)
	}
	defer ca.Close()
	if err := os.WriteFile(roots, ca.TrustPEM(), 0o644); err != nil {
		return fmt.Errorf("writing the roots: %w", err)
	}
	if err := os.WriteFile(resolver, []byte(ca.DNS().Addr()+"\n"), 0o644); err != nil {
		return fmt.Errorf("writing the DNS server's address: %w", err)
	}
	fmt.Println(ca.DirectoryURL())
	<-ended
	return nil
}
