package faultproxy

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Limits counts the rate limits of Let's Encrypt (letsencrypt.org/docs/rate-limits,
// as of August 2026) on what the CA granted. Nothing is refused: a limit that is
// passed is reported.
type Limits struct {
	// Scale is how many seconds of the limits' time pass in a real one; 0 means 1.
	Scale float64
	// Report is given one line for each limit that is passed, such as by
	// testing.T.Error; it may be nil.
	Report func(args ...any)
}

const day = 24 * time.Hour

// The buckets: so many in a period, refilled one by one.
var (
	ordersPerAccount = bucket{"orders per account", 300, 3 * time.Hour}
	certsPerDomain   = bucket{"certificates per registered domain", 50, 7 * day}
	certsPerSet      = bucket{"certificates per exact set of names", 5, 7 * day}
	failedPerName    = bucket{"failed authorizations per account and name", 5, time.Hour}
)

// An account and name that fail as often in a row are paused, and only a person
// can take that back.
const pausedAfter = 1152

// bucket is a limit: burst at once, and burst in each period.
type bucket struct {
	name   string
	burst  int
	period time.Duration
}

// full is when a bucket of which so much is used will be full again: all that is
// to be kept of it (the generic cell rate algorithm, as Boulder does it).
func (b bucket) take(full, now time.Time) (next time.Time, passed bool) {
	if full.Before(now) {
		full = now
	}
	next = full.Add(b.period / time.Duration(b.burst))
	return next, next.Sub(now) > b.period
}

// ledger is the count of every limit.
type ledger struct {
	limits *Limits
	start  time.Time

	mu       sync.Mutex
	full     map[string]time.Time // by limit and key
	orders   map[string]*placed   // by the order's path
	replaced map[string]bool      // CertIDs that an order named
	sets     map[string]bool      // that a certificate was issued for before
	failed   map[string]bool      // paths of authorizations
	inARow   map[string]int       // failures by account and name
	passed   []string
}

// placed is an order, and what it is exempt from.
type placed struct {
	names   []string
	ari     bool // from everything: it names the certificate that it replaces
	renewal bool // from the limits per account and domain: the set is not new
	issued  bool
}

func newLedger(l *Limits) *ledger {
	return &ledger{
		limits: l, start: time.Now(),
		full: make(map[string]time.Time), orders: make(map[string]*placed), replaced: make(map[string]bool),
		sets: make(map[string]bool), failed: make(map[string]bool), inARow: make(map[string]int),
	}
}

// now is the time of the limits.
func (l *ledger) now() time.Time {
	scale := l.limits.Scale
	if scale == 0 {
		scale = 1
	}
	return l.start.Add(time.Duration(float64(time.Since(l.start)) * scale))
}

// note counts what the CA answered.
func (l *ledger) note(c *call, ans *answer) {
	if l.limits == nil || ans.status >= 300 {
		return
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case c.Kind == NewOrder && ans.status == http.StatusCreated:
		l.order(now, c.Account, pathOf(ans.header.Get("Location")), c.asked.names(), c.asked.Replaces,
			c.p.atlas.issued(c.asked.Replaces))
	case c.Kind == Finalize:
		l.issue(now, c.order)
	case c.Kind == Authz:
		var authz resource
		_ = json.Unmarshal(ans.body, &authz)
		l.decide(now, c.Account, c.object, c.order, authz)
	}
}

// order counts an order. former are the names of the certificate that it names as
// replaced: nil where there is no such certificate.
func (l *ledger) order(now time.Time, account, path string, names []string, replaces string, former []string) {
	shares := slices.ContainsFunc(names, func(n string) bool { return slices.Contains(former, n) })
	o := &placed{names: names, ari: shares && !l.replaced[replaces], renewal: l.sets[setOf(names)]}
	if o.ari {
		l.replaced[replaces] = true
	}
	l.orders[path] = o
	if !o.ari && !o.renewal {
		l.spend(now, ordersPerAccount, account)
	}
}

// issue counts the certificate of an order.
func (l *ledger) issue(now time.Time, path string) {
	o := l.orders[path]
	if o == nil || o.issued {
		return
	}
	o.issued = true
	l.sets[setOf(o.names)] = true
	if o.ari {
		return
	}
	l.spend(now, certsPerSet, setOf(o.names))
	if o.renewal {
		return
	}
	var domains []string
	for _, name := range o.names {
		if domain := registered(name); !slices.Contains(domains, domain) {
			domains = append(domains, domain)
			l.spend(now, certsPerDomain, domain)
		}
	}
}

// decide counts what became of an authorization, once.
func (l *ledger) decide(now time.Time, account, path, order string, authz resource) {
	key := account + " " + authz.Identifier.Value
	switch {
	case authz.Status == "valid":
		delete(l.inARow, key)
	case authz.Status == "invalid" && !l.failed[path]:
		l.failed[path] = true
		if o := l.orders[order]; o == nil || !o.ari {
			l.spend(now, failedPerName, key)
		}
		if l.inARow[key]++; l.inARow[key] == pausedAfter {
			l.report(fmt.Sprintf("paused: %d failures in a row of %s", pausedAfter, key))
		}
	}
}

func (l *ledger) spend(now time.Time, b bucket, key string) {
	next, passed := b.take(l.full[b.name+" "+key], now)
	if passed {
		l.report(fmt.Sprintf("more than %d %s in %s: %s", b.burst, b.name, b.period, key))
		return // the CA would have refused it, so it costs nothing
	}
	l.full[b.name+" "+key] = next
}

func (l *ledger) report(what string) {
	l.passed = append(l.passed, what)
	if l.limits.Report != nil {
		l.limits.Report("rate limit passed: " + what)
	}
}

// Passed lists the limits that were passed.
func (p *Proxy) Passed() []string {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	return slices.Clone(p.limits.passed)
}

func setOf(names []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ",")
}

// registered is the domain that somebody registered; an address is its own.
func registered(name string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(strings.TrimPrefix(name, "*."))
	if err != nil {
		return name
	}
	return domain
}
