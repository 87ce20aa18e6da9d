package preflight

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/issue"
)

// CA is what a look needs of the issuing client.
type CA interface {
	Standing(ctx context.Context, issuer string, age time.Duration) (issue.Standing, error)
	Publish(c renew.Cert, token, answer string) (withdraw func(), err error)
}

// Hooks tells what would keep a hook from being run.
type Hooks interface {
	Ready(ctx context.Context, h hooks.Hook) error
}

// Checker looks for obstacles under one configuration. Its methods may be called
// concurrently.
type Checker struct {
	config    *config.Config
	ca        CA
	hooks     Hooks
	log       *slog.Logger
	httpsPort uint16 // where a redirect to https leads; 443
	powers    *install.Powers
}

// New returns a Checker. It neither uses the network nor waits.
func New(cfg *config.Config, ca CA, h Hooks, log *slog.Logger) *Checker {
	k := &Checker{config: cfg, ca: ca, hooks: h, log: log, httpsPort: 443}
	p, err := install.OwnPowers()
	if err != nil {
		log.Debug("nobody knows to whom files may be given", "err", err)
		return k
	}
	k.powers = &p
	return k
}

// As has outputs judged by what another process may do: the one that is to write
// them. It is not for while a look is under way.
func (k *Checker) As(p install.Powers) { k.powers = &p }

// Limits of one look.
const (
	wholeTimeout = 2 * time.Minute
	dialTimeout  = 5 * time.Second
	fetchTimeout = 10 * time.Second // of one answer, connecting and redirects included; Boulder's own
	parallel     = 16               // names at once
	maxObstacles = 100              // that are told of; the journal keeps them
)

// Check looks for what would stop a renewal of c, of which f is known. What the
// CA said at most age ago is good enough. What could not be looked at before ctx
// ended, or within two minutes, is not told of.
func (k *Checker) Check(ctx context.Context, c renew.Cert, f renew.Facts, age time.Duration) []renew.Obstacle {
	ctx, cancel := context.WithTimeout(ctx, wholeTimeout)
	defer cancel()
	l := &look{Checker: k, cert: c, facts: f, age: age, dns: newResolver(k.config.Agent.Resolver),
		asked: map[string]func() issue.Standing{}}
	found := merged(l.all(ctx, []part{l.paths, l.runHooks, l.issuers, l.names, l.endpoints}))
	return found[:min(len(found), maxObstacles)]
}

// merged makes one of obstacles that are about the same.
func merged(found []renew.Obstacle) []renew.Obstacle {
	var all []renew.Obstacle
	for _, o := range found {
		i := slices.IndexFunc(all, func(a renew.Obstacle) bool {
			return a.Reason == o.Reason && a.Subject == o.Subject && a.Issuer == o.Issuer
		})
		switch {
		case i < 0:
			all = append(all, o)
		case !strings.Contains(all[i].Detail, o.Detail):
			all[i].Detail += "; " + o.Detail
		}
	}
	return all
}

// look is one call of Check.
type look struct {
	*Checker
	cert  renew.Cert
	facts renew.Facts
	age   time.Duration
	dns   *resolver

	mu    sync.Mutex // guards asked
	asked map[string]func() issue.Standing
}

// part is one kind of thing to look at.
type part func(ctx context.Context) []renew.Obstacle

// all looks at every part at once, and tells of them in order. When ctx ends it
// waits for none any more: a file system that does not answer must not hold up
// what was found elsewhere.
func (l *look) all(ctx context.Context, parts []part) []renew.Obstacle {
	type result struct {
		part  int
		found []renew.Obstacle
	}
	results := make(chan result, len(parts)) // nobody may be waiting any more
	slots := make(chan struct{}, parallel)
	for i, p := range parts {
		go func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			results <- result{i, l.one(ctx, p)}
		}()
	}
	found := make([][]renew.Obstacle, len(parts))
	for range parts {
		select {
		case r := <-results:
			found[r.part] = r.found
		case <-ctx.Done():
			for len(results) > 0 {
				r := <-results
				found[r.part] = r.found
			}
			return slices.Concat(found...)
		}
	}
	return slices.Concat(found...)
}

// one looks at one part. What panics is logged, and found nothing: a look must
// not end the agent.
func (l *look) one(ctx context.Context, p part) (found []renew.Obstacle) {
	defer func() {
		if r := recover(); r != nil {
			l.log.Error("preflight panicked", "cert", l.cert.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
		}
	}()
	return p(ctx)
}

// standing asks each CA once a look.
func (l *look) standing(ctx context.Context, issuer string) issue.Standing {
	l.mu.Lock()
	ask, ok := l.asked[issuer]
	if !ok {
		ask = sync.OnceValue(func() issue.Standing {
			s, err := l.ca.Standing(ctx, issuer, l.age)
			if err != nil {
				s = issue.Standing{Err: err}
			}
			return s
		})
		l.asked[issuer] = ask
	}
	l.mu.Unlock()
	return ask()
}

// solver is what answers the CA for the certificate's names.
func (l *look) solver() config.Solver { return l.config.Solvers[l.cert.Solver] }
