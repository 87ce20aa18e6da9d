package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
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

// show runs the demonstration as a program and returns what it printed.
func show(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], append(args, "--binary", agentBinary)...)
	cmd.Env = append(os.Environ(), beDemo+"=1", "TMPDIR="+t.TempDir())
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo %v: %v\n%s", args, err, out)
	}
	return string(out)
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

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--break", "leg"}, {"--rounds", "-1"}, {"--lifetime", "1s"}, {"now"}, {"--nonsense"}} {
		var errs bytes.Buffer
		if code := run(args, io.Discard, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: exit code %d, said %q", args, code, &errs)
		}
	}
}
