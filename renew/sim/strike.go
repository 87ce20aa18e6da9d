package sim

import (
	"math"
	"slices"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// strike puts a fault in force.
func (h *host) strike(f Fault) {
	if subject[f.Kind] == "cert" {
		c := h.certs[f.Cert]
		if c.plan.Gone {
			return
		}
		h.note(c, "%s", f.Kind)
		h.strikeCert(c, f)
		return
	}
	h.note(nil, "%s", f)
	if subject[f.Kind] == "ca" {
		h.strikeCA(&h.cas[f.CA], f)
		return
	}
	switch f.Kind {
	case PortBlocked:
		h.blocked++
	case PortClosed:
		h.closed++
		h.blocked++
	case BadConfig:
		h.broken++
	case DiskFull:
		h.full++
	case ReadOnly:
		h.readOnly++
	case Suspend:
		h.asleep++
		h.awake()
	case Reboot, PowerLoss:
		if h.asleep == 0 {
			h.goDown(f)
		}
	case ClockJump:
		if h.offset == 0 {
			h.jumped = h.now
		}
		h.offset += jump(f)
		h.forget(true)
		h.events.add(event{at: h.now + day, do: h.awake}) // a preflight has been made by then
	case OOMKill:
		if h.asleep == 0 && h.proc != nil {
			h.proc.fuse = int(f.U * 6)
			h.awake()
		}
	case Upgrade:
		if h.asleep > 0 {
			break
		}
		h.restart(5 * time.Second)
	}
}

func (h *host) strikeCA(a *authority, f Fault) {
	switch f.Kind {
	case CAOutage, CALongOutage, CADeath:
		a.out++
		if f.U < 0.5 {
			a.deaf++
		}
	case CABrownout:
		a.brown++
	case CABusy:
		a.busy++
		a.busyUntil = max(a.busyUntil, f.To)
	case LifetimeCut:
		if a.life = 64 * day; f.From > h.firstCut(f.CA) {
			a.life = 45 * day
		}
	case ARIDrill, ARIMass:
		h.recall(f)
	}
}

// firstCut is when the CA's policy first changes.
func (h *host) firstCut(ca int) time.Duration {
	for _, f := range h.fate.Faults {
		if f.Kind == LifetimeCut && f.CA == ca {
			return f.From
		}
	}
	return forever
}

// recall puts the ARI windows of a share of the CA's certificates into the past.
func (h *host) recall(f Fault) {
	defer h.awake()
	for _, c := range h.certs {
		for i := range c.leaves {
			l := &c.leaves[i]
			if l.ca != f.CA || h.now >= l.notAfter || h.chance(c, uint64(f.From)+uint64(i)) >= f.X {
				continue
			}
			if l.urgent = min(l.urgent, h.now); f.Kind == ARIMass {
				l.revoked = f.To
			}
			c.news = h.now
			h.note(c, "its certificate of day %.1f is to be replaced now", l.notBefore.Hours()/24)
		}
	}
}

func (h *host) strikeCert(c *cert, f Fault) {
	switch f.Kind {
	case CALie:
		c.lies++
	case ARIGarbage:
		c.garbage++
	case DNSFail:
		c.fails++
	case DNSBurst:
		c.burst++
	case NameGone:
		c.gone++
	case CAAForbids:
		c.caa++
	case AAAABroken:
		c.aaaa++
	case HookFails:
		c.hookFails++
	case HookHangs:
		c.hookHangs++
	case ReloadLies:
		c.reloadLies++
	case Overwritten:
		h.overwrite(c)
	case Deleted:
		h.delete(c)
	}
}

// overwrite: an admin restores what was there before, and reloads.
func (h *host) overwrite(c *cert) {
	if len(c.versions) < 2 || !h.up() {
		return
	}
	c.live, c.changed = c.versions[len(c.versions)-2].N, h.clock()
	h.damage(c, false)
	if h.loadable() {
		h.load(true)
	}
	h.wake()
}

// delete: an admin deletes the live version's key.
func (h *host) delete(c *cert) {
	if !h.up() {
		return
	}
	for i := range c.versions {
		if v := &c.versions[i]; v.N == c.live && v.Fault == "" {
			c.versions = append([]renew.Version(nil), c.versions...) // readers keep what they read
			c.versions[i].Fault, c.versions[i].FaultDetail = renew.Unreadable, "privkey.pem: no such file"
			h.damage(c, true)
			if !slices.ContainsFunc(c.versions, func(v renew.Version) bool { return v.Usable() }) {
				c.bare = append(c.bare, oracle.Span{From: h.now, To: forever})
			}
			h.wake()
			return
		}
	}
}

func (h *host) damage(c *cert, lost bool) {
	c.damage = append(c.damage, oracle.Damage{At: h.now, Lost: lost})
}

// wake: the agent's watch tells it that files changed.
func (h *host) wake() {
	if h.proc != nil {
		h.proc.agent.Wake()
	}
}

// lift ends a fault.
func (h *host) lift(f Fault) {
	switch f.Kind {
	case CAOutage, CALongOutage:
		a := &h.cas[f.CA]
		a.out--
		if f.U < 0.5 {
			a.deaf--
		}
	case CABrownout:
		h.cas[f.CA].brown--
	case CABusy:
		h.cas[f.CA].busy--
	case DNSBurst:
		h.certs[f.Cert].burst--
	case PortBlocked:
		h.blocked--
	case BadConfig:
		if h.broken--; h.broken == 0 && !h.running && h.off == 0 {
			h.serverStart() // who mended it starts it
		}
	case DiskFull:
		h.full--
	case ReadOnly:
		h.readOnly--
	case Suspend:
		h.asleep--
		h.awake()
	case Reboot, PowerLoss:
		if h.off > 0 {
			h.comeUp()
		}
	case ClockJump:
		h.offset -= jump(f)
		h.forget(true)
	default:
		return // struck once
	}
	h.note(nil, "%s is over", f.Kind)
}

// jump is how far the clock goes wrong: a day to 400 days, either way.
func jump(f Fault) time.Duration {
	far := time.Duration(math.Exp(math.Abs(2*f.U-1)*math.Log(400)) * float64(day)).Round(time.Second)
	if f.U < 0.5 {
		return -far
	}
	return far
}

// goDown: a machine that is suspended neither reboots nor loses power.
func (h *host) goDown(f Fault) {
	if h.off++; h.off == 1 {
		if f.Kind == PowerLoss && h.proc != nil {
			h.proc.dead = true
		}
		h.stop()
	}
}

func (h *host) comeUp() {
	if h.off--; h.off > 0 {
		return
	}
	h.serverStart()
	h.start()
}

// serverStart: the server begins with what lies there, or does not begin.
func (h *host) serverStart() {
	if h.loadable() {
		h.load(false)
	} else if h.now > 0 {
		h.halt()
	}
}

// restart ends the agent and starts another after a while.
func (h *host) restart(after time.Duration) {
	h.stop()
	h.events.add(event{at: h.now + after, do: func() {
		if h.proc == nil && h.off == 0 {
			h.start()
		}
	}})
}
