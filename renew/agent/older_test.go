package agent

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
)

// crowd is a host with clients that stay connected. Its hooks wait for others
// before they run.
type crowd struct {
	*host
	wait time.Duration

	mu      sync.Mutex       // guards what follows
	open    map[string][]int // clients, by the address that they are connected to
	blind   error            // what Connected and its counts answer
	counts  int              // how often it was counted
	quiet   bool             // an event had nothing to call
	waiting func()           // called after the wait, before the reload
	ran     time.Time        // when a hook last returned
}

func (c *crowd) Connected(address string) (func(time.Time) (int, error), error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := slices.Clone(c.open[address])
	if c.blind != nil || len(before) == 0 {
		return nil, c.blind
	}
	return func(since time.Time) (int, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.counts++
		if since.After(time.Now()) || since.Before(c.ran) {
			return 0, errors.New("asked of another time")
		}
		before = slices.DeleteFunc(before, func(client int) bool { return !slices.Contains(c.open[address], client) })
		return len(before), c.blind
	}, nil
}

func (c *crowd) Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (hooks.Result, error) {
	time.Sleep(c.wait)
	c.mu.Lock()
	c.quiet = e.Reloading == nil
	waiting := c.waiting
	c.mu.Unlock()
	if waiting != nil {
		waiting()
	}
	if e.Reloading != nil {
		e.Reloading()
	}
	res, err := c.host.Run(ctx, h, e, spacing)
	time.Sleep(c.wait)
	c.alter(func() { c.ran = time.Now() })
	return res, err
}

func (c *crowd) are(address string, clients ...int) {
	c.alter(func() { c.open[address] = clients })
}

func (c *crowd) alter(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

// counted is how often it was.
func (c *crowd) counted() (n int) {
	c.alter(func() { n = c.counts })
	return n
}

// gathered has body look on at an agent of cfg, and says what the agent logged.
func gathered(t *testing.T, cfg *config.Config, body func(t *testing.T, c *crowd, a *Agent)) (log string) {
	t.Helper()
	var said strings.Builder
	c := &crowd{host: newHost(90 * day), open: map[string][]int{}, wait: time.Second}
	synctest.Test(t, func(t *testing.T) {
		a := c.agent(cfg, &said)
		defer started(t, a)()
		body(t, c, a)
	})
	return said.String()
}

func (c *crowd) agent(cfg *config.Config, said *strings.Builder) *Agent {
	return New(Parts{Store: c.host, Prober: c.host, Runner: c, Sockets: c, Log: slog.New(slog.NewTextHandler(said, nil))}, cfg, c.host)
}

// olderAt is how many older connections are told of an endpoint of www, which is
// served, and well, all the same.
func olderAt(t *testing.T, a *Agent, address string) int {
	t.Helper()
	r := report(t, a, "www")
	if r.Stage != renew.Served || r.Health != renew.OK {
		t.Errorf("%s, %s: %+v", r.Stage, r.Health, r.Findings)
	}
	for _, e := range r.Endpoints {
		if e.Address == address {
			return e.OlderConnections
		}
	}
	t.Fatalf("%s is no endpoint of %+v", address, r.Endpoints)
	return 0
}

func TestConnectionsFromBeforeTheReloadAreCountedUntilTheyAreGone(t *testing.T) {
	said := gathered(t, configOf("www"), func(t *testing.T, c *crowd, a *Agent) {
		c.are("www", 1, 2)
		c.alter(func() { c.waiting = func() { c.are("www", 1, 2, 3) } }) // 3 comes while the hook waits for others
		time.Sleep(10 * time.Second)
		for _, step := range []struct {
			open []int
			want int
		}{{[]int{1, 2, 3, 4}, 3}, {[]int{2, 3, 4, 5}, 2}, {[]int{1, 2, 4, 5}, 1}, {[]int{4, 5}, 0}, {[]int{1, 2, 3}, 0}} {
			c.are("www", step.open...)
			time.Sleep(proofs)
			if n := olderAt(t, a, "www"); n != step.want {
				t.Errorf("%d are told, want %d", n, step.want)
			}
		}
		counts := c.counted()
		time.Sleep(proofs)
		if c.counted() != counts {
			t.Errorf("the lists are read although nothing is noted")
		}
		if issued, reloads := c.count("www"); issued != 1 || reloads != 1 {
			t.Errorf("issued %d times, reloaded %d times", issued, reloads)
		}
	})
	if strings.Count(said, "msg=served") != 1 || !strings.Contains(said, "msg=served cert=www older_connections=3") {
		t.Errorf("the log says\n%s", said)
	}
	if _, after, _ := strings.Cut(said, "msg=served"); strings.Contains(after, "level=") {
		t.Errorf("more is said of it:\n%s", said)
	}
}

// proofs is more than the time between two proofs.
const proofs = 61 * time.Minute

func TestARetriedReloadCountsThoseThatCameSinceTheFirst(t *testing.T) {
	gathered(t, configOf("www"), func(t *testing.T, c *crowd, a *Agent) {
		c.are("www", 1, 2)
		failed := false
		c.set(func() {
			c.hook = func(context.Context, hooks.Event) error {
				if failed {
					return nil
				}
				failed = true
				c.are("www", 2, 3)
				return errors.New("no reload")
			}
		})
		time.Sleep(proofs)
		if n := olderAt(t, a, "www"); n != 2 {
			t.Errorf("%d are told, want 2", n)
		}
	})
}

func TestAfterARestartNothingIsSaidOfOlderConnections(t *testing.T) {
	cfg := configOf("www")
	c := &crowd{host: newHost(90 * day), open: map[string][]int{"www": {1, 2}}}
	synctest.Test(t, func(t *testing.T) {
		for _, want := range []int{2, 0} {
			a := c.agent(cfg, &strings.Builder{})
			stop := started(t, a)
			time.Sleep(2 * proofs)
			if n := olderAt(t, a, "www"); n != want {
				t.Errorf("%d are told, want %d", n, want)
			}
			stop()
		}
	})
}

func TestWhatWasNotedBeforeAnotherReloadIsForgotten(t *testing.T) {
	gathered(t, configOf("www"), func(t *testing.T, c *crowd, a *Agent) {
		c.are("www", 1, 2)
		time.Sleep(10 * time.Second)
		c.are("www")
		if err := a.Request("www", true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond) // the hook has reloaded, and not returned yet
		c.are("www", 1)
		time.Sleep(proofs)
		if n := olderAt(t, a, "www"); n != 0 {
			t.Errorf("%d are told, want none", n)
		}
	})
	o := older{still: map[string]func(time.Time) (int, error){"gone": func(time.Time) (int, error) { return 1, nil }}}
	if o.count([]renew.Proof{{Address: "www", Served: true}}, slog.New(slog.DiscardHandler)); len(o.still) != 0 {
		t.Error("an address that is no endpoint any more is kept")
	}
}

// TestAnEndpointsOwnHookTells: what connects to one server between two reloads is
// older than neither, where the second is another server's.
func TestAnEndpointsOwnHookTells(t *testing.T) {
	cfg := configOf("www")
	cfg.Hooks["mail"] = hooks.Hook{Name: "mail", Timeout: time.Second, Reload: hooks.Reload{Unit: "postfix.service"}}
	c := &cfg.Certs[0]
	c.Hooks = []string{"nginx", "mail"}
	c.Endpoints = []renew.Endpoint{{Address: "www", Hooks: []string{"nginx"}}, {Address: "www:25", Hooks: []string{"mail"}}}
	gathered(t, cfg, func(t *testing.T, c *crowd, a *Agent) {
		runs := 0
		c.alter(func() {
			c.waiting = func() {
				if runs++; runs == 2 {
					c.are("www", 1, 2)
				}
			}
		})
		c.are("www", 1)
		c.are("www:25", 7, 8, 9)
		time.Sleep(10 * time.Second)
		if web, mail := olderAt(t, a, "www"), olderAt(t, a, "www:25"); web != 1 || mail != 3 {
			t.Errorf("%d and %d are told, want 1 and 3", web, mail)
		}
	})
}

// TestAFailingHookOfAnotherServerMakesNothingOld: it runs again and again, and the
// endpoint, which names no hook, shows the new certificate since the first reload.
func TestAFailingHookOfAnotherServerMakesNothingOld(t *testing.T) {
	cfg := configOf("www")
	cfg.Hooks["mail"] = hooks.Hook{Name: "mail", Timeout: time.Second, Reload: hooks.Reload{Unit: "postfix.service"}}
	cfg.Certs[0].Hooks = []string{"nginx", "mail"}
	gathered(t, cfg, func(t *testing.T, c *crowd, a *Agent) {
		c.are("www", 1, 2)
		var runs atomic.Int64 // hooks run while the test goes on
		var repaired atomic.Bool
		c.set(func() {
			c.hook = func(context.Context, hooks.Event) error {
				if runs.Add(1) > 1 && !repaired.Load() {
					return errors.New("postfix: fatal")
				}
				return nil
			}
		})
		time.Sleep(time.Minute)
		c.are("www", 2, 3, 4, 5)
		time.Sleep(proofs)
		repaired.Store(true)
		time.Sleep(proofs)
		if n := olderAt(t, a, "www"); n != 1 || runs.Load() < 10 {
			t.Errorf("after %d runs %d are told, want the one from before the first", runs.Load(), n)
		}
	})
}

func TestAnAddressIsToldOnce(t *testing.T) {
	cfg := configOf("www")
	cfg.Certs[0].Names = []string{"www.example.com", "example.com"}
	gathered(t, cfg, func(t *testing.T, c *crowd, a *Agent) {
		c.are("www", 1)
		time.Sleep(10 * time.Second)
		all := report(t, a, "www").Older()
		if len(all) != 1 || all[0].Older() != "1 connection from before the reload is still open" {
			t.Errorf("told: %+v", all)
		}
	})
}

func TestWhereItCantBeCountedNothingElseIsDifferent(t *testing.T) {
	t.Run("the lists can't be read", func(t *testing.T) {
		gathered(t, configOf("www"), func(t *testing.T, c *crowd, a *Agent) {
			c.are("www", 1)
			time.Sleep(10 * time.Second)
			c.alter(func() { c.blind = errors.New("no /proc") })
			for range 2 {
				time.Sleep(proofs)
				if n := olderAt(t, a, "www"); n != 0 {
					t.Errorf("%d are told", n)
				}
			}
			if err := a.Request("www", true); err != nil { // another reload, of which nothing can be noted
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second)
			c.alter(func() { c.blind = nil })
			time.Sleep(proofs)
			if n := olderAt(t, a, "www"); n != 1 {
				t.Errorf("%d are told, want the one from before", n)
			}
		})
	})
	t.Run("nobody counts", func(t *testing.T) {
		c := &crowd{host: newHost(90 * day)}
		synctest.Test(t, func(t *testing.T) {
			a := New(Parts{Store: c.host, Prober: c.host, Runner: c, Log: slog.New(slog.DiscardHandler)}, configOf("www"), c.host)
			defer started(t, a)()
			time.Sleep(proofs)
			if n := olderAt(t, a, "www"); n != 0 || !c.quiet {
				t.Errorf("%d are told; the hook is to note something: %v", n, !c.quiet)
			}
		})
	})
}

// defect is a list that panics: when it is noted, or when it is counted.
type defect struct{ counts bool }

func (d defect) Connected(string) (func(time.Time) (int, error), error) {
	if !d.counts {
		panic("a defect")
	}
	return func(time.Time) (int, error) { panic("a defect") }, nil
}

// TestADefectInCountingStopsNeitherReloadNorProof: hooks run in a goroutine of their
// own, where a panic would be the end of the process.
func TestADefectInCountingStopsNeitherReloadNorProof(t *testing.T) {
	for _, d := range []defect{{}, {counts: true}} {
		h := newHost(90 * day)
		synctest.Test(t, func(t *testing.T) {
			var said strings.Builder
			a := New(Parts{Store: h, Prober: h, Runner: elsewhere{h}, Sockets: d, Log: slog.New(slog.NewTextHandler(&said, nil))}, configOf("www"), h)
			stop := started(t, a)
			time.Sleep(2 * proofs)
			olderAt(t, a, "www")
			stop()
			if got := said.String(); strings.Count(got, "counting connections panicked") != 1 || !strings.Contains(got, "a defect") {
				t.Errorf("the log says\n%s", got)
			}
		})
	}
}

// elsewhere runs hooks in a goroutine of their own, as the real one does.
type elsewhere struct{ *host }

func (r elsewhere) Run(ctx context.Context, h hooks.Hook, e hooks.Event, spacing time.Duration) (res hooks.Result, err error) {
	var running sync.WaitGroup
	running.Go(func() {
		e.Reloading()
		res, err = r.host.Run(ctx, h, e, spacing)
	})
	running.Wait()
	return res, err
}

// TestOneThatShowsTheOldCertificateIsNotCounted: there every connection is on it.
func TestOneThatShowsTheOldCertificateIsNotCounted(t *testing.T) {
	gathered(t, configOf("www"), func(t *testing.T, c *crowd, a *Agent) {
		c.are("www", 1)
		c.set(func() { c.lies = true })
		time.Sleep(time.Minute)
		r := report(t, a, "www")
		if r.Stage == renew.Served || r.Endpoints[0].OlderConnections != 0 || c.counted() != 0 {
			t.Errorf("%s, %+v", r.Stage, r.Endpoints)
		}
		c.set(func() { c.lies = false })
		time.Sleep(10 * time.Minute)
		if n := olderAt(t, a, "www"); n != 1 {
			t.Errorf("%d are told, want 1", n)
		}
	})
}
