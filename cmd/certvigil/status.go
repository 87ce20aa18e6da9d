package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/store"
)

func statusCommand(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show how every certificate is, and what comes next",
		Long: `Show how every certificate is, and what comes next.

Exit codes: 0 all is well, 1 a human should look, 2 critical, 3 unknown. Where
no agent runs it reads the state directory, says so, and exits with 1 at least.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := report(cmd.Context(), g, time.Now())
			if err != nil {
				return &exit{exitUnknown, err}
			}
			if len(args) == 1 {
				r.Certificates = slices.DeleteFunc(r.Certificates, func(c agent.CertReport) bool { return c.Name != args[0] })
				if len(r.Certificates) == 0 {
					return &exit{exitUnknown, fmt.Errorf("no certificate %q is configured", args[0])}
				}
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				if err := enc.Encode(r); err != nil {
					return err
				}
			} else {
				if !r.Running {
					fmt.Fprintln(cmd.OutOrStdout(), "No agent is running: this is what the state directory says.")
				}
				printStatus(cmd.OutOrStdout(), r, len(args) == 1, time.Now())
			}
			if !r.Running {
				return health(r.Worst().Worse(renew.Attention))
			}
			return health(r.Worst())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// report asks the running agent. Where none runs it works from the state
// directory, and says so; that nobody keeps the certificates is then worth
// attention itself.
func report(ctx context.Context, g *globals, now time.Time) (agent.Report, error) {
	r, err := g.running().Report(ctx)
	if err == nil || !errors.Is(err, status.ErrNotRunning) {
		return r, err
	}
	cfg, err := g.load()
	if err != nil {
		return r, err
	}
	r = agent.Report{Version: version, Watched: []struct{}{}, Config: agent.ConfigReport{Path: cfg.Path, LoadedAt: now}}
	st, err := store.OpenReadOnly(cfg.Agent.StateDir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		r.Certificates = agent.Offline(now, emptyStore{}, cfg)
	case err != nil:
		return r, err
	default:
		defer st.Close()
		r.Certificates = agent.Offline(now, st, cfg)
	}
	return r, nil
}

// printStatus prints a table and what is the matter; all, where one certificate was
// asked for, its endpoints too.
func printStatus(w io.Writer, r agent.Report, all bool, now time.Time) {
	if r.Config.Error != nil {
		fmt.Fprintf(w, "The configuration on disk was refused; the one before is in force:\n%s\n", *r.Config.Error)
	}
	if len(r.Certificates) == 0 {
		fmt.Fprintln(w, "No certificate is configured.")
		return
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "CERTIFICATE\tHEALTH\tSTAGE\tEXPIRES\tNEXT")
	for _, c := range r.Certificates {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", c.Name, c.Health, c.Stage, expiry(now, c), next(now, c))
	}
	tw.Flush()
	for _, c := range r.Certificates {
		if all {
			printEndpoints(w, c)
		}
		printFindings(w, c)
	}
}

func expiry(now time.Time, c agent.CertReport) string {
	switch {
	case c.NotAfter.IsZero():
		return "-"
	case !now.Before(c.NotAfter):
		return "expired"
	default:
		return "in " + in(now, c.NotAfter)
	}
}

func next(now time.Time, c agent.CertReport) string {
	when := in(now, c.Next.At)
	if when != "now" {
		when = "in " + when
	}
	return fmt.Sprintf("%s %s (%s)", c.Next.Do, when, c.Next.Reason)
}

// told are the reasons that are worth a line although all is well.
func told(r renew.Reason) bool {
	return r == renew.NobodyProves || r == renew.WindowShut || r == renew.DiscoveryBlind
}

// printEndpoints lists where c is proved, and which of it was found.
func printEndpoints(w io.Writer, c agent.CertReport) {
	if len(c.Endpoints) > 0 {
		fmt.Fprintln(w)
	}
	for _, e := range c.Endpoints {
		where, how := e.Address, "served"
		if e.Name != "" {
			where += " for " + e.Name
		}
		if e.Auto {
			where += " (auto: " + e.Process + ")"
		}
		switch {
		case e.CheckedAt.IsZero():
			how = "not looked at yet"
		case !e.Served:
			how = e.Error
		}
		fmt.Fprintf(w, "%s: %s: %s\n", c.Name, where, how)
	}
	for _, e := range c.Older() {
		fmt.Fprintf(w, "%s: %s: %s (at %s)\n", c.Name, e.Address, e.Older(), e.CheckedAt.Local().Format("2006-01-02 15:04:05"))
	}
}

// printFindings says what is the matter with c, and with which endpoint.
func printFindings(w io.Writer, c agent.CertReport) {
	for _, f := range c.Findings {
		if f.Level == renew.OK && !told(f.Reason) {
			continue
		}
		fmt.Fprintf(w, "\n%s: %s: %s\n", c.Name, f.Reason, f.Detail)
	}
	if slices.ContainsFunc(c.Preflight.Obstacles, func(o renew.Obstacle) bool { return o.Level != renew.OK }) {
		fmt.Fprintf(w, "  certvigil doctor %s says what to do, and whether it is still so\n", c.Name)
	}
	if f := c.Failure; f != nil && c.Health != renew.OK {
		fmt.Fprintf(w, "  %s failed %d times since %s (%s), next try %s\n    %s\n",
			f.Stage, f.Count, f.Since.Local().Format("2006-01-02 15:04:05"), f.Class, f.Next.Local().Format("15:04:05"), f.Message)
	}
}
