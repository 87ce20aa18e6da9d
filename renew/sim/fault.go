package sim

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is a kind of fault; model.json says how often each strikes.
type Kind string

// The kinds of fault.
const (
	CAOutage     Kind = "ca-outage"      // refuses connections, or swallows them
	CABrownout   Kind = "ca-brownout"    // a third of the answers are 5xx, a fifth never come
	CABusy       Kind = "ca-busy"        // 429 with a Retry-After
	CALongOutage Kind = "ca-long-outage" // an outage of weeks
	CADeath      Kind = "ca-death"       // never comes back
	LifetimeCut  Kind = "lifetime-cut"   // the CA issues for shorter from now on
	ARIDrill     Kind = "ari-drill"      // a share of the certificates is to be replaced now
	ARIMass      Kind = "ari-mass"       // likewise, and revoked when the fault ends
	CALie        Kind = "ca-lie"         // the next certificate has wrong names, key, dates or chain
	ARIGarbage   Kind = "ari-garbage"    // the next ARI answer makes no sense
	DNSFail      Kind = "dns-fail"       // the next validation fails
	DNSBurst     Kind = "dns-burst"      // every validation fails
	NameGone     Kind = "name-gone"      // one name does not resolve any more
	CAAForbids   Kind = "caa-forbids"    // the first CA may not issue
	AAAABroken   Kind = "aaaa-broken"    // validation by IPv6 fails
	HookFails    Kind = "hook-fails"     // the next run of the hook exits 1
	HookHangs    Kind = "hook-hangs"     // the next run of the hook is ended by its timeout
	ReloadLies   Kind = "reload-lies"    // the next reload returns 0 and does nothing
	Overwritten  Kind = "overwritten"    // an admin points the live link at an old version and reloads
	Deleted      Kind = "deleted"        // an admin deletes the live version's key
	PortBlocked  Kind = "port-blocked"   // port 80 does not answer the CA
	PortClosed   Kind = "port-closed"    // likewise, until a human comes
	BadConfig    Kind = "bad-config"     // the server refuses to reload for another site's fault
	DiskFull     Kind = "disk-full"
	ReadOnly     Kind = "read-only"
	Reboot       Kind = "reboot"
	PowerLoss    Kind = "power-loss" // in the middle of a step
	Suspend      Kind = "suspend"
	ClockJump    Kind = "clock-jump" // the host's clock is wrong until it ends
	OOMKill      Kind = "oom-kill"   // the agent is killed in the middle of its next step
	Upgrade      Kind = "upgrade"    // the agent is restarted
)

var kinds = []Kind{
	CAOutage, CABrownout, CABusy, CALongOutage, CADeath, LifetimeCut, ARIDrill, ARIMass, CALie, ARIGarbage,
	DNSFail, DNSBurst, NameGone, CAAForbids, AAAABroken, HookFails, HookHangs, ReloadLies, Overwritten, Deleted,
	PortBlocked, PortClosed, BadConfig, DiskFull, ReadOnly, Reboot, PowerLoss, Suspend, ClockJump, OOMKill, Upgrade,
}

// Fault is one thing that goes wrong in a history, at From, until To. Single
// faults lie in wait from From on and strike once.
type Fault struct {
	Kind Kind          `json:"kind"`
	From time.Duration `json:"from"`
	To   time.Duration `json:"to"`
	CA   int           `json:"ca,omitempty"`   // which CA, where it is one's
	Cert int           `json:"cert,omitempty"` // which certificate of the host, where it is one's
	U    float64       `json:"u,omitempty"`    // drawn from [0, 1): which variant
	X    float64       `json:"x,omitempty"`    // the rate's share
}

const (
	forever = time.Duration(1<<63 - 1)
	day     = 24 * time.Hour
	year    = 365 * day
)

func (f Fault) String() string {
	s := fmt.Sprintf("%-14s", f.Kind)
	switch subject[f.Kind] {
	case "ca":
		s += fmt.Sprintf(" ca%d", f.CA)
	case "cert":
		s += fmt.Sprintf(" c%d", f.Cert)
	}
	switch {
	case f.To == forever:
		s += " for good"
	case f.To > f.From:
		s += " for " + (f.To - f.From).Round(time.Second).String()
	}
	return s
}

// subject is whose fault a kind is; the fleet's own strike one CA.
var subject = map[Kind]string{
	CAOutage: "ca", CABrownout: "ca", CABusy: "ca", CALongOutage: "ca", CADeath: "ca", LifetimeCut: "ca", ARIDrill: "ca", ARIMass: "ca",
	CALie: "cert", ARIGarbage: "cert", DNSFail: "cert", DNSBurst: "cert", NameGone: "cert", CAAForbids: "cert", AAAABroken: "cert",
	HookFails: "cert", HookHangs: "cert", ReloadLies: "cert", Overwritten: "cert", Deleted: "cert",
}

// Two CAs are in the world, whether a host has configured both or one.
const cas = 2

// fleetFaults draws what strikes the CAs in a history of the length.
func (m Model) fleetFaults(seed uint64, length time.Duration) []Fault {
	dice := rand.New(rand.NewPCG(seed, 0))
	var all []Fault
	for _, r := range m.Faults {
		switch r.Of {
		case "fleet":
			list := r.draw(dice, r.PerYear, length)
			for i := range list {
				list[i].CA = dice.IntN(cas)
			}
			all = append(all, list...)
		case "ca":
			for ca := range cas {
				list := r.draw(dice, r.PerYear, length)
				for i := range list {
					list[i].CA = ca
				}
				all = append(all, list...)
			}
		}
	}
	return all
}

// hostFaults draws what strikes one host and its certificates.
func (m Model) hostFaults(dice *rand.Rand, certs []plan, length time.Duration) []Fault {
	var all []Fault
	for _, r := range m.Faults {
		switch r.Of {
		case "host":
			all = append(all, r.draw(dice, r.PerYear, length)...)
		case "cert":
			for i, c := range certs {
				perYear := r.PerYear + r.PerIssuance*float64(year)/float64(c.every())
				list := r.draw(dice, perYear, length)
				for k := range list {
					list[k].Cert = i
				}
				all = append(all, list...)
			}
		}
	}
	return all
}

// draw makes a Poisson process.
func (r Rate) draw(dice *rand.Rand, perYear float64, length time.Duration) []Fault {
	var list []Fault
	if perYear <= 0 {
		return nil
	}
	for years := 0.0; r.Most == 0 || len(list) < r.Most; {
		years += dice.ExpFloat64() / perYear
		if years >= float64(length)/float64(year) {
			break
		}
		at := time.Duration(years * float64(year))
		f := Fault{Kind: r.Kind, From: at, U: dice.Float64(), X: r.Share}
		if f.To = forever; !r.Forever {
			f.To = at + r.lasts(dice)
		}
		list = append(list, f)
	}
	return list
}

func byTime(list []Fault) {
	slices.SortStableFunc(list, func(a, b Fault) int { return cmp.Compare(a.From, b.From) })
}
