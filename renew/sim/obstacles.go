package sim

import (
	"time"

	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// obstacles tells the oracle what stood in c's way, from the fault trace alone:
// nothing that the agent did or thought is in it.
func (h *host) obstacles(c *cert) oracle.Obstacles {
	o := oracle.Obstacles{CAs: make([][]oracle.Span, 1, cas), Damage: c.damage}
	if h.fate.Fallback {
		o.CAs = append(o.CAs, []oracle.Span{{From: 0, To: h.swapped}})
	}
	// A server without whole files of one site reads no other's, and where nothing
	// whole is left only a CA can give any.
	for _, other := range h.certs {
		if other.index != c.index {
			o.Deploy = append(o.Deploy, other.bare...)
		}
	}
	for i := range h.retired {
		if other := &h.retired[i]; other.index != c.index {
			o.Deploy = append(o.Deploy, other.bare...)
		}
	}
	for i, f := range h.fate.Faults {
		if subject[f.Kind] == "cert" && f.Cert != c.index {
			// What another certificate's hook or files do to the one server that they
			// share is in the way too.
			if f.Kind == Deleted {
				o.Deploy = append(o.Deploy, oracle.Span{From: f.From, To: f.From + 12*time.Hour})
			}
			continue
		}
		s := oracle.Span{From: f.From, To: h.ends[i]}
		switch f.Kind {
		case CAOutage, CALongOutage, CADeath, CABrownout, CABusy:
			if f.CA < len(o.CAs) {
				o.CAs[f.CA] = append(o.CAs[f.CA], s)
			}
		case CAAForbids:
			o.CAs[0] = append(o.CAs[0], s)
		case NameGone:
			if c.plan.Names > 1 {
				o.Veto = append(o.Veto, s)
			} else {
				o.Issue = append(o.Issue, s)
			}
		case DNSBurst, AAAABroken, PortBlocked, PortClosed:
			o.Issue = append(o.Issue, s)
		case CALie, DNSFail, OOMKill:
			o.IssueOnce = append(o.IssueOnce, f.From)
		case HookFails, HookHangs, ReloadLies:
			o.DeployOnce = append(o.DeployOnce, f.From)
		case BadConfig:
			o.Deploy = append(o.Deploy, s)
		case DiskFull, ReadOnly:
			o.Issue, o.Deploy = append(o.Issue, s), append(o.Deploy, s)
		case ClockJump:
			o.Issue = append(o.Issue, s)
		case Reboot, PowerLoss, Suspend:
			o.Down = append(o.Down, s)
		}
	}
	return o
}
