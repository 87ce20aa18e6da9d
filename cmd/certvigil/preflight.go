package main

import (
	"log/slog"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue"
	"github.com/certvigil/certvigil/renew/preflight"
	"github.com/certvigil/certvigil/renew/store"
)

// checkedIssuer is what gets certificates, and what looks for obstacles on its
// way, under one configuration.
type checkedIssuer struct {
	*issue.Client
	*preflight.Checker
}

func (s *service) checked(cfg *config.Config, issuer *issue.Client) agent.Issuer {
	return checkedIssuer{issuer, preflight.New(cfg, issuer, s.runner, s.log)}
}

// examiner is a Checker without an agent. It reads books, and answers challenges
// by itself.
type examiner struct {
	*preflight.Checker
	issuer    *issue.Client
	responder *issue.Responder
	runner    *hooks.Runner
}

func newExaminer(cfg *config.Config, books issue.Books, log *slog.Logger) (*examiner, error) {
	e := &examiner{responder: issue.NewResponder(nil, log), runner: hooks.New(log)}
	var err error
	e.issuer, err = issue.New(issue.Options{
		Books: books, Issuers: cfg.Issuers, Solvers: cfg.Solvers, Responder: e.responder,
		Log: log, UserAgent: "certvigil/" + version,
	})
	if err != nil {
		e.runner.Close()
		return nil, err
	}
	e.Checker = preflight.New(cfg, e.issuer, e.runner, log)
	return e, nil
}

func (e *examiner) close() {
	e.issuer.Close()
	e.runner.Close()
	_ = e.responder.Close() // its listeners were withdrawn before
}

// emptyBooks are those of a state directory that does not exist yet. A preflight
// asks them for accounts, and for nothing else.
type emptyBooks struct{ issue.Books }

func (emptyBooks) Account(string, string) (store.Account, bool, error) {
	return store.Account{}, false, nil
}
