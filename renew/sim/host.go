package sim

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/sim/oracle"
)

// epoch is the first moment of every history.
var epoch = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// host is one simulated machine and what it can see of the world.
type host struct {
	fate History
	opts Options

	now    time.Duration // since epoch; what nobody but the simulator knows
	offset time.Duration // of the host's clock
	jumped time.Duration // when that went wrong
	certs  []*cert
	config *config.Config
	cas    [cas]authority

	asleep                                  int // suspended
	off                                     int // down
	running                                 bool
	blocked, full, readOnly, broken, closed int // how many faults of the kind are in force

	proc    *process
	events  queue
	begun   int // how many faults of the trace have begun: those come in order
	human   human
	ends    []time.Duration // when each fault of the trace ended
	swapped time.Duration   // when a human configured the other CA
	calm    calm

	result  Result
	retired []cert                              // as they were when they were given up
	tell    func(at time.Duration, text string) // a line of the timeline; nil where nobody reads it
}

// cert is one certificate of the host, on its disk and in its server.
type cert struct {
	plan   plan
	index  int
	config renew.Cert

	// On disk.
	versions []renew.Version
	leafOf   []int // for each version, the place of its leaf in leaves
	live     int
	changed  time.Time
	journal  renew.Journal
	order    order

	leaves  []leaf
	serving int // the place in leaves of what the server has loaded; -1 is none
	served  []oracle.Serving

	// Faults that lie in wait, and those in force.
	lies, garbage, fails, hookFails, hookHangs, reloadLies int
	burst, gone, caa, aaaa                                 int

	level  renew.Level
	alarms []oracle.Span
	damage []oracle.Damage
	bare   []oracle.Span // when no whole version of it was on the disk, since an outsider deleted the last
	skip   skip
	news   time.Duration // when the CA last changed its mind about one of its certificates
	steps  []renew.Step  // what lies ahead, as of the last look
	heldBy int           // the CA that issued what is held, likewise

	hour    time.Duration // the last in which a step was done, counted from the epoch
	stepped int           // and how many were

	issued []time.Duration      // as the CA counts them
	failed [cas][]time.Duration // validations, likewise
}

// leaf is a certificate as the CA knows it.
type leaf struct {
	notBefore, notAfter time.Duration
	ca                  int
	urgent              time.Duration // since when its ARI window lies in the past; forever where it does not
	revoked             time.Duration
	names               int // how many it is for
	flaw                string
}

func newHost(fate History, opts Options) *host {
	h := &host{fate: fate, opts: opts, calm: newCalm(fate)}
	h.config = &config.Config{
		Issuers: map[string]config.Issuer{},
		Hooks:   map[string]hooks.Hook{"server": {Name: "server", Timeout: hookTimeout}},
	}
	for ca := range cas {
		if ca == 0 || fate.Fallback {
			h.config.Issuers[issuerOf(ca).Name] = config.Issuer{Name: issuerOf(ca).Name, Directory: issuerOf(ca).Directory}
		}
		h.cas[ca].life = forever
	}
	for i, p := range fate.Certs {
		c := &cert{plan: p, index: i, serving: -1}
		c.config = p.as(configOf(i, p, fate.Fallback))
		c.skip.to = [2]time.Duration{-1, -1}
		h.certs = append(h.certs, c)
		if !p.Gone {
			h.config.Certs = append(h.config.Certs, c.config)
		}
	}
	h.schedule()
	for _, f := range fate.Faults {
		h.ends = append(h.ends, f.To)
	}
	return h
}

var issuers = [cas]renew.Issuer{
	{Name: "ca0", Directory: "https://acme-v02.api.letsencrypt.org/directory"},
	{Name: "ca1", Directory: "https://ca1.test/dir"},
}

func issuerOf(ca int) renew.Issuer { return issuers[ca] }

func configOf(i int, p plan, fallback bool) renew.Cert {
	name := "c" + strconv.Itoa(i)
	c := renew.Cert{
		Name: name, KeyType: renew.EC256, ARI: true, Rescue: true, OnChange: renew.Restoring, Issuers: []renew.Issuer{issuerOf(0)}, Hooks: []string{"server"},
		Endpoints: []renew.Endpoint{{Address: name, Protocol: "tls"}},
	}
	if fallback {
		c.Issuers = append(c.Issuers, issuerOf(1))
	}
	for k := range p.Names {
		c.Names = append(c.Names, name+"-"+strconv.Itoa(k)+".test")
	}
	return c
}

// clock is what the host believes the time to be.
func (h *host) clock() time.Time { return epoch.Add(h.now + h.offset) }

func (h *host) find(name string) *cert {
	i := 0 // of c12; an agent asks by name all the time
	for _, digit := range []byte(name[1:]) {
		i = 10*i + int(digit-'0')
	}
	return h.certs[i]
}

// up tells whether the agent gets to run.
func (h *host) up() bool { return h.off == 0 && h.asleep == 0 }

// start boots an agent on what is on the disk.
func (h *host) start() {
	h.forget(false)
	h.proc = &process{host: h, fuse: -1}
	h.proc.agent = agent.New(agent.Parts{
		Store: h.proc, Prober: h.proc, Runner: h.proc, Log: slog.New(slog.DiscardHandler),
		Drive: agent.Drive{
			Now: h.proc.now, Start: h.proc.start,
			Rand: func(name string) float64 { return h.drawn(h.find(name), h.proc.now()) },
			Within: func(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
				return ctx, func() {}
			},
			Decide: h.proc.decide, Health: h.proc.health,
		},
	}, h.config, h.proc)
	h.result.Starts++
}

// stop ends the agent: what it had under way is gone, what it wrote is there.
func (h *host) stop() {
	if h.proc != nil {
		h.proc.dead = true
		h.awake()
		for _, c := range h.certs {
			c.skip.to[proofs], c.skip.unwritten = -1, false // what it had in its hands
		}
		h.proc = nil
	}
}

// lap lets the agent do what is due, and returns when it wants to be called
// again.
func (h *host) lap() time.Duration {
	next := h.proc.agent.Lap(context.Background())
	return next.Sub(epoch) - h.offset
}
