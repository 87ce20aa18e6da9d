package postgresql_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/examples/walk"
)

// asNobody has the agent run as a user with the capabilities that the drop-in
// gives to it, and no others.
func asNobody(t *testing.T, w *walk.Walk) {
	t.Helper()
	named := regexp.MustCompile(`(?m)^AmbientCapabilities=(.*)$`).FindStringSubmatch(w.Read("certvigil.conf"))
	if named == nil {
		t.Fatal("certvigil.conf names no capabilities")
	}
	caps := "-all"
	for _, name := range strings.Fields(named[1]) {
		caps += ",+" + strings.ToLower(strings.TrimPrefix(name, "CAP_"))
	}
	script := fmt.Sprintf("#!/bin/sh\nexec setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs --bounding-set=%s --inh-caps=%s --ambient-caps=%s -- %s \"$@\"\n",
		caps, caps, caps, w.Agent.Binary)
	w.Agent.Binary = filepath.Join(w.Dir, "as-nobody")
	if err := os.WriteFile(w.Agent.Binary, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "-R", "nobody:nogroup", w.Dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// TestTheDropInIsEnough: the agent is not root, and what it writes belongs to the
// server alone. systemd is played by the test, which reloads.
func TestTheDropInIsEnough(t *testing.T) {
	if os.Geteuid() != 0 {
		return // nobody else can become another user
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	w := walk.New(t, "db", time.Hour)
	g := w.PostgreSQL(".")
	changes := append(g.Changes, w.Alone()...)
	changes[1] = `command = ["true"]`
	w.Configure("certvigil.hcl", changes...)
	if out, err := exec.Command("chown", "nobody", g.Pair).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	asNobody(t, w)
	if err := w.Agent.Start(); err != nil {
		t.Fatal(err)
	}
	at := 0
	for version := 1; version <= 2; version++ {
		_, next, err := w.Agent.Await(ctx, at, stage.Message("installed", "db"))
		if err != nil {
			t.Fatal(err)
		}
		belongs(t, filepath.Join(g.Pair, "db.key"), "postgres")
		if out, err := exec.Command(g.ReloadCommand()[0], g.ReloadCommand()[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, at, err = w.Agent.Await(ctx, next, stage.Message("served", "db")); err != nil {
			t.Fatal(err)
		}
		w.Shown(g)
		if version == 2 {
			return
		}
		// It says that it came to no good end: the reload is still to come.
		if _, err := w.Agent.Command(ctx, "renew", "db", "--force"); err != nil {
			t.Fatal(err)
		}
	}
}

func belongs(t *testing.T, path, name string) {
	t.Helper()
	who, err := user.Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("stat", "-c", "%u %a", path).Output()
	if want := fmt.Sprintf("%d 600\n", uid); err != nil || string(out) != want {
		t.Errorf("%s: %q, want %q (%v)", path, out, want, err)
	}
}
