package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// breakReload makes the reload hook lie: it returns 0 and does nothing.
func (d *demo) breakReload(ctx context.Context) error {
	d.title("fault: the reload command becomes [\"true\"]: it returns 0 and does nothing")
	honest := d.host.Config.Reload
	if err := d.reconfigure(ctx, []string{"true"}); err != nil {
		return err
	}
	_, err := d.until(ctx, d.lifetime, "the hook to claim success", func(e stage.Event) bool {
		return e.Msg == "hook acknowledged" && e.Number("version") > d.shown
	})
	if err != nil {
		return err
	}
	if err := d.alarm(ctx, d.expiry(), "not-served", "served-expiring"); err != nil {
		return err
	}
	d.say("demo", "checks", "the hook has returned 0, and yet:")
	if err := d.proveOld(ctx); err != nil {
		return err
	}
	d.title("healing: the reload command is put right")
	if err := d.reconfigure(ctx, honest); err != nil {
		return err
	}
	return d.healed(ctx)
}

// reconfigure replaces the reload command and has the agent read it.
func (d *demo) reconfigure(ctx context.Context, reload []string) error {
	d.catchUp()
	if err := d.host.Reconfigure(func(c *stage.Config) { c.Reload = reload }); err != nil {
		return err
	}
	if err := d.host.Agent.Reload(); err != nil {
		return err
	}
	command, err := json.Marshal(reload)
	if err != nil {
		return fmt.Errorf("showing the reload command: %w", err)
	}
	d.say("demo", "edits", "reload { command = %s }", command)
	_, err = d.until(ctx, 15*time.Second, "the configuration to be loaded", stage.Message("configuration loaded", ""))
	return err
}

// breakCA makes the CA answer every request with a 503 page.
func (d *demo) breakCA(ctx context.Context) error {
	d.title("fault: the CA answers every request with 503 and a page of HTML")
	d.host.CA.Faults.Set(1, stage.Unavailable)
	if _, err := d.until(ctx, d.lifetime, "a renewal to fail", failed("issue")); err != nil {
		return err
	}
	half, err := d.halfOfSlack()
	if err != nil {
		return err
	}
	if err := d.alarm(ctx, half, "issue-failing", "overdue"); err != nil {
		return err
	}
	if err := d.proveOld(ctx); err != nil {
		return err
	}
	d.title("healing: the CA is back")
	d.host.CA.Faults.Set(0)
	return d.healed(ctx)
}

// breakDisk fills the small file system that the state directory lies on.
func (d *demo) breakDisk(ctx context.Context) error {
	d.title("fault: the state directory's disk is full (a file system of %d KiB)", smallDisk>>10)
	ballast, err := fillUp(d.host.Config.StateDir)
	if err != nil {
		return err
	}
	d.say("demo", "fills", "%s", ballast)
	if _, err := d.until(ctx, d.lifetime, "a step to fail", failed("")); err != nil {
		return err
	}
	half, err := d.halfOfSlack()
	if err != nil {
		return err
	}
	if err := d.alarm(ctx, half); err != nil {
		return err
	}
	if _, err := d.host.Pair(site); err != nil {
		return fmt.Errorf("the pair is not whole while the disk is full: %w", err)
	}
	d.say("demo", "checks", "the pair at live/%s is whole: the key fits the certificate", site)
	if err := d.proveOld(ctx); err != nil {
		return err
	}
	d.title("healing: there is room again")
	if err := os.Remove(ballast); err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	return d.healed(ctx)
}

// failed matches a failed step, of any kind where step is empty.
func failed(step string) func(stage.Event) bool {
	return func(e stage.Event) bool {
		return e.Msg == "step failed" && (step == "" || e.Text("step") == step)
	}
}

// expiry is when what clients saw last expires.
func (d *demo) expiry() time.Time {
	for _, s := range d.served {
		return s.NotAfter
	}
	return time.Time{}
}

// halfOfSlack is when half of the time between due and expiry is gone.
// Certificates this short are due at half of their lifetime.
func (d *demo) halfOfSlack() (time.Time, error) {
	at := d.expiry()
	if at.IsZero() {
		return at, errors.New("nothing was served yet")
	}
	return at.Add(-d.lifetime / 4), nil
}

// healed waits for the next version to be proved, looks itself, and asks the
// agent whether all is well.
func (d *demo) healed(ctx context.Context) error {
	if err := d.oneLap(ctx); err != nil {
		return err
	}
	if err := d.calm(ctx); err != nil {
		return err
	}
	d.title("healed")
	return nil
}
