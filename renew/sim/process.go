package sim

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/agent"
	"github.com/certvigil/certvigil/renew/store"
)

// process is one life of the agent: what it reaches of the host. Once it is dead
// nothing that it does has an effect.
type process struct {
	host    *host
	agent   *agent.Agent
	dead    bool
	fuse    int            // it is killed at its so many-th write from now; negative is never
	elapsed time.Duration  // what the step under way has taken so far
	ran     time.Duration  // when the last run of the hook began, or the next will
	unnoted [cas]time.Time // until when a CA takes no order, where the disk would not take it
}

var errDead = errors.New("killed")

// now is the host's clock, and what the step under way took on top.
func (p *process) now() time.Time { return p.host.clock().Add(p.elapsed) }

// start runs a look or a step at once. Its outcome comes when the time that it
// took has passed.
func (p *process) start(_ renew.Do, work, done func()) {
	p.elapsed = 0
	work()
	took := p.elapsed
	p.elapsed = 0
	if took == 0 {
		done()
		return
	}
	h := p.host
	h.events.add(event{at: h.now + took, do: func() {
		if !p.dead {
			done()
		}
	}})
}

// write is asked before each change of the disk: whether it takes place, and
// what the writer hears. A process that is killed here never hears of it.
func (p *process) write() (does bool, err error) {
	h := p.host
	switch {
	case p.dead:
		return false, errDead
	case h.full > 0:
		err = syscall.ENOSPC
	case h.readOnly > 0:
		err = syscall.EROFS
	}
	if p.fuse < 0 {
		return err == nil, err
	}
	if p.fuse--; p.fuse < 0 {
		p.dead = true
		h.note(nil, "the agent is killed in the middle of a write")
		return err == nil && h.now%2 == 0, errDead
	}
	return err == nil, err
}

func (p *process) Versions(name string) ([]renew.Version, error) {
	return p.host.find(name).versions, nil
}

func (p *process) Live(name string) (int, time.Time, error) {
	c := p.host.find(name)
	return c.live, c.changed, nil
}

func (p *process) Read(string, int) (store.Bundle, error) { return store.Bundle{}, nil }

// Commit is not called: pairs of other people's are not adopted here, since to
// judge them takes real files.
func (p *process) Commit(string, store.Bundle) (int, error) { return 0, errors.ErrUnsupported }

func (p *process) LiveDir(string) string { return "/live" }

func (p *process) Link(name string, n int) error {
	does, err := p.write()
	if does {
		c := p.host.find(name)
		c.live, c.changed = n, p.now()
		p.host.note(c, "version %d is put in place", n)
	}
	return err
}

func (p *process) Prune(name string, keep int, spare ...int) error {
	does, err := p.write()
	if does {
		p.host.find(name).prune(keep, spare)
	}
	return err
}

func (p *process) Journal(name string) (renew.Journal, error) {
	c := p.host.find(name)
	p.host.catchUp(c)
	return c.journal, nil
}

func (p *process) Record(name string, j renew.Journal) error {
	does, err := p.write()
	if does {
		p.host.find(name).journal = j
	}
	return err
}

func (p *process) Account(directory, _ string) (store.Account, bool, error) {
	a := &p.host.cas[caOf(directory)]
	acc := store.Account{Directory: directory, HoldUntil: a.holdUntil}
	if a.registered {
		acc.URL = "1"
	}
	return acc, a.registered, nil
}

// prune drops old versions but the last keep and those to spare, as
// store.Prune does.
func (c *cert) prune(keep int, spare []int) {
	old := max(0, len(c.versions)-keep)
	if !slices.ContainsFunc(c.versions[:old], func(v renew.Version) bool { return slices.Contains(spare, v.N) }) {
		c.versions, c.leafOf = c.versions[old:], c.leafOf[old:]
		return
	}
	versions, leafOf := c.versions[:0:0], c.leafOf[:0:0] // readers keep what they read
	for i, v := range c.versions {
		if i >= old || slices.Contains(spare, v.N) {
			versions, leafOf = append(versions, v), append(leafOf, c.leafOf[i])
		}
	}
	c.versions, c.leafOf = versions, leafOf
}

// rehearsed is what the daily preflight makes of a host's health. Of all that it
// looks at only the clock is simulated.
func (h *host) rehearsed() renew.Level {
	if h.offset.Abs() > renew.ClockTolerance && h.now >= h.jumped+day {
		return renew.Attention
	}
	return renew.OK
}

// health is what renew.Health said last: [process.decide] asks it.
func (p *process) health(_ time.Time, cc *renew.Cert, _ *renew.Facts) renew.Verdict {
	return renew.Verdict{Level: p.host.find(cc.Name).level}
}

// listen has a human hear what renew.Health says.
func (p *process) listen(now time.Time, c *cert, cc *renew.Cert, f *renew.Facts) {
	v := p.host.opts.Planted.health(now, cc, f)
	v.Level = v.Level.Worse(p.host.rehearsed())
	if !p.dead {
		p.host.alarm(c, v)
	}
}
