package main

import (
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew/config"
)

func validateCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration; nothing is done",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, diags := config.Load(g.config)
			if diags.Len() > 0 {
				fmt.Fprint(cmd.ErrOrStderr(), diags.String())
			}
			if cfg == nil || diags.HasErrors() {
				return &exit{code: exitUnknown}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The configuration is good: %d certificates, %d issuers, %d hooks.\n",
				len(cfg.Certs), len(cfg.Issuers), len(cfg.Hooks))
			return nil
		},
	}
}

func fmtCommand() *cobra.Command {
	var check bool
	cmd := &cobra.Command{
		Use:   "fmt FILE…",
		Short: "Rewrite configuration files in the standard layout; - reads standard input",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			if len(files) == 1 && files[0] == "-" {
				src, err := io.ReadAll(cmd.InOrStdin())
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(config.Format(src))
				return err
			}
			untidy := false
			for _, f := range files {
				changed, _, err := config.FormatFile(f, !check)
				if err != nil {
					return &exit{exitUnknown, err}
				}
				if changed {
					untidy = true
					fmt.Fprintln(cmd.OutOrStdout(), f)
				}
			}
			if check && untidy {
				return &exit{code: exitAttention}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "change nothing; exit 1 where a file would change")
	return cmd
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			fmt.Fprintf(cmd.OutOrStdout(), "certvigil %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		},
	}
}
