package crl

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"sync"
	"time"
)

// Query asks for one certificate.
type Query struct {
	URL    string            // its distribution point
	Issuer *x509.Certificate // the CA certificate that it is signed with
	Serial *big.Int
	MaxAge time.Duration // of a list that is kept; at most an hour
}

// Answer is what a list says.
type Answer struct {
	Revoked    bool
	At         time.Time // when it was revoked
	Reason     int       // RFC 5280, section 5.3.1; 0 where the list gives none
	ThisUpdate time.Time
	NextUpdate time.Time // zero where the CA names none
}

// What is kept.
const (
	maxKept     = 256       // lists
	maxEntries  = 1_000_000 // in all of them: 24 MB
	maxFetching = 4         // at once: 64 MiB
	maxAge      = time.Hour
	failureAge  = time.Minute // a server that is down is asked again after
	clockSlack  = 5 * time.Minute
)

// Lists fetches revocation lists and keeps some for a while. Its methods may be
// called concurrently: who asks for a list that is being fetched waits for it.
type Lists struct {
	client *http.Client
	agent  string
	slots  chan struct{} // one for each list that is in memory as a whole

	mu   sync.Mutex // guards kept
	kept map[key]*kept
}

type key struct {
	url    string
	issuer [32]byte // SHA-256 of its subject and public key
}

// kept is a list, or why there is none, from when done is closed.
type kept struct {
	done    chan struct{}
	fetched time.Time
	list    *list
	err     error
}

// New returns Lists that call themselves by that user agent.
func New(userAgent string) *Lists {
	return &Lists{client: newClient(), agent: userAgent, slots: make(chan struct{}, maxFetching), kept: map[key]*kept{}}
}

// Look tells whether a certificate is revoked. A list that is out of date, or
// that can't be trusted, is an error; but who stands on an old one is revoked
// all the same.
func (l *Lists) Look(ctx context.Context, now time.Time, q Query) (Answer, error) {
	found, err := l.list(ctx, now, q)
	if err != nil {
		return Answer{}, fmt.Errorf("looking at the revocation list at %s: %w", q.URL, err)
	}
	a := Answer{ThisUpdate: found.thisUpdate, NextUpdate: found.nextUpdate}
	if e, ok := found.find(q.Serial); ok {
		a.Revoked, a.At, a.Reason = true, time.Unix(e.at, 0).UTC(), int(e.reason)
		return a, nil
	}
	switch {
	case found.thisUpdate.After(now.Add(clockSlack)):
		return a, fmt.Errorf("the revocation list at %s is of %s, which is to come", q.URL, found.thisUpdate.UTC().Format(time.RFC3339))
	case !found.nextUpdate.IsZero() && found.nextUpdate.Before(now):
		return a, fmt.Errorf("the revocation list at %s was to be renewed by %s", q.URL, found.nextUpdate.UTC().Format(time.RFC3339))
	}
	return a, nil
}

// list returns a list that is fresh enough, and fetches it where there is none.
func (l *Lists) list(ctx context.Context, now time.Time, q Query) (*list, error) {
	k := key{q.URL, sha256.Sum256(append(append([]byte(nil), q.Issuer.RawSubject...), q.Issuer.RawSubjectPublicKeyInfo...))}
	for {
		l.mu.Lock()
		have := l.kept[k]
		if have == nil || have.stale(now, min(q.MaxAge, maxAge)) {
			have = &kept{done: make(chan struct{}), fetched: now}
			l.kept[k] = have
			l.mu.Unlock()
			l.fill(ctx, have, q)
		} else {
			l.mu.Unlock()
		}
		select {
		case <-have.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if have.err != nil && ctx.Err() == nil && have.abandoned() {
			l.drop(k, have)
			continue // who fetched it was stopped, and this one was not
		}
		l.trim(k)
		return have.list, have.err
	}
}

// stale tells whether what is kept is too old; what is being fetched is not.
func (k *kept) stale(now time.Time, age time.Duration) bool {
	select {
	case <-k.done:
	default:
		return false
	}
	if k.err != nil {
		age = min(age, failureAge)
	}
	// A distance: a clock that was ahead must not keep a list for ever.
	return now.Sub(k.fetched).Abs() >= age
}

// fill fetches a list.
func (l *Lists) fill(ctx context.Context, k *kept, q Query) {
	defer close(k.done)
	began := time.Now()
	// A server that is slow to fail is left alone from then on, or everybody who
	// asks would wait for it in turn.
	defer func() {
		if k.err != nil {
			k.fetched = k.fetched.Add(time.Since(began))
		}
	}()
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-ctx.Done():
		k.err = context.Cause(ctx)
		return
	}
	body, err := fetch(ctx, l.client, q.URL, l.agent)
	if err == nil {
		k.list, err = parse(body, q.URL, q.Issuer)
	}
	if k.err = err; ctx.Err() != nil && err != nil {
		k.err = context.Cause(ctx)
	}
}
