package renew

import "time"

// Bounds of the waits after failures. The CA's part follows Let's Encrypt's
// advice (1, 10, 100 minutes, then daily). What costs only this host heals within
// a minute of its cause: to the wait, with its jitter, come a proof that is under
// way (10 s; up to 40 s of a large server), company for the hook (up to 10 s) and
// the hook itself.
const (
	issueFirst   = time.Minute
	issueLongest = 24 * time.Hour
	bareLongest  = 3 * time.Hour // nothing valid is held: 8 attempts a day, below the CA's limits
	localFirst   = time.Second
	localLongest = 30 * time.Second
	adviseSix    = 6 * time.Hour // RFC 9773, section 4.3.3
	adviseTries  = 5
	shortest     = time.Second
	slackPortion = 8
	leastPortion = 60
)

// Backoff returns how long to wait after the count-th failure in a row of do,
// before jitter. Waits shrink with the slack, so that a certificate of a minute
// is tried as often within its slack as one of 90 days.
func Backoff(now time.Time, do Do, count int, c *Cert, f *Facts) time.Duration {
	count = max(count, 1)
	var wait, longest time.Duration
	switch do {
	case Issue, Preflight, Enroll:
		wait, longest = grow(issueFirst, 10, count, issueLongest), issueLongest
		if !f.Held.valid(now) {
			longest = bareLongest
		}
	case Advise, LookUp:
		wait, longest = grow(issueFirst, 2, count, adviseSix), adviseSix
		if count > adviseTries {
			wait = adviseSix
		}
	default:
		wait, longest = grow(localFirst, 2, count, localLongest), localLongest
	}
	if slack := Slack(c, f); slack > 0 {
		longest = min(longest, max(shortest, slack/slackPortion))
	}
	return min(wait, longest)
}

// soon is how long a hook waits that asks to be run again soon, each time.
const soon = 5 * time.Second

// Soon returns how long to wait for a hook that asked to be run again soon: no
// longer the more often it does.
func Soon(c *Cert, f *Facts) time.Duration {
	if slack := Slack(c, f); slack > 0 {
		return min(soon, max(shortest, slack/slackPortion))
	}
	return soon
}

// Hurried bounds the wait after a renewal that failed at the CA itself, and at no
// name, by an eighth of what is left of the certificate: a CA that was down for
// all of the slack and comes back on the last day is found in time. A name that
// fails is not tried more often for that: CAs count it.
func Hurried(now time.Time, wait time.Duration, c *Cert, f *Facts) time.Duration {
	if !f.Held.valid(now) {
		return wait
	}
	least := max(shortest, min(issueFirst, Slack(c, f)/leastPortion))
	return min(wait, max(least, f.Held.End().Sub(now)/slackPortion))
}

// grow returns first × factor^(count-1), at most longest.
func grow(first time.Duration, factor, count int, longest time.Duration) time.Duration {
	for ; count > 1 && first < longest; count-- {
		first *= time.Duration(factor)
	}
	return min(first, longest)
}
