package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/probe"
)

func probeCommand() *cobra.Command {
	var e renew.Endpoint
	var name string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "probe ADDRESS",
		Short: "Show the certificate that an address really serves",
		Long: `Show the certificate that an address really serves: host, host:port or
unix:/path. Where the server has one for RSA and one for ECDSA, both are shown.

Protocols: ` + strings.Join(renew.Protocols, ", ") + `.

Exit codes: 0 a client would take it, 1 only its root is unknown on this host,
2 a client would refuse it, or no handshake could be made, 3 the command line
can't be used.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e.Address = args[0]
			if err := probeable(&e); err != nil {
				return &exit{exitUnknown, err}
			}
			out := cmd.OutOrStdout()
			seen, err := (&probe.Prober{}).Look(cmd.Context(), e, name)
			switch {
			case err != nil && asJSON:
				return errors.Join(err, json.NewEncoder(out).Encode(map[string]string{"error": err.Error()}))
			case err != nil:
				return err
			case asJSON:
				err = json.NewEncoder(out).Encode(seen)
			default:
				printSeen(out, seen, time.Now())
			}
			return errors.Join(err, judged(seen))
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "", "the name to ask for (SNI); default: the address's host")
	flags.BoolVar(&e.NoSNI, "no-sni", false, "ask for no name; --name is what the certificate has to be for")
	flags.StringVar(&e.Protocol, "protocol", "tls", "the protocol spoken before TLS begins")
	flags.IntVar(&e.ProxyProtocol, "proxy-protocol", 0, "send a PROXY header of this version (1 or 2) ahead")
	flags.StringSliceVar(&e.ALPN, "alpn", nil, "application protocols to offer, such as h2")
	flags.StringVar(&e.TrustRoots, "trust-roots", "", "PEM `file` of roots to trust in place of the system's")
	flags.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// probeable checks what a configuration would have checked, and adds the port of
// HTTPS where none is given.
func probeable(e *renew.Endpoint) error {
	if !slices.Contains(renew.Protocols, e.Protocol) {
		return fmt.Errorf("--protocol %q: write one of %s", e.Protocol, strings.Join(renew.Protocols, ", "))
	}
	if e.ProxyProtocol < 0 || e.ProxyProtocol > 2 {
		return fmt.Errorf("--proxy-protocol %d: write 1 or 2", e.ProxyProtocol)
	}
	if _, socket := e.Socket(); socket || strings.Contains(strings.TrimPrefix(e.Address, "["), ":") && !strings.HasSuffix(e.Address, "]") {
		return nil
	}
	if e.Protocol != "tls" {
		return fmt.Errorf("%q has no port, and %s is spoken at more than one: write host:port", e.Address, e.Protocol)
	}
	e.Address += ":443"
	return nil
}

// judged is the exit code for what was seen, the worse of two certificates.
func judged(s probe.Seen) error {
	code := exitOK
	for one := &s; one != nil; one = one.Also {
		switch {
		case one.Untrusted:
			code = max(code, exitAttention)
		case one.Verdict != "":
			code = max(code, exitCritical)
		}
	}
	if code == exitOK {
		return nil
	}
	return &exit{code: code}
}

func printSeen(w io.Writer, s probe.Seen, now time.Time) {
	asked := ""
	if s.Name != "" {
		asked = " asked for " + s.Name
	}
	fmt.Fprintf(w, "%s%s (%s, %s)\n", s.Address, asked, s.TLS, cmp.Or(s.KeyType, "a key of another kind"))
	for i, l := range s.Chain {
		fmt.Fprintf(w, "%d  subject      %s\n   issuer       %s\n", i, l.Subject, l.Issuer)
		if len(l.Names) > 0 {
			fmt.Fprintf(w, "   names        %s\n", strings.Join(l.Names, ", "))
		}
		fmt.Fprintf(w, "   valid        %s to %s (%s)\n   serial       %s\n   sha256       %s\n",
			l.NotBefore.UTC().Format(time.RFC3339), l.NotAfter.UTC().Format(time.RFC3339), remaining(now, l.NotAfter), l.Serial, l.Fingerprint)
	}
	for _, odd := range s.Oddities {
		fmt.Fprintln(w, "The chain:", odd)
	}
	if s.Verdict == "" {
		fmt.Fprintln(w, "A client takes it.")
	} else {
		fmt.Fprintln(w, "A client refuses it:", s.Verdict)
	}
	if s.Also != nil {
		fmt.Fprint(w, "\nTo a client that takes no other kind of key:\n")
		printSeen(w, *s.Also, now)
	}
}

func remaining(now, t time.Time) string {
	if !now.Before(t) {
		return "expired"
	}
	return in(now, t) + " left"
}
