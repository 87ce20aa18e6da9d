package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/prober"
	"github.com/certvigil/certvigil/examples/stage"
)

// agentBinary is built once for all tests.
var agentBinary string

func TestMain(m *testing.M) { os.Exit(withAgent(m)) }

func withAgent(m *testing.M) int {
	dir, err := os.MkdirTemp("", "certvigil-soak-test-")
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

// soaked runs the soak with its folder under the test's, and returns its exit
// code and what it printed.
func soaked(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := run(append(args, "--binary", agentBinary), &out, &out)
	return code, out.String()
}

func TestAShortStormPassesWithoutALapse(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	code, out := soaked(t, "--duration", "30s", "--lifetime", "30s", "--certs", "4", "--seed", "5", "--ca-faults", "0.15")
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	for _, want := range []string{"lapses        0", "torn pairs    0", "times killed", "requests failed"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestTheThreeActsOfMegaphone(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	code, out := soaked(t, "--megaphone", "--lifetime", "16s", "--certs", "2")
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	for _, want := range []string{"act one: all 3 names lapsed", " 0 lapses", "site00: attention", "site01: attention"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in:\n%s", want, out)
		}
	}
}

func TestAStormThatLapsesIsNotPassed(t *testing.T) {
	ports, err := stage.FreePorts(2)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := stage.StartCA(20*time.Second, ports[0], ports[1], 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ca.Close()
	c := &chaos{host: &stage.Host{CA: ca}, lifetime: 20 * time.Second, counts: counts{kills: 1, restarts: 1}}
	good := prober.Record{Handshakes: 10, Leaves: 3}
	lapsed, blind, stale := good, good, good
	lapsed.Lapses = map[prober.Kind]int{prober.Expired: 1}
	blind.Handshakes = 0
	stale.Leaves = 1
	for want, r := range map[string]prober.Record{
		"1 lapses": lapsed, "never seen": blind, "only 1 certificates": stale,
		"0 accounts": good, // this CA was never asked for anything
	} {
		err := c.verdict(prober.Report{Records: []prober.Record{r}}, 10, time.Minute)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	c.counts = counts{}
	err = c.verdict(prober.Report{Records: []prober.Record{good}}, 10, time.Minute)
	for _, want := range []string{"never killed", "never restarted"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q: a calm storm proves nothing", err, want)
		}
	}
}

func TestRandomTimesStayWithinTheirBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		if d := between(rng, time.Second, 2*time.Second); d < time.Second || d >= 2*time.Second {
			t.Fatal(d)
		}
	}
}

func TestFlagsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"--certs", "0"}, {"--lifetime", "1s"}, {"--ca-faults", "1"}, {"--duration", "30s"}, {"now"}, {"--nonsense"},
	} {
		var errs bytes.Buffer
		if code := run(args, io.Discard, &errs); code != 2 || errs.Len() == 0 {
			t.Errorf("%v: exit code %d, said %q", args, code, &errs)
		}
	}
}
