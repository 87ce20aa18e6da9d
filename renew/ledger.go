package renew

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"
)

// Ledger is what one account has spent of its CA's limits lately. Its JSON form
// is ledger.json of the state directory: fields are added, never renamed.
type Ledger struct {
	Entries []Entry `json:"entries,omitempty"` // oldest first
}

// Entry is one thing spent.
type Entry struct {
	At   time.Time `json:"at"`
	What Spending  `json:"what"`
	Of   string    `json:"of,omitempty"`  // what the limit is counted by: a set of names, a domain, a name
	Ref  string    `json:"ref,omitempty"` // by which it is taken back; one Ref is spent once
}

// Spending is a kind of what limits count.
type Spending string

// What CAs count.
const (
	SpentOrder  Spending = "order"                // by nothing: an account's
	SpentDomain Spending = "certificate-domain"   // by registered domain
	SpentSet    Spending = "certificate-set"      // by Cert.Set
	SpentAuthz  Spending = "failed-authorization" // by name
)

// Limit is how many may be spent within a time; the zero Limit is none.
type Limit struct {
	Most   int
	Within time.Duration
	Said   string // the limit in the CA's words, for a person
}

// Limits are what one CA allows an account.
type Limits struct {
	Orders   Limit // new orders
	Domain   Limit // certificates for one registered domain
	Set      Limit // certificates for one exact set of names
	Failures Limit // failed authorizations of one name
}

// No more than this part of a published limit is spent: somebody else may hold
// an account, or a certificate for the same domain, too.
const publishedShare = 0.8

// published is the part of a published limit that is spent at most.
func published(most int, within time.Duration, what string) Limit {
	return Limit{
		Most: max(1, int(publishedShare*float64(most))), Within: within,
		Said: fmt.Sprintf("the CA's limit of %d %s", most, what),
	}
}

// PublishedLimits returns the limits of the CA at an ACME directory's URL; none
// where it publishes none. (https://letsencrypt.org/docs/rate-limits/, as of
// November 2026.)
func PublishedLimits(directory string) Limits {
	if directory == "https://acme-v02.api.letsencrypt.org/directory" {
		return letsEncrypt
	}
	return Limits{}
}

var letsEncrypt = Limits{
	Orders:   published(300, 3*time.Hour, "orders of an account in 3 hours"),
	Domain:   published(50, week, "certificates for one registered domain in 7 days"),
	Set:      published(5, week, "certificates for one set of names in 7 days"),
	Failures: published(5, time.Hour, "failed validations of a name in an hour"),
}

const week = 7 * 24 * time.Hour

// Whatever the CA, a name that it can't validate is not put before it for ever.
// In the last tenth of the slack it may be more: a lapse costs more.
const (
	failuresDaily   = 8
	failuresLate    = 24
	latePortion     = 10
	failuresWithin  = 24 * time.Hour
	failuresPortion = 20 // of the lifetime, where that is shorter
)

// FailureLimit is how often a name of c may fail to be validated.
func FailureLimit(now time.Time, c *Cert, held Version) Limit {
	l := Limit{Most: failuresDaily, Within: failuresWithin, Said: "certvigil's own limit of failed validations of a name"}
	if held.N > 0 {
		l.Within = min(l.Within, max(shortest, held.Lifetime()/failuresPortion))
		if left := held.End().Sub(now); left < Slack(c, &Facts{Held: held})/latePortion {
			l.Most = failuresLate
		}
	}
	return l
}

// Claim is one thing that is about to be spent.
type Claim struct {
	What   Spending
	Of     string
	Limits []Limit // every one of them holds
}

// Overspent is the error of a claim for which there is no room.
type Overspent struct {
	Claim Claim
	Limit Limit
	Until time.Time // there is room again
}

func (o *Overspent) Error() string {
	of := ""
	if o.Claim.What == SpentDomain || o.Claim.What == SpentAuthz {
		of = ", " + o.Claim.Of
	}
	return fmt.Sprintf("%s%s: %d are spent, and no more before %s", o.Limit.Said, of, o.Limit.Most, o.Until.UTC().Format(time.RFC3339))
}

// Room tells whether there is room for all of the claims; the error is the
// [*Overspent] that waits longest.
func (l Ledger) Room(now time.Time, claims ...Claim) error {
	var worst *Overspent
	for _, c := range claims {
		for _, limit := range c.Limits {
			until := l.until(now, c, limit)
			if until.After(now) && (worst == nil || until.After(worst.Until)) {
				worst = &Overspent{c, limit, until}
			}
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// until returns when there is room for c under limit. What is dated ahead of the
// clock was noted while that was wrong, and is not believed.
func (l Ledger) until(now time.Time, c Claim, limit Limit) time.Time {
	if limit.Most <= 0 {
		return time.Time{}
	}
	since, ahead, spent := now.Add(-limit.Within), now.Add(clockSlip), 0
	for i := len(l.Entries) - 1; i >= 0; i-- {
		e := &l.Entries[i]
		if !e.At.After(since) {
			break
		}
		if e.What == c.What && e.Of == c.Of && !e.At.After(ahead) {
			if spent++; spent == limit.Most {
				return e.At.Add(limit.Within)
			}
		}
	}
	return time.Time{}
}

const (
	clockSlip   = time.Minute        // two that write at once need not agree by more
	longestKept = 7 * 24 * time.Hour // no limit looks further back
	mostEntries = 5000               // a megabyte of JSON; beyond it the oldest go
)

// Spend notes the claims as spent at now. A ref that was spent for the same
// already is not spent twice. The empty ref can't be taken back.
func (l *Ledger) Spend(now time.Time, ref string, claims ...Claim) {
	for _, c := range claims {
		if !l.Spent(ref, c) {
			l.add(Entry{At: now, What: c.What, Of: c.Of, Ref: ref})
		}
	}
	l.prune(now)
}

// add puts e in its place, which is the last unless the clock was set back.
func (l *Ledger) add(e Entry) {
	i := len(l.Entries)
	for i > 0 && l.Entries[i-1].At.After(e.At) {
		i--
	}
	l.Entries = slices.Insert(l.Entries, i, e)
}

// Sort puts the entries in order, which somebody's editor may have left them out of.
func (l *Ledger) Sort() {
	slices.SortStableFunc(l.Entries, func(a, b Entry) int { return a.At.Compare(b.At) })
}

// Spent tells whether c was spent under ref.
func (l Ledger) Spent(ref string, c Claim) bool {
	for i := len(l.Entries) - 1; i >= 0 && ref != ""; i-- {
		if e := &l.Entries[i]; e.Ref == ref && e.What == c.What && e.Of == c.Of {
			return true
		}
	}
	return false
}

// Return takes back what was spent under refs: it came to nothing.
func (l *Ledger) Return(now time.Time, refs ...string) {
	l.Entries = slices.DeleteFunc(l.Entries, func(e Entry) bool { return e.Ref != "" && slices.Contains(refs, e.Ref) })
	l.prune(now)
}

// prune drops what no limit counts any more, and what the clock says can't be.
func (l *Ledger) prune(now time.Time) {
	from, to := max(0, len(l.Entries)-mostEntries), len(l.Entries)
	for from < to && now.Sub(l.Entries[from].At) >= longestKept {
		from++
	}
	for from < to && l.Entries[to-1].At.Sub(now) >= longestKept {
		to--
	}
	l.Entries = l.Entries[from:to]
}

// RegisteredDomains lists by what CAs count certificates for names: the domain
// below the public suffix, an IPv4 address, the /64 of an IPv6 address; sorted,
// each once.
func RegisteredDomains(names []string) []string {
	var all []string
	for _, n := range names {
		all = append(all, registeredDomain(n))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func registeredDomain(name string) string {
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Is6() && !ip.Is4In6() {
			block, _ := ip.Prefix(64)
			return block.String()
		}
		return name
	}
	name = strings.TrimPrefix(name, "*.")
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name // a public suffix itself, or a name inside of a network
	}
	return domain
}
