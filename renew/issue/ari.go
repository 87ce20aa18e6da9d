package issue

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// When a CA is asked again (RFC 9773, sections 4.3.2 and 4.3.3).
const (
	minAdvice     = time.Minute
	maxAdvice     = 24 * time.Hour
	defaultAdvice = 6 * time.Hour
	absentAdvice  = 24 * time.Hour // where the CA offers none: it may begin to
	adviceShare   = 20             // at least so often in a short lifetime
)

const (
	maxAdviceBody  = 64 << 10
	maxExplanation = 500
)

// certIDs is the form of RFC 9773, section 4.1. It becomes a path.
var certIDs = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,256}$`)

// Advise asks the CA that issued held when it is to be renewed (RFC 9773).
// Without an answer that makes sense the Advice has no window, and only says
// when to ask again. The point in the window, Chosen, is left to the caller. The
// error is always a [*renew.Failure]: what is worth another try soon.
func (c *Client) Advise(ctx context.Context, cert renew.Cert, held renew.Version) (advice renew.Advice, err error) {
	op := "asking when to renew " + cert.Name
	defer func() {
		if r := recover(); r != nil {
			advice, err = renew.Advice{}, c.panicked(op, r)
		}
	}()
	s := c.issuerOf(cert, held)
	now := time.Now().UTC()
	// RFC 9773, section 4.3: an expired certificate is not asked about.
	if s == nil || !certIDs.MatchString(held.CertID) || !now.Before(held.NotAfter) {
		return nothing(held, now, absentAdvice), nil
	}
	advice, err = s.advise(ctx, held)
	if err != nil {
		return renew.Advice{}, &renew.Failure{Op: op, Class: adviceClass(err), RetryAt: retryAt(err, held, now), Err: shown(err)}
	}
	return advice, nil
}

// issuerOf finds the issuer whose directory held came from: only that CA knows
// it. Nil where it is not configured any more.
func (c *Client) issuerOf(cert renew.Cert, held renew.Version) *session {
	for _, issuer := range cert.Issuers {
		if s := c.sessions[issuer.Name]; s != nil && s.issuer.Directory == held.Directory {
			return s
		}
	}
	for _, s := range c.sessions {
		if s.issuer.Directory == held.Directory {
			return s
		}
	}
	return nil
}

func (s *session) advise(ctx context.Context, held renew.Version) (renew.Advice, error) {
	for again := false; ; again = true {
		dir, err := s.directory.get(ctx, s)
		if err != nil {
			return renew.Advice{}, err
		}
		if dir.ari == "" {
			return nothing(held, time.Now().UTC(), absentAdvice), nil
		}
		// RFC 9773, section 4.1: an unauthenticated GET, nothing but the path.
		answer, body, err := s.fetch(ctx, dir.ari+"/"+held.CertID)
		if _, dead := errors.AsType[*staleConn](err); dead { // idle between two questions
			answer, body, err = s.fetch(ctx, dir.ari+"/"+held.CertID)
		}
		if err != nil {
			if _, ok := errors.AsType[*garbled](err); ok || classOf(err) == renew.Refused {
				return nothing(held, time.Now().UTC(), defaultAdvice), nil
			}
			return renew.Advice{}, err
		}
		// A cached directory can name a place that the CA has moved away from.
		if answer.StatusCode == http.StatusNotFound && !again {
			s.directory.forget()
			continue
		}
		return interpret(answer, body, held, time.Now().UTC())
	}
}

// interpret reads the answer. Only a temporary error of RFC 9773, section 4.3.3,
// is an error; what will be the same in a minute waits for hours.
func interpret(answer *http.Response, body []byte, held renew.Version, now time.Time) (renew.Advice, error) {
	if answer.StatusCode >= 500 {
		return renew.Advice{}, newProblem(answer, body)
	}
	wait, named := retryAfter(answer.Header, now)
	if !named {
		wait = defaultAdvice
	}
	advice := nothing(held, now, wait)
	// lego and others take any status: a 429 then reads as "renew now".
	if answer.StatusCode != http.StatusOK || len(body) > maxAdviceBody {
		return advice, nil
	}
	var info struct {
		Window struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"suggestedWindow"`
		Explanation any `json:"explanationURL"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return nothing(held, now, defaultAdvice), nil
	}
	// RFC 9773, section 4.2: a window that does not end after it starts is as if
	// there had been no answer.
	w := info.Window
	if w.Start.IsZero() || w.End.IsZero() || !w.End.After(w.Start) {
		return nothing(held, now, defaultAdvice), nil
	}
	advice.Start, advice.End = w.Start.UTC(), w.End.UTC()
	advice.Explanation = explanation(text(info.Explanation))
	return advice, nil
}

// nothing is advice without a window.
func nothing(held renew.Version, now time.Time, wait time.Duration) renew.Advice {
	return renew.Advice{CertID: held.CertID, FetchedAt: now, PollAt: now.Add(pollWait(held, wait))}
}

// pollWait clamps a wait (RFC 9773, section 4.3.2). Certificates of short
// lifetimes are asked about at least so often that their window, 2 % of the
// lifetime with today's CAs, is not slept through.
func pollWait(held renew.Version, wait time.Duration) time.Duration {
	wait = min(max(wait, minAdvice), maxAdvice)
	if l := held.Lifetime(); l < shortLifetime {
		wait = min(wait, max(l/adviceShare, time.Second))
	}
	return wait
}

// explanation keeps a URL to show to the operator, where it is one.
func explanation(link string) string {
	if len(link) > maxExplanation || !(strings.HasPrefix(link, "https://") || strings.HasPrefix(link, "http://")) {
		return ""
	}
	for _, r := range link {
		if r > 0x7e || !strconv.IsPrint(r) || r == ' ' {
			return ""
		}
	}
	return link
}

// adviceClass keeps the CA's word where it asked for time; all else that is
// returned as an error may pass.
func adviceClass(err error) renew.Class {
	if class := classOf(err); class == renew.Limited {
		return class
	}
	return renew.Transient
}

func retryAt(err error, held renew.Version, now time.Time) time.Time {
	p, ok := errors.AsType[*problem](err)
	switch {
	case !ok || !p.Limited:
		return time.Time{}
	case p.busy():
		return now.Add(bearable(p.RetryAt.Sub(now), held))
	}
	return p.RetryAt
}
