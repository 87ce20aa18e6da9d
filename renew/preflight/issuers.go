package preflight

import (
	"context"
	"fmt"
	"slices"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue"
)

// issuers looks how every CA stands, and the account there.
func (l *look) issuers(ctx context.Context) []renew.Obstacle {
	parts := make([]part, len(l.cert.Issuers))
	for i, issuer := range l.cert.Issuers {
		parts[i] = func(ctx context.Context) []renew.Obstacle { return l.issuer(ctx, issuer) }
	}
	return l.all(ctx, parts)
}

func (l *look) issuer(ctx context.Context, issuer renew.Issuer) []renew.Obstacle {
	ca := l.standing(ctx, issuer.Name)
	if ctx.Err() != nil {
		return nil
	}
	found := append(unreached(issuer, ca), account(issuer, ca)...)
	if ca.Known && issuer.Profile != "" && !slices.Contains(ca.Profiles, issuer.Profile) {
		found = append(found, renew.Obstacle{Reason: renew.ProfileGone, Subject: "profile " + issuer.Profile, Issuer: issuer.Name,
			Detail: fmt.Sprintf("the CA does not offer it; there are: %s", quote(fmt.Sprint(ca.Profiles))),
			Remedy: "Configure one of those, or none."})
	}
	if ca.Ahead.Abs() > renew.ClockTolerance {
		found = append(found, renew.Obstacle{Reason: renew.ClockOff, Subject: "clock", Issuer: issuer.Name,
			Detail: fmt.Sprintf("the CA's clock is %s %s this host's", ca.Ahead.Abs(), map[bool]string{true: "ahead of", false: "behind"}[ca.Ahead > 0]),
			Remedy: "Set this host's clock, and keep it set (timedatectl, chrony)."})
	}
	return found
}

func unreached(issuer renew.Issuer, ca issue.Standing) []renew.Obstacle {
	if ca.Err == nil || renew.ClassOf(ca.Err) == renew.Limited { // a CA that asks for time is there
		return nil
	}
	return []renew.Obstacle{{Reason: renew.CAUnreachable, Subject: issuer.Directory, Issuer: issuer.Name, Detail: oneLine(ca.Err),
		Remedy: "See whether this host reaches it (curl), and whether the CA says that it is down."}}
}

func account(issuer renew.Issuer, ca issue.Standing) []renew.Obstacle {
	o := renew.Obstacle{Subject: ca.Account, Issuer: issuer.Name}
	if o.Subject == "" {
		o.Subject = "account"
	}
	switch {
	case ca.Refused():
		o.Reason, o.Detail = renew.AccountRefused, oneLine(ca.AccountErr)
		o.Remedy = "Ask the CA why. An account that it has only forgotten is registered again by the next order; for one that was deactivated, move it out of accounts/ and accounts-backup/ of the state directory."
	case ca.AccountErr != nil:
		o.Reason, o.Detail = renew.Unreadable, oneLine(ca.AccountErr)
		o.Remedy = "Run it as root or as the agent's user; if it is the agent that says so, see to the state directory."
	case ca.Agreed != "" && ca.Terms != "" && ca.Agreed != ca.Terms:
		o.Reason, o.Subject = renew.TermsChanged, "terms of service"
		o.Detail = fmt.Sprintf("they are now %s; the last order was placed under %s", quote(ca.Terms), quote(ca.Agreed))
		o.Remedy = "Read them: agree_terms = true agrees to them with the next order. certvigil renew NAME --force places one now."
	default:
		return nil
	}
	return []renew.Obstacle{o}
}
