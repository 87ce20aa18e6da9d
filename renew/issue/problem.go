package issue

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The error types of RFC 8555, section 6.7, and its companions that something is
// done about, without their common prefix.
const (
	errorPrefix = "urn:ietf:params:acme:error:"

	accountDoesNotExist     = "accountDoesNotExist"
	badNonce                = "badNonce"
	caa                     = "caa"
	connection              = "connection"
	dnsProblem              = "dns"
	externalAccountRequired = "externalAccountRequired"
	invalidContact          = "invalidContact"
	invalidProfile          = "invalidProfile"
	malformed               = "malformed"
	orderNotReady           = "orderNotReady"
	rateLimited             = "rateLimited"
	rejectedIdentifier      = "rejectedIdentifier"
	serverInternal          = "serverInternal"
	unsupportedContact      = "unsupportedContact"
	unsupportedIdentifier   = "unsupportedIdentifier"
	userActionRequired      = "userActionRequired"
)

// problem is an answer of a CA, or of what stands before it, that is no success.
type problem struct {
	Status  int
	Type    string // without errorPrefix; empty where the answer was no ACME problem
	Detail  string // clean
	RetryAt time.Time
	Limited bool     // the CA asks for time: 429, rateLimited, or 503 with Retry-After
	Named   bool     // RetryAt is the CA's own word
	Names   []string // the identifiers of its subproblems (RFC 8555, section 6.7.1)
}

// document is a problem document (RFC 7807, RFC 8555 section 6.7.1) as lenient
// as can be: any field may be of any type.
type document struct {
	Type        any `json:"type"`
	Detail      any `json:"detail"`
	Instance    any `json:"instance"`
	Subproblems any `json:"subproblems"`
}

// Without a Retry-After that makes sense, a CA that asks for time gets this
// much; less for certificates of short lifetimes, see scaled.
const defaultHold = 10 * time.Minute

func newProblem(answer *http.Response, body []byte) *problem {
	p := &problem{Status: answer.StatusCode}
	now := time.Now()
	wait, named := retryAfter(answer.Header, now)
	var doc document
	if json.Unmarshal(body, &doc) == nil && text(doc.Type)+text(doc.Detail) != "" {
		p.Type, _ = strings.CutPrefix(text(doc.Type), errorPrefix)
		if p.Type == text(doc.Type) { // of no type that we know
			p.Type = ""
		}
		p.Type = clean(p.Type)
		p.Detail = clean(text(doc.Detail) + p.subproblems(doc.Subproblems) + instance(doc.Instance))
	} else {
		p.Detail = "no problem document: " + quote(string(body[:min(len(body), 200)]))
	}
	if location := answer.Header.Get("Location"); p.Status < 400 {
		p.Detail = "a redirect, not followed, to " + quote(location)
	}
	header := answer.Header.Get("Retry-After") != ""
	p.Limited = p.Status == http.StatusTooManyRequests || p.Type == rateLimited ||
		(p.Status == http.StatusServiceUnavailable && header)
	if p.Limited {
		if !named {
			wait = defaultHold
		}
		p.RetryAt, p.Named = now.Add(max(wait, minHold)), named
	}
	return p
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// subproblems puts into words what is said of single names, and notes those.
func (p *problem) subproblems(v any) string {
	list, _ := v.([]any)
	var b strings.Builder
	for _, item := range list {
		sub, _ := item.(map[string]any)
		id, _ := sub["identifier"].(map[string]any)
		fmt.Fprintf(&b, "; %s: %s", text(id["value"]), text(sub["detail"]))
		if name := text(id["value"]); name != "" && len(p.Names) < maxAuthorizations {
			p.Names = append(p.Names, name)
		}
	}
	return b.String()
}

func instance(v any) string {
	if s := text(v); s != "" {
		return " (see " + s + ")"
	}
	return ""
}

func (p *problem) Error() string {
	if p.Type == "" {
		return fmt.Sprintf("the CA answers %d: %s", p.Status, p.Detail)
	}
	return fmt.Sprintf("the CA answers %d %s: %s", p.Status, p.Type, p.Detail)
}

func (p *problem) is(kinds ...string) bool {
	for _, kind := range kinds {
		if p.Type == kind {
			return true
		}
	}
	return false
}

// Between these every wait of an account that a CA asks for is kept.
const (
	minHold = time.Second
	maxHold = 24 * time.Hour
)

// retryAfter reads a Retry-After header (RFC 9110, section 10.2.3), seconds or a
// date; never more than maxHold. Negative, in the past, or neither is as if it
// were absent.
func retryAfter(header http.Header, now time.Time) (time.Duration, bool) {
	value := strings.TrimSpace(header.Get("Retry-After"))
	if value == "" {
		return 0, false
	}
	var wait time.Duration
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		wait = maxHold
		if seconds < int64(maxHold/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
		if seconds < 0 {
			return 0, false
		}
	} else if isDigits(value) { // more than 64 bits of seconds
		wait = maxHold
	} else if at, err := http.ParseTime(value); err == nil && at.After(now) {
		wait = at.Sub(now)
	} else {
		return 0, false
	}
	return min(wait, maxHold), true
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// garbled is an answer that can't be understood.
type garbled struct{ what string }

func (e *garbled) Error() string { return e.what }
