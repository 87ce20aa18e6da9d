package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/status"
	"github.com/certvigil/certvigil/renew/store"
)

func doctorCommand(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor [NAME…]",
		Short: "Look for what would stop a renewal today, and say what to do",
		Long: `Look for what would stop a renewal today, and say what to do: names and their
addresses, port 80 or the webroot, CAA, the account and the CA's terms, the
clock, paths, disks, hooks and endpoints. Nothing is ordered and nothing is
changed.

Where an agent runs it is the one that looks, as the user and in the sandbox
that renewals run in; that takes root or the agent's user. Where none runs,
this process looks, as the user it runs as; but whether files may be given to
other owners is judged by what systemd says of certvigil.service.

Exit codes: 0 nothing would stop a renewal, 1 something would, 2 something would
and no valid certificate is held, 3 the configuration can't be used.`,
		RunE: func(cmd *cobra.Command, names []string) error {
			return doctor(cmd.Context(), g, names, asJSON, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// diagnosis is what doctor prints, and its JSON form: fields are added, never
// renamed.
type diagnosis struct {
	Running      bool      `json:"running"`                // the agent looked; else this process did
	Unit         bool      `json:"unit,omitempty"`         // owners and groups were judged by what the unit allows, not this process
	ConfigError  *string   `json:"config_error,omitempty"` // why the agent would not take what is on disk
	Certificates []patient `json:"certificates"`
}

type patient struct {
	Name   string      `json:"name"`
	Names  []string    `json:"names"`
	Health renew.Level `json:"health"` // of what was found; status has more
	agent.PreflightReport
	Copies []renew.StaleCopy `json:"stale_copies,omitempty"` // servers that go on with an older version
}

// together is how many certificates are looked at at once.
const together = 8

func doctor(ctx context.Context, g *globals, names []string, asJSON bool, out io.Writer) error {
	d, err := askAgent(ctx, g.running(), names)
	if errors.Is(err, status.ErrNotRunning) {
		d, err = examineHere(ctx, g, names)
	}
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		err = enc.Encode(d)
	} else {
		printDiagnosis(out, d)
	}
	if err != nil {
		return err
	}
	return health(d.worst())
}

// worst is the worst health of all; a configuration on disk that the agent would
// not take is worth attention too.
func (d diagnosis) worst() renew.Level {
	worst := renew.OK
	if d.ConfigError != nil {
		worst = renew.Attention
	}
	for _, p := range d.Certificates {
		worst = worst.Worse(p.Health)
	}
	return worst
}

// askAgent has the running agent look at certificates of those names, at all
// without any. The configuration is the one that it runs with: what is on disk
// may have errors, or name credentials that only the service has.
func askAgent(ctx context.Context, c *status.Client, names []string) (diagnosis, error) {
	r, err := c.Report(ctx)
	if err != nil {
		return diagnosis{}, err
	}
	var certs []renew.Cert
	for _, kept := range r.Certificates {
		certs = append(certs, renew.Cert{Name: kept.Name, Names: kept.Names})
	}
	if certs, err = chosen(certs, names); err != nil {
		return diagnosis{}, err
	}
	d, err := examineAll(certs, func(cert renew.Cert) (agent.CertReport, error) {
		r, err := c.Preflight(ctx, cert.Name)
		if err != nil {
			return r, fmt.Errorf("looking at %s: %w", cert.Name, err)
		}
		return r, nil
	})
	d.Running, d.ConfigError = true, r.Config.Error
	return d, err
}

// chosen are the certificates of those names, all without any.
func chosen(certs []renew.Cert, names []string) ([]renew.Cert, error) {
	if err := known(&config.Config{Certs: certs}, names); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(certs), func(c renew.Cert) bool {
		return len(names) > 0 && !slices.Contains(names, c.Name)
	}), nil
}

// examineHere looks without an agent.
func examineHere(ctx context.Context, g *globals, names []string) (diagnosis, error) {
	cfg, err := g.load()
	if err != nil {
		return diagnosis{}, err
	}
	certs, err := chosen(cfg.Certs, names)
	if err == nil {
		err = conflicts(cfg)
	}
	if err != nil {
		return diagnosis{}, &exit{exitUnknown, err}
	}
	var st agent.Store = emptyStore{}
	var books issue.Books = emptyBooks{}
	s, err := store.OpenReadOnly(cfg.Agent.StateDir)
	switch {
	case err == nil:
		defer s.Close()
		st, books = s, s
	case !errors.Is(err, os.ErrNotExist):
		return diagnosis{}, err
	}
	e, err := newExaminer(cfg, books, slog.New(slog.DiscardHandler))
	if err != nil {
		return diagnosis{}, &exit{exitUnknown, err}
	}
	defer e.close()
	powers, unit := unitPowers(ctx)
	if unit {
		e.As(powers)
	}
	d, err := examineAll(certs, func(cert renew.Cert) (agent.CertReport, error) { return examine(ctx, e, st, cfg, cert) })
	d.Unit = unit
	return d, err
}

// ownAge is how old the CA's word may be within one run.
const ownAge = time.Minute

func examine(ctx context.Context, e *examiner, st agent.Store, cfg *config.Config, c renew.Cert) (agent.CertReport, error) {
	now := time.Now()
	f, unread := agent.Gather(now, st, cfg, c)
	found := e.Check(ctx, c, f, ownAge)
	if ctx.Err() != nil {
		return agent.CertReport{}, context.Cause(ctx)
	}
	if unread != nil {
		found = append([]renew.Obstacle{{Reason: renew.Unreadable, Subject: cfg.Agent.StateDir, Detail: unread.Error(),
			Remedy: "Run it as root or as the agent's user."}}, found...)
	}
	f.Journal.Preflight = f.Journal.Preflight.Next(now, &c, found)
	return agent.Describe(now, c, f), nil
}

// examineAll looks at several at once, and keeps their order.
func examineAll(certs []renew.Cert, look func(renew.Cert) (agent.CertReport, error)) (diagnosis, error) {
	d := diagnosis{Certificates: make([]patient, len(certs))}
	var looks errgroup.Group
	looks.SetLimit(together)
	for i, c := range certs {
		looks.Go(func() error {
			r, err := look(c)
			p := patient{Name: c.Name, Names: c.Names, Health: renew.OK, PreflightReport: r.Preflight, Copies: r.Copies}
			for _, o := range p.Obstacles {
				p.Health = p.Health.Worse(o.Level)
			}
			for _, stale := range p.Copies {
				p.Health = p.Health.Worse(stale.Level)
			}
			d.Certificates[i] = p
			return err
		})
	}
	return d, looks.Wait()
}

func printDiagnosis(w io.Writer, d diagnosis) {
	if !d.Running {
		fmt.Fprintf(w, "No agent is running: this process looked, as user %d.\n", os.Geteuid())
		if d.Unit {
			fmt.Fprintf(w, "To whom files may be given was judged by what %s allows.\n", unitName)
		}
		fmt.Fprintln(w)
	}
	if d.ConfigError != nil {
		fmt.Fprintf(w, "The configuration on disk was refused; the one before is in force:\n%s\n\n", *d.ConfigError)
	}
	if len(d.Certificates) == 0 {
		fmt.Fprintln(w, "No certificate is configured.")
	}
	for i, p := range d.Certificates {
		if i > 0 && (len(p.Obstacles) > 0 || len(d.Certificates[i-1].Obstacles) > 0) {
			fmt.Fprintln(w)
		}
		names := strings.Join(p.Names[:min(len(p.Names), 4)], ", ")
		if more := len(p.Names) - 4; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		if len(p.Obstacles)+len(p.Copies) == 0 {
			fmt.Fprintf(w, "%s (%s): nothing would stop a renewal\n", p.Name, names)
			continue
		}
		fmt.Fprintf(w, "%s (%s): %s\n", p.Name, names, p.Health)
		for _, o := range p.Obstacles {
			about := o.Subject
			if o.Issuer != "" {
				about += ", for " + o.Issuer
			}
			fmt.Fprintf(w, "  %s: %s\n    %s\n    → %s\n", o.Reason, about, o.Detail, o.Remedy)
		}
		for _, stale := range p.Copies {
			fmt.Fprintf(w, "  %s: %s\n    → %s\n", renew.IsStaleCopy, stale, stale.Remedy())
		}
	}
}
