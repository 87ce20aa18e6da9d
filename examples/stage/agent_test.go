package stage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// scripted returns an agent whose binary is a shell script.
func scripted(t *testing.T, script string) *stage.Agent {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	a := &stage.Agent{Binary: path, Config: "c.hcl", Socket: "c.sock", Log: &stage.Log{}}
	t.Cleanup(func() { _ = a.Kill() })
	return a
}

func TestAwaitReturnsTheLineThatMatchesAndWhatFollowsIt(t *testing.T) {
	a := scripted(t, `
echo '{"time":"2026-01-02T03:04:05.5Z","level":"INFO","msg":"served","cert":"other","version":1}' >&2
echo 'not json' >&2
echo '{"time":"2026-01-02T03:04:06Z","level":"INFO","msg":"served","cert":"www","version":7,"took":1500000000,"next":"2026-01-02T03:05:00Z"}' >&2
echo '{"level":"WARN","msg":"after"}' >&2
exec sleep 60`)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	ctx := limited(t, 10*time.Second)
	e, next, err := a.Await(ctx, 0, stage.Message("served", "www"))
	if err != nil {
		t.Fatal(err)
	}
	if e.Number("version") != 7 || e.Took("took") != 1500*time.Millisecond || e.Time.Second() != 6 || e.When("next").Minute() != 5 {
		t.Errorf("parsed %+v", e)
	}
	if e, _, err := a.Await(ctx, next, func(stage.Event) bool { return true }); err != nil || e.Msg != "after" {
		t.Errorf("what follows: %q, %v", e.Line, err)
	}
}

func TestAwaitFailsAsSoonAsTheAgentHasEnded(t *testing.T) {
	a := scripted(t, `echo 'certvigil.hcl:1: no such thing' >&2; exit 3`)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	_, _, err := a.Await(limited(t, 10*time.Second), 0, stage.Message("served", ""))
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("got %v; want the exit status and the last words", err)
	}
}

func TestAwaitFailsWithItsContext(t *testing.T) {
	a := scripted(t, `exec sleep 60`)
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	late := errors.New("late")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, late)
	defer cancel()
	if _, _, err := a.Await(ctx, 0, stage.Message("served", "")); !errors.Is(err, late) {
		t.Errorf("got %v", err)
	}
}

func TestAnAgentIsKilledAndStartedAgainUnderOneLog(t *testing.T) {
	a := scripted(t, `echo '{"msg":"up"}' >&2; exec sleep 60`)
	ctx, at := limited(t, 10*time.Second), 0
	var pids []int
	for range 2 {
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		var err error
		if _, at, err = a.Await(ctx, at, stage.Message("up", "")); err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err == nil {
			t.Fatal("started twice at once")
		}
		pids = append(pids, a.PID())
		if err := a.Kill(); err != nil || a.Running() {
			t.Fatalf("after Kill: %v, running %v", err, a.Running())
		}
	}
	if pids[0] == pids[1] || pids[0] == 0 {
		t.Errorf("ids %v", pids)
	}
}

func TestStatusGivesTheExitCodeAndTheCertificates(t *testing.T) {
	a := scripted(t, `
[ "$*" = "status --json --config c.hcl --socket c.sock" ] || { echo "called with $*" >&2; exit 9; }
echo '{"running":true,"certificates":[{"name":"www","stage":"deployed","health":"attention","reason":"not-served","version":2,"failure":null}]}'
exit 1`)
	s, err := a.Status(limited(t, 10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	c, ok := s.Certificate("www")
	if s.Code != stage.CodeAttention || !s.Running || !ok || c.Health != "attention" || c.Reason != "not-served" || c.Version != 2 {
		t.Errorf("got %+v", s)
	}
	if _, ok := s.Certificate("mail"); ok {
		t.Error("found a certificate that is not there")
	}
}
