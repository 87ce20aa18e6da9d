package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/store"
)

func planCommand(g *globals) *cobra.Command {
	var until string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what would be done, when and why; nothing is done",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			horizon, err := config.ParseDuration(until)
			if err != nil {
				return &exit{exitUnknown, fmt.Errorf("--until: %w", err)}
			}
			now := time.Now()
			steps, running, err := plan(cmd.Context(), g, now, now.Add(horizon))
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(steps)
			}
			printPlan(cmd.OutOrStdout(), steps, running, now)
			return nil
		},
	}
	cmd.Flags().StringVar(&until, "until", "90d", "how far to look ahead, such as 12h or 90d")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// plan asks the running agent; where none runs, it works from the state directory.
func plan(ctx context.Context, g *globals, now, until time.Time) (steps []agent.Planned, running bool, err error) {
	steps, err = g.running().Plan(ctx, until)
	if err == nil || !errors.Is(err, status.ErrNotRunning) {
		return steps, true, err
	}
	cfg, err := g.load()
	if err != nil {
		return nil, false, err
	}
	st, err := store.OpenReadOnly(cfg.Agent.StateDir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, false, err
	}
	if err != nil {
		steps, err = agent.OfflinePlan(now, until, emptyStore{}, cfg)
		return steps, false, err
	}
	defer st.Close()
	steps, err = agent.OfflinePlan(now, until, st, cfg)
	return steps, false, err
}

func printPlan(w io.Writer, steps []agent.Planned, running bool, now time.Time) {
	if !running {
		fmt.Fprintln(w, "No agent is running: this is what the state directory says.")
	}
	if len(steps) == 0 {
		fmt.Fprintln(w, "Nothing lies ahead.")
		return
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "WHEN\tIN\tCERTIFICATE\tDO\tREASON")
	for _, s := range steps {
		note := ""
		if s.Projected {
			note = " (projected)"
		}
		if len(s.Endpoints) > 0 {
			note = " at " + strings.Join(s.Endpoints, ", ")
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s%s\n", s.At.Local().Format("2006-01-02 15:04:05"), in(now, s.At), s.Cert, s.Do, s.Reason, note)
	}
	tw.Flush()
}

// in says how far off t is, the way a person would.
func in(now, t time.Time) string {
	d := t.Sub(now)
	switch {
	case d < time.Second:
		return "now"
	case d < 2*time.Minute:
		return d.Round(time.Second).String()
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}
