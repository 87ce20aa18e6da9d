package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// beDemo makes the test binary the demonstration itself: it is run as a program,
// since --break disk starts itself over.
const beDemo = "CERTVIGIL_TEST_BE_DEMO"

// agentBinary is built once for all tests.
var agentBinary string

func TestMain(m *testing.M) {
	if os.Getenv(beDemo) != "" {
		main()
	}
	os.Exit(withAgent(m))
}

func withAgent(m *testing.M) int {
	dir, err := os.MkdirTemp("", "certvigil-demo-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		agentBinary, err = stage.Build(context.Background(), dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// show runs the demonstration and returns what it printed.
func show(t *testing.T, args ...string) string {
	t.Helper()
	out, err := play(t, append(args, "--binary", agentBinary)...)
	if err != nil {
		t.Fatalf("demo %v: %v\n%s", args, err, out)
	}
	return out
}

// play runs the demonstration as a program, in a folder of the test.
func play(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), beDemo+"=1", "TMPDIR="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// lying returns an agent that is the real one but for one subcommand, which is
// a shell script in which $real is the real one.
func lying(t *testing.T, subcommand, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "certvigil")
	text := fmt.Sprintf("#!/bin/sh\nreal=%s\n[ \"$1\" = %s ] || exec $real \"$@\"\nshift\n%s\n", agentBinary, subcommand, script)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// inOrder fails the test where the wanted texts do not follow each other.
func inOrder(t *testing.T, text string, wanted ...string) {
	t.Helper()
	rest := text
	for _, w := range wanted {
		_, after, found := strings.Cut(rest, w)
		if !found {
			t.Fatalf("%q does not come where it should in:\n%s", w, text)
		}
		rest = after
	}
}

func TestLapsAreShownStageByStage(t *testing.T) {
	t.Parallel()
	out := show(t, "--rounds", "2", "--lifetime", "20s")
	lap := []string{"issued", "installed", "tested", "reloaded", "proved", "a client accepts it", "renews at"}
	inOrder(t, out, append(append(lap, "lap 1 of 2"), append(lap, "lap 2 of 2", " 0 lapses")...)...)
}

func TestALyingReloadIsAlarmedAndHealed(t *testing.T) {
	t.Parallel()
	inOrder(t, show(t, "--break", "reload", "--lifetime", "24s"),
		"lap 1", "fault", `command = ["true"]`, "reloaded", "exit code 1", "attention not-served", "healing", "exit code 0", "healed", " 0 lapses")
}

func TestADeadCAIsAlarmedAndHealed(t *testing.T) {
	t.Parallel()
	inOrder(t, show(t, "--break", "ca", "--lifetime", "24s"),
		"lap 1", "fault", "FAILED", "503", "exit code 1", "healing", "proved", "exit code 0", "healed", " 0 lapses")
}

func TestAFullDiskIsAlarmedAndHealed(t *testing.T) {
	t.Parallel()
	inOrder(t, show(t, "--break", "disk", "--lifetime", "24s"),
		"lap 1", "fault", "FAILED", "no space left", "is whole", "healing", "proved", "exit code 0", "healed", " 0 lapses")
}

func TestAnAlarmThatTheExitCodeDoesNotShowIsNoAlarm(t *testing.T) {
	t.Parallel()
	agent := lying(t, "status", `$real status "$@"; exit 0`)
	out, err := play(t, "--break", "reload", "--lifetime", "16s", "--binary", agent)
	if err == nil || !strings.Contains(out, "waiting for an alarm") {
		t.Errorf("%v; want a failure for want of an alarm:\n%s", err, out)
	}
}

func TestAnAgentThatDoesNotRenewEndsTheLaps(t *testing.T) {
	t.Parallel()
	agent := lying(t, "run", `$real apply "$@"; exec sleep 60`)
	out, err := play(t, "--rounds", "2", "--lifetime", "12s", "--binary", agent)
	if err == nil || !strings.Contains(out, "lap 1 of 2") || !strings.Contains(out, "waiting for a new version") {
		t.Errorf("%v; want the second lap to fail:\n%s", err, out)
	}
}

func TestCtrlCEndsADemonstrationWithoutAnEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "--lifetime", "20s", "--binary", agentBinary)
	cmd.Env = append(os.Environ(), beDemo+"=1", "TMPDIR="+t.TempDir())
	var out bytes.Buffer
	shown := &stage.Log{Copy: &out}
	cmd.Stdout, cmd.Stderr = shown, shown
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _, err := shown.Await(ctx, 0, func(e stage.Event) bool { return strings.Contains(e.Line, "lap 1 done") })
	if err := errors.Join(err, cmd.Process.Signal(os.Interrupt), cmd.Wait()); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
	inOrder(t, out.String(), "lap 1 done", " 0 lapses")
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--break", "leg"}, {"--rounds", "-1"}, {"--lifetime", "1s"}, {"now"}, {"--nonsense"}} {
		var errs bytes.Buffer
		if code := run(args, io.Discard, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: exit code %d, said %q", args, code, &errs)
		}
	}
}
