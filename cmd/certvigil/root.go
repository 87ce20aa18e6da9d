package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/store"
)

// globals are the flags that every subcommand knows.
type globals struct {
	config    string
	socket    string
	logLevel  string
	logFormat string
	readAt    time.Time // when the configuration began to be read

	disk store.Around // stands around what is written to disk: nil, but in a test
}

// rootCommand returns the program; disk is nil, but in a test.
func rootCommand(disk store.Around) *cobra.Command {
	g := &globals{disk: disk}
	root := &cobra.Command{
		Use:           "certvigil",
		Short:         "Keep every TLS certificate on this host from lapsing",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&g.config, "config", "", "configuration `file` or directory (default /etc/certvigil/certvigil.hcl, then conf.d/*.hcl beside it)")
	flags.StringVar(&g.socket, "socket", "", "control `socket` of the running agent (default: the configuration's, /run/certvigil/control.sock)")
	flags.StringVar(&g.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&g.logFormat, "log-format", "text", "text or json")
	root.AddCommand(
		runCommand(g), applyCommand(g), planCommand(g), statusCommand(g), renewCommand(g),
		doctorCommand(g), checkCommand(g), simulateCommand(g), probeCommand(), validateCommand(g), fmtCommand(), versionCommand(),
	)
	return root
}

// logger writes to w as the flags say.
func (g *globals) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(g.logLevel)); err != nil {
		return nil, &exit{exitUnknown, fmt.Errorf("--log-level %q: write debug, info, warn or error", g.logLevel)}
	}
	opts := &slog.HandlerOptions{Level: level}
	switch g.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	default:
		return nil, &exit{exitUnknown, fmt.Errorf("--log-format %q: write text or json", g.logFormat)}
	}
}

// load reads the configuration; warnings go to standard error.
func (g *globals) load() (*config.Config, error) {
	g.readAt = time.Now()
	cfg, diags := config.Load(g.config)
	if cfg == nil || diags.HasErrors() {
		return nil, &exit{exitUnknown, fmt.Errorf("the configuration can't be used:\n\n%s", strings.TrimRight(diags.String(), "\n"))}
	}
	if diags.Len() > 0 {
		fmt.Fprint(os.Stderr, diags.String())
	}
	return cfg, nil
}

// controlSocket is where an agent of this configuration listens.
func (g *globals) controlSocket(cfg *config.Config) string {
	return cmp.Or(g.socket, cfg.Agent.Socket)
}

// running is a client of the agent, if one runs. The configuration on disk may
// be refused while the agent runs on with the one before, so only where it
// listens is looked up in it.
func (g *globals) running() *status.Client {
	if g.socket != "" {
		return status.NewClient(g.socket)
	}
	return status.NewClient(config.SocketOf(g.config))
}
