package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/store"
)

func applyCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "apply [NAME…]",
		Short: "Do what is due now, then exit: one pass without the service",
		Long: `Do what is due now, then exit: one pass without the service.

It takes the state directory's lock, so it can't run beside the agent; use
"certvigil renew" there. The exit code is that of status.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			return apply(cmd.Context(), g, names, cmd.OutOrStdout())
		},
	}
}

func apply(ctx context.Context, g *globals, names []string, out io.Writer) error {
	log, err := g.logger(os.Stderr)
	if err != nil {
		return err
	}
	cfg, err := g.load()
	if err != nil {
		return err
	}
	if err := known(cfg, names); err != nil {
		return err
	}
	s, err := openService(g, cfg, agent.Parts{Log: log})
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w; where the agent runs, use certvigil renew NAME", err)
	}
	if err != nil {
		return err
	}
	defer s.close()
	s.agent.Settle(ctx, names...)

	r := agent.Report{Version: version, Certificates: s.agent.Report(time.Now())}
	printStatus(out, r, false, time.Now())
	return health(r.Worst())
}

// known returns an error that lists what there is where a name is not configured.
func known(cfg *config.Config, names []string) error {
	for _, n := range names {
		if !slices.ContainsFunc(cfg.Certs, func(c renew.Cert) bool { return c.Name == n }) {
			return &exit{exitUnknown, fmt.Errorf("no certificate %q is configured; there are: %s", n, certNames(cfg))}
		}
	}
	return nil
}

func certNames(cfg *config.Config) string {
	if len(cfg.Certs) == 0 {
		return "none"
	}
	var list string
	for i, c := range cfg.Certs {
		if i > 0 {
			list += ", "
		}
		list += c.Name
	}
	return list
}
