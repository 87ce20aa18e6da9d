package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/status"
)

func renewCommand(g *globals) *cobra.Command {
	var force bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "renew NAME",
		Short: "Have the running agent try a certificate now",
		Long: `Have the running agent try a certificate now, without waiting for a backoff.
With --force a new certificate is issued although none is due. A time that the
CA named (Retry-After) is waited for in any case.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := renewNow(cmd.Context(), g.running(), args[0], force, wait, cmd.OutOrStdout())
			if !errors.Is(err, status.ErrNotRunning) {
				return err
			}
			// What is wrong beside that comes first: no agent would change it.
			cfg, loadErr := g.load()
			if loadErr != nil {
				return loadErr
			}
			return cmp.Or(known(cfg, args), err)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "issue a new certificate although none is due")
	cmd.Flags().DurationVar(&wait, "wait", 2*time.Minute, "how long to wait for the outcome")
	return cmd
}

// renewNow asks, then follows the certificate until it has come to rest.
func renewNow(ctx context.Context, c *status.Client, name string, force bool, wait time.Duration, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	before, err := certReport(ctx, c, name)
	if err != nil {
		return err
	}
	asked := time.Now()
	if err := c.Renew(ctx, name, force); err != nil {
		return err
	}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	var last string
	for {
		select {
		case <-ctx.Done():
			return &exit{exitAttention, fmt.Errorf("%s has not come to rest after %s; see certvigil status %s", name, wait, name)}
		case <-tick.C:
		}
		r, err := certReport(ctx, c, name)
		if err != nil {
			return err
		}
		if line := fmt.Sprintf("%s: version %d, %s", name, r.Version, r.Stage); line != last {
			fmt.Fprintln(out, line)
			last = line
		}
		if f := r.Failure; f != nil && (f.Since.After(asked) || f.Count > failures(before)) {
			return &exit{exitCritical, fmt.Errorf("%s %s: %s", f.Stage, name, f.Message)}
		}
		if settled(r, before, force) {
			return health(r.Health)
		}
	}
}

const followEvery = 200 * time.Millisecond

func settled(r, before agent.CertReport, force bool) bool {
	resting := r.Busy == "" && r.Next.At.After(time.Now())
	return resting && (!force || r.Version > before.Version) &&
		(r.Stage == renew.Served || (r.Stage == renew.Deployed && len(r.Endpoints) == 0))
}

func failures(r agent.CertReport) int {
	if r.Failure == nil {
		return 0
	}
	return r.Failure.Count
}

func certReport(ctx context.Context, c *status.Client, name string) (agent.CertReport, error) {
	r, err := c.Report(ctx)
	if errors.Is(err, status.ErrNotRunning) {
		return agent.CertReport{}, &exit{exitUnknown, fmt.Errorf("%w; for one pass without it use certvigil apply %s", err, name)}
	}
	if err != nil {
		return agent.CertReport{}, &exit{exitUnknown, err}
	}
	i := slices.IndexFunc(r.Certificates, func(c agent.CertReport) bool { return c.Name == name })
	if i < 0 {
		return agent.CertReport{}, &exit{exitUnknown, fmt.Errorf("the agent keeps no certificate %q", name)}
	}
	return r.Certificates[i], nil
}
