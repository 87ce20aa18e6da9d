package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew/probe"
)

func probeCommand() *cobra.Command {
	var name, protocol string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "probe ADDRESS",
		Short: "Show the certificate that an address really serves",
		Long: `Show the certificate that an address really serves, by one handshake.

Exit codes: 0 a client would take it, 1 only its root is unknown on this host,
2 a client would refuse it, or no handshake could be made.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if protocol != "tls" {
				return &exit{exitUnknown, fmt.Errorf("--protocol %q: this version knows tls alone", protocol)}
			}
			address := args[0]
			if !strings.Contains(strings.TrimPrefix(address, "["), ":") || strings.HasSuffix(address, "]") {
				address += ":443"
			}
			seen, err := (&probe.Prober{}).Look(cmd.Context(), address, name)
			if err != nil {
				return err
			}
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(seen); err != nil {
					return err
				}
			} else {
				printSeen(cmd.OutOrStdout(), seen, time.Now())
			}
			switch {
			case seen.Untrusted:
				return &exit{code: exitAttention}
			case seen.Verdict != "":
				return &exit{code: exitCritical}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "the name to ask for (SNI); default: the address's host")
	cmd.Flags().StringVar(&protocol, "protocol", "tls", "the protocol spoken before TLS begins")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printSeen(w io.Writer, s probe.Seen, now time.Time) {
	fmt.Fprintf(w, "%s asked for %s (%s)\n", s.Address, s.Name, s.TLS)
	for i, l := range s.Chain {
		fmt.Fprintf(w, "%d  subject      %s\n   issuer       %s\n", i, l.Subject, l.Issuer)
		if len(l.Names) > 0 {
			fmt.Fprintf(w, "   names        %s\n", strings.Join(l.Names, ", "))
		}
		fmt.Fprintf(w, "   valid        %s to %s (%s)\n   serial       %s\n   sha256       %s\n",
			l.NotBefore.UTC().Format(time.RFC3339), l.NotAfter.UTC().Format(time.RFC3339), remaining(now, l.NotAfter), l.Serial, l.Fingerprint)
	}
	if s.Verdict == "" {
		fmt.Fprintln(w, "A client that trusts this host's roots takes it.")
		return
	}
	fmt.Fprintln(w, "A client refuses it:", s.Verdict)
}

func remaining(now, t time.Time) string {
	if !now.Before(t) {
		return "expired"
	}
	return in(now, t) + " left"
}
