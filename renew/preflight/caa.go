package preflight

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue"
)

// issuerCritical is the flag of RFC 8659, section 4.1: a CA that does not know
// the property must not issue.
const issuerCritical = 128

// knownTags are the properties that CAs know, of RFC 8659, RFC 9495, and the
// contact properties of the CA/Browser Forum.
var knownTags = []string{"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"}

// caa looks whether CAA records keep an issuer from a name (RFC 8659).
func (l *look) caa(ctx context.Context, name string, issuer renew.Issuer, ca issue.Standing) []renew.Obstacle {
	if ca.Known && len(ca.Identities) == 0 {
		return nil // it does not say by which name a record would allow it: a private CA looks at none
	}
	domain, wildcard := strings.CutPrefix(name, "*.")
	at, records, err := l.caaSet(ctx, domain)
	o := renew.Obstacle{Subject: name, Issuer: issuer.Name}
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		// A CA that can't look CAA up must not issue (RFC 8659, section 5.4, and the
		// CA/Browser Forum's Baseline Requirements, section 3.2.2.8).
		o.Reason, o.Detail = renew.DNSFailing, fmt.Sprintf("the CAA records of %s can't be looked up: %s", at, err)
		o.Issuer, o.Remedy = "", remedyDNS
		return []renew.Obstacle{o}
	case len(ca.Identities) == 0: // nobody knows it yet
		return nil
	}
	asking := applicant{ca: ca, wildcard: wildcard, method: methodOf(l.solver().Type)}
	if why := asking.forbidden(records); why != "" {
		o.Reason, o.Detail = renew.CAAForbids, fmt.Sprintf("the CAA records of %s %s", at, why)
		o.Remedy = fmt.Sprintf("Have the zone say: %s. CAA 0 %s \"%s\"", at, asking.tag(records), printable(ca.Identities[0]))
		return []renew.Obstacle{o}
	}
	return nil
}

// caaSet finds the relevant set: that of the name, or of the closest domain above
// it that has one (RFC 8659, section 3). at is where it was found, or where the
// lookup failed.
func (l *look) caaSet(ctx context.Context, name string) (at string, records []*dns.CAA, err error) {
	for at = name; at != ""; _, at, _ = strings.Cut(at, ".") {
		found, err := l.dns.ask(ctx, at, dns.TypeCAA)
		if err != nil && !errors.Is(err, errNoName) {
			return at, nil, err
		}
		for _, rr := range found {
			if record, ok := rr.(*dns.CAA); ok {
				records = append(records, record)
			}
		}
		if len(records) > 0 {
			return at, records, nil
		}
	}
	return name, nil, nil
}

// applicant is a CA that wants to know whether it may issue.
type applicant struct {
	ca       issue.Standing
	wildcard bool
	method   string // how the name is proved (RFC 8555, section 9.7.8)
}

// forbidden tells why the records forbid the issue; empty where they do not.
func (a applicant) forbidden(records []*dns.CAA) string {
	for _, r := range records {
		if r.Flag&issuerCritical != 0 && !slices.Contains(knownTags, strings.ToLower(r.Tag)) {
			return fmt.Sprintf("hold a critical property that CAs don't know: %s", quote(r.Tag))
		}
	}
	tag := a.tag(records)
	var refusals []string
	for _, r := range records {
		if !strings.EqualFold(r.Tag, tag) {
			continue
		}
		why := a.refused(parseIssue(r.Value))
		if why == "" {
			return ""
		}
		refusals = append(refusals, why)
	}
	if len(refusals) == 0 {
		return "" // RFC 8659, section 4.2: no such property restricts nothing
	}
	return "keep it from issuing: " + strings.Join(refusals, "; ")
}

// tag is the property that counts: issuewild outranks issue for wildcard names
// (RFC 8659, section 4.3).
func (a applicant) tag(records []*dns.CAA) string {
	wild := slices.ContainsFunc(records, func(r *dns.CAA) bool { return strings.EqualFold(r.Tag, "issuewild") })
	if a.wildcard && wild {
		return "issuewild"
	}
	return "issue"
}

// grant is the value of an issue or issuewild property.
type grant struct {
	issuer     string // empty: nobody
	parameters map[string][]string
	value      string // as it stands in the zone
}

// parseIssue reads a value by the grammar of RFC 8659, section 4.2: one that does
// not follow it grants nothing.
func parseIssue(value string) grant {
	g := grant{parameters: map[string][]string{}, value: value}
	if strings.ContainsFunc(value, func(r rune) bool { return r > 0x7e || r < ' ' && r != '\t' }) {
		return g
	}
	issuer, rest, _ := strings.Cut(value, ";")
	for part := range strings.SplitSeq(rest, ";") {
		if part = strings.Trim(part, " \t"); part == "" {
			continue
		}
		tag, text, ok := strings.Cut(part, "=")
		tag, text = strings.Trim(tag, " \t"), strings.Trim(text, " \t")
		if !ok || tag == "" || strings.ContainsAny(text, " \t") {
			return grant{value: value}
		}
		tag = strings.ToLower(tag)
		g.parameters[tag] = append(g.parameters[tag], text)
	}
	g.issuer = strings.ToLower(strings.TrimSuffix(strings.Trim(issuer, " \t"), "."))
	if strings.ContainsAny(g.issuer, " \t") {
		return grant{value: value}
	}
	return g
}

// refused tells why a grant is none to the applicant.
func (a applicant) refused(g grant) string {
	if g.issuer == "" {
		return fmt.Sprintf("%s allows nobody", quote(g.value))
	}
	if !slices.ContainsFunc(a.ca.Identities, func(id string) bool { return strings.EqualFold(id, g.issuer) }) {
		return fmt.Sprintf("%s is another CA; this one is %s", quote(g.issuer), quote(strings.Join(a.ca.Identities, ", ")))
	}
	// RFC 8657, section 3: with more than one accounturi nobody satisfies it.
	uris := g.parameters["accounturi"]
	switch {
	case len(uris) > 1:
		return fmt.Sprintf("%s names %d accounts, which nobody can be", quote(g.value), len(uris))
	case len(uris) == 1 && a.ca.Account == "":
		return fmt.Sprintf("accounturi is %s, and no account is registered here yet", quote(uris[0]))
	case len(uris) == 1 && uris[0] != a.ca.Account:
		return fmt.Sprintf("accounturi is %s, and the account here is %s", quote(uris[0]), a.ca.Account)
	}
	methods := g.parameters["validationmethods"] // RFC 8657, section 4
	if len(methods) > 1 || len(methods) == 1 && !slices.Contains(strings.Split(methods[0], ","), a.method) {
		return fmt.Sprintf("validationmethods is %s, and names are proved by %s here", quote(strings.Join(methods, "; ")), a.method)
	}
	return ""
}

// methodOf is the challenge that a solver answers. A solver for another kind of
// challenge has its place here.
func methodOf(string) string { return "http-01" }

// printable is what of a CA's word may stand in a record to be copied.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && r != '"' && r != '\\' {
			return r
		}
		return -1
	}, s[:min(len(s), 253)])
}
