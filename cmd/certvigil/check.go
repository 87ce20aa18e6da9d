package main

import (
	"errors"
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
			if err := conflicts(cfg); err != nil {
				return &exit{exitUnknown, err}
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The configuration is good: %d certificates, %d issuers, %d hooks.\n",
				len(cfg.Certs), len(cfg.Issuers), len(cfg.Hooks))
			return nil
		},
	}
}

func fmtCommand() *cobra.Command {
	var check, diff bool
	cmd := &cobra.Command{
		Use:   "fmt FILE…",
		Short: "Rewrite configuration files in the standard layout; - reads standard input",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			untidy := false
			for _, f := range files {
				text, changes, err := format(cmd.InOrStdin(), f, !check)
				if diags, ok := errors.AsType[config.Diagnostics](err); ok {
					fmt.Fprint(cmd.ErrOrStderr(), diags.String())
					return &exit{code: exitUnknown}
				}
				if err != nil {
					return &exit{exitUnknown, err}
				}
				untidy = untidy || changes != ""
				switch {
				case diff:
					fmt.Fprint(cmd.OutOrStdout(), changes)
				case f == stdin && !check:
					fmt.Fprint(cmd.OutOrStdout(), text)
				case changes != "":
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
	cmd.Flags().BoolVar(&diff, "diff", false, "print what changes in place of the file's name, or of the text for -")
	return cmd
}

// stdin is the name of standard input on the command line.
const stdin = "-"

// format returns the formatted text of standard input, or formats a file, and
// returns what that changes.
func format(in io.Reader, file string, write bool) (text, changes string, err error) {
	if file != stdin {
		_, changes, err = config.FormatFile(file, write)
		return "", changes, err
	}
	src, err := io.ReadAll(in)
	if err != nil {
		return "", "", fmt.Errorf("reading standard input: %w", err)
	}
	formatted, changes, err := config.Format("standard input", src)
	return string(formatted), changes, err
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
