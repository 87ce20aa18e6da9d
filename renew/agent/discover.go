package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/discover"
)

// Scout searches this host for the servers that show a version of a certificate.
type Scout interface {
	Search(ctx context.Context, q discover.Query) renew.Search
}

// search is one search for the servers of a certificate. Like a preflight it goes
// on beside the steps.
type search struct {
	cert  renew.Cert // as it was searched for
	began time.Time
	found renew.Search
	ended bool // the agent is stopping: it found nothing
}

const (
	mostSearches   = 4
	searchDeadline = 30 * time.Second
	searchShortest = 5 * time.Second
	sharedPortion  = 12 // of the interval: how old a list of listeners may be
)

// searchFor has the servers of e searched for, now or as soon as there is a place.
// a.mu is held.
func (a *Agent) searchFor(ctx context.Context, e *entry) {
	a.hunts.add(e)
	a.startSearches(ctx)
}

// startSearches fills the places. a.mu is held.
func (a *Agent) startSearches(ctx context.Context) {
	for e := a.begin(ctx, &a.hunts); e != nil; e = a.begin(ctx, &a.hunts) {
		s := search{cert: e.cert, began: a.now()}
		f := e.facts
		a.parts.Drive.Start(renew.Discover, func() {
			limit := min(searchDeadline, max(searchShortest, renew.SearchEvery(&f)))
			bounded, cancel := a.parts.Drive.Within(ctx, limit)
			defer cancel()
			s.found = a.parts.search(bounded, s.cert, &f)
			s.ended = ctx.Err() != nil
		}, func() {
			a.done <- outcome{entry: e, search: &s}
		})
	}
}

// search asks the scout, and keeps a panic to the one certificate.
func (p Parts) search(ctx context.Context, c renew.Cert, f *renew.Facts) (found renew.Search) {
	if p.Scout == nil {
		return renew.Search{Blind: []string{"nobody searches"}}
	}
	defer func() {
		if r := recover(); r != nil {
			p.Log.Error("search panicked", "cert", c.Name, "panic", fmt.Sprint(r), "stack", string(debug.Stack()))
			found = renew.Search{Cut: true, Blind: []string{fmt.Sprintf("the search panicked: %v", r)}}
		}
	}()
	q := discover.Query{Cert: c, Held: f.Held, Age: renew.SearchEvery(f) / sharedPortion}
	var err error
	if q.Versions, err = p.Store.Versions(c.Name); err != nil {
		return renew.Search{Cut: true, Blind: []string{err.Error()}}
	}
	b, err := p.Store.Read(c.Name, f.Held.N)
	if err != nil {
		return renew.Search{Cut: true, Blind: []string{err.Error()}}
	}
	q.Leaf = b.Cert
	live := p.Store.LiveDir(c.Name)
	q.Files = append(q.Files, filepath.Join(live, "fullchain.pem"), filepath.Join(live, "cert.pem"))
	for _, o := range c.Outputs {
		q.Files = append(q.Files, o.Paths()...)
	}
	return p.Scout.Search(ctx, q)
}

// searched takes in what a search found. a.mu is held.
func (a *Agent) searched(ctx context.Context, now time.Time, e *entry, s *search) {
	a.hunts.end(e)
	defer a.startSearches(ctx)
	if s.ended || e.gone || a.entries[s.cert.Name] != e {
		return
	}
	e.searched = true
	a.searches[s.cert.Name] = *s
	a.wakeUp(e, now)
}

// enter puts what a search found into a journal. Where other places are to be
// proved than before, the failures of the proofs were those of the ones before.
func (s *search) enter(j renew.Journal, f *renew.Facts) renew.Journal {
	was := renew.Endpoints(&s.cert, f)
	j.Found = j.Found.Next(s.began, &s.cert, f, s.found)
	after := *f
	after.Journal = j
	if !reflect.DeepEqual(was, renew.Endpoints(&s.cert, &after)) {
		j.Verify = renew.Trouble{}
	}
	return j
}

const endpointGone = "endpoint is gone"

// tellFound logs what a search found that was not known, and what is gone.
func tellFound(log *slog.Logger, was, is renew.Found) {
	tell := func(level slog.Level, text string, among, but renew.Found, copies bool) {
		told := map[string]bool{}
		for _, p := range but.Places { // an endpoint that became a copy is not gone
			told[p.Address] = told[p.Address] || p.Copy == copies || text == endpointGone
		}
		for _, p := range among.Places {
			if p.Copy == copies && !told[p.Address] {
				told[p.Address] = true
				log.Log(context.Background(), level, text, "endpoint", p.Address, "process", p.Process, "fingerprint", p.Fingerprint)
			}
		}
	}
	tell(slog.LevelInfo, "endpoint found", is, was, false)
	tell(slog.LevelWarn, "stale copy found", is, was, true)
	tell(slog.LevelWarn, endpointGone, was, is, false)
	tell(slog.LevelInfo, "stale copy is gone", was, is, true)
	if len(is.Blind) > 0 && !slices.Equal(was.Blind, is.Blind) {
		log.Warn("not all servers can be looked at", "reason", renew.DiscoveryBlind, "detail", strings.Join(is.Blind, "; "))
	}
}
