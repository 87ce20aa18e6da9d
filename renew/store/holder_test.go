package store

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func holderOf(t *testing.T, dir string) Holder {
	t.Helper()
	r, err := OpenReadOnly(dir)
	must(t, err)
	defer r.Close()
	h, err := r.Holder()
	must(t, err)
	return h
}

func TestWhoLooksLearnsWhoHoldsTheLock(t *testing.T) {
	dir := t.TempDir()
	if h := holderOf(t, dir); h.Held || h.PID != 0 || h.Starts != nil {
		t.Errorf("a directory that nobody ever held: %+v", h)
	}
	cmd, _ := startHolder(t, dir)
	h := holderOf(t, dir)
	if !h.Held || h.PID != cmd.Process.Pid || len(h.Starts) != 1 {
		t.Errorf("%+v, want held by %d", h, cmd.Process.Pid)
	}
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // killed
	if h := holderOf(t, dir); h.Held || h.PID != cmd.Process.Pid {
		t.Errorf("after its death: %+v", h)
	}
	var times []time.Time
	for range 2 * keepStarts {
		s := mustOpen(t, dir)
		times = append([]time.Time{holderOf(t, dir).Starts[0]}, times...)
		must(t, s.Close())
	}
	if got := holderOf(t, dir).Starts; !slices.EqualFunc(got, times[:keepStarts], time.Time.Equal) {
		t.Errorf("the last starts are %v, want %v", got, times[:keepStarts])
	}
}

// A look that happens at the moment of a start turns nobody away.
func TestLooksKeepNobodyFromStarting(t *testing.T) {
	dir := t.TempDir()
	must(t, mustOpen(t, dir).Close())
	r, err := OpenReadOnly(dir)
	must(t, err)
	defer r.Close()
	done := make(chan struct{})
	var looking sync.WaitGroup
	defer looking.Wait()
	defer close(done)
	looking.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := r.Holder(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 50 {
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		must(t, s.Close())
	}
}

func TestTwoWhoLookDoNotSeeEachOther(t *testing.T) {
	dir := t.TempDir()
	must(t, mustOpen(t, dir).Close())
	file, err := os.Open(filepath.Join(dir, "lock"))
	must(t, err)
	defer file.Close()
	must(t, flock(file, 1)) // LOCK_SH: another look, in the midst of it
	if holderOf(t, dir).Held {
		t.Error("a look counts as a holder")
	}
}

func TestALockThatTellsNothingIsHeldAllTheSame(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for _, text := range []string{"", "\n", "what\nis this\n", "-7\n2026-13-45T00:00:00Z\n"} {
		must(t, os.WriteFile(filepath.Join(dir, "lock"), []byte(text), 0o644))
		must(t, os.WriteFile(filepath.Join(dir, "starts"), []byte(text), 0o644))
		if h := holderOf(t, dir); !h.Held || h.PID != 0 || len(h.Starts) != 0 {
			t.Errorf("%q: %+v", text, h)
		}
	}
	must(t, s.Close())
	mustOpen(t, dir)
	if h := holderOf(t, dir); h.PID != os.Getpid() || len(h.Starts) != 1 {
		t.Errorf("the next holder: %+v", h)
	}
}

// Who may read a file may lock it: a lock file that was open to others is closed
// to them by the next who takes it.
func TestNobodyElseCanKeepTheAgentFromStarting(t *testing.T) {
	dir := t.TempDir()
	must(t, mustOpen(t, dir).Close())
	for _, file := range []string{"lock", "starts"} {
		must(t, os.Chmod(filepath.Join(dir, file), 0o644))
	}
	must(t, mustOpen(t, dir).Close())
	for _, file := range []string{"lock", "starts"} {
		st, err := os.Stat(filepath.Join(dir, file))
		must(t, err)
		if st.Mode().Perm() != 0o600 {
			t.Errorf("%s is open to others: %s", file, st.Mode())
		}
	}
}

// Where the starts can't be noted down, that keeps nobody from starting.
func TestStartsAreNoCondition(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "starts"), 0o755))
	mustOpen(t, dir)
	if h := holderOf(t, dir); !h.Held || h.PID != os.Getpid() || h.Starts != nil {
		t.Errorf("%+v", h)
	}
}

func TestABeatIsASignOfLife(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	now := time.Now().Round(time.Microsecond) // what the call can say
	sign := func() time.Time { return holderOf(t, dir).Sign }
	for _, tc := range []struct {
		at, want time.Duration
	}{
		{0, 0}, {BeatEvery - 1, 0}, {BeatEvery, BeatEvery}, {BeatEvery + time.Minute, BeatEvery},
		{-3 * time.Hour, -3 * time.Hour}, // the clock was set back
	} {
		must(t, s.Beat(now.Add(tc.at)))
		if got := sign(); !got.Equal(now.Add(tc.want)) {
			t.Errorf("a beat at %s leaves the sign of %s, want that of %s", tc.at, got.Sub(now), tc.want)
		}
	}
	r, err := OpenReadOnly(dir)
	must(t, err)
	defer r.Close()
	if err := r.Beat(now); !errors.Is(err, ErrReadOnly) {
		t.Errorf("who only looks left a sign of life: %v", err)
	}
}
