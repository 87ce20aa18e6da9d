package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/check"
	"github.com/certvigil/certvigil/renew/config"
)

func checkCommand(g *globals) *cobra.Command {
	var warning, critical, timeout string
	var o check.Options
	cmd := &cobra.Command{
		Use:   "check [NAME…]",
		Short: "Judge from outside whether all is well: a monitoring plugin",
		Long: `Judge from outside whether all is well, as a monitoring plugin does.

It reads the state directory and makes a handshake with every endpoint, and
asks the agent nothing, so that a dead or stuck agent is found out as well. It
prints one line with performance data (Nagios plugin guidelines).

Run it as the agent's user or as root. Names limit it to those certificates.

Exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN: the configuration can't be
used, or the state can't be read.`,
	}
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		state, line := plugin(cmd, g, names, o, warning, critical, timeout)
		fmt.Fprintln(cmd.OutOrStdout(), line)
		if state == check.OK {
			return nil
		}
		return &exit{code: int(state)}
	}
	attention, half := renew.Alarms()
	cmd.Flags().StringVar(&warning, "warning", check.PartOfSlack(attention).String(), "warn where less is `left`: a part of the slack (75%) or a time (20d)")
	cmd.Flags().StringVar(&critical, "critical", check.PartOfSlack(half).String(), "critical where less is `left`")
	cmd.Flags().StringVar(&timeout, "timeout", check.DefaultTimeout.String(), "answer within this `time`")
	cmd.Flags().BoolVar(&o.NoEndpoints, "no-endpoints", false, "make no handshake; take the agent's word for what is served")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		fmt.Fprintln(cmd.OutOrStdout(), check.UnknownLine(err))
		return &exit{code: exitUnknown}
	})
	return cmd
}

// plugin returns what a monitoring system is told. Whatever is wrong, it is told
// on standard output and in one line: that is all such a system reads.
func plugin(cmd *cobra.Command, g *globals, names []string, o check.Options, warning, critical, timeout string) (check.State, string) {
	unknown := func(err error) (check.State, string) { return check.Unknown, check.UnknownLine(err) }
	var err error
	if o.Warning, err = check.ParseThreshold(warning); err != nil {
		return unknown(fmt.Errorf("--warning: %w", err))
	}
	if o.Critical, err = check.ParseThreshold(critical); err != nil {
		return unknown(fmt.Errorf("--critical: %w", err))
	}
	if o.Timeout, err = config.ParseDuration(timeout); err != nil || o.Timeout < time.Second {
		return unknown(fmt.Errorf("--timeout %q: write a second or more, such as 10s", timeout))
	}
	cfg, diags := config.Outline(g.config)
	if cfg == nil || diags.HasErrors() {
		return unknown(fmt.Errorf("the configuration can't be used: %w", diags))
	}
	if cfg, err = only(cfg, names); err != nil {
		return unknown(err)
	}
	r, err := check.Run(cmd.Context(), time.Now(), cfg, o)
	if err != nil {
		return unknown(err)
	}
	return r.State(), r.Line()
}

// only returns cfg with the certificates named, or with all where none is.
func only(cfg *config.Config, names []string) (*config.Config, error) {
	if len(names) == 0 {
		return cfg, nil
	}
	some := *cfg
	some.Certs = nil
	for _, name := range names {
		i := slices.IndexFunc(cfg.Certs, func(c renew.Cert) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no certificate %q is configured", name)
		}
		some.Certs = append(some.Certs, cfg.Certs[i])
	}
	return &some, nil
}
