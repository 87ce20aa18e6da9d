package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// answer is what one call to Run returned.
type answer struct {
	res Result
	err error
}

// ask calls Run and delivers its answer.
func ask(ctx context.Context, r *Runner, h Hook, cert string, spacing time.Duration) <-chan answer {
	got := make(chan answer, 1)
	go func() {
		res, err := r.Run(ctx, h, Event{Cert: cert, Names: []string{cert + ".example"}}, spacing)
		got <- answer{res, err}
	}()
	return got
}

func take(t *testing.T, from <-chan answer) answer {
	t.Helper()
	select {
	case a := <-from:
		return a
	case <-time.After(deadline):
		t.Fatal("Run did not return")
		return answer{}
	}
}

// gated is a hook that writes down whom it serves, and then waits for a file.
type gated struct {
	Hook
	log, gate string
}

func gatedHook(t *testing.T) gated {
	dir := t.TempDir()
	g := gated{log: filepath.Join(dir, "log"), gate: filepath.Join(dir, "gate")}
	g.Hook = command(t, `echo "$CERTVIGIL_CERT" >> "$1"; while [ ! -e "$2" ]; do sleep 0.02; done; echo end >> "$1"`, g.log, g.gate)
	return g
}

func (g gated) open(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(g.gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// lines are what the hook has written so far.
func (g gated) lines() []string {
	text, _ := os.ReadFile(g.log)
	return strings.Fields(string(text))
}

// waiting is how many callers the open batch of the hook has.
func waiting(r *Runner, name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lines {
		if l.open != nil && l.open.hook.Name == name {
			return len(l.open.seats)
		}
	}
	return 0
}

// justRan makes r take h for one whose last run begins now, so that what is
// asked for together shares the next.
func justRan(r *Runner, h Hook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines[h.action()] = &line{turn: make(chan struct{}, 1), ended: time.Now()}
}

func TestCallsThatArriveTogetherRunOnce(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	justRan(r, g.Hook)
	var asked []<-chan answer
	var want []string
	for i := range 20 {
		cert := fmt.Sprintf("c%02d", i)
		want = append(want, cert)
		asked = append(asked, ask(t.Context(), r, g.Hook, cert, time.Second))
	}
	for _, from := range asked {
		a := take(t, from)
		slices.Sort(a.res.Certs)
		if a.err != nil || !a.res.Shared || !slices.Equal(a.res.Certs, want) {
			t.Errorf("got %+v, want all certificates served by one run", a)
		}
	}
	if lines := g.lines(); len(lines) != 21 { // 20 names in one line, and the end
		t.Errorf("log = %q", lines)
	}
}

func TestAFailureIsToldToAllWhoSharedTheRun(t *testing.T) {
	r := runner(t)
	h := command(t, "exit 75")
	justRan(r, h)
	one, two := ask(t.Context(), r, h, "one", time.Second), ask(t.Context(), r, h, "two", time.Second)
	for _, from := range []<-chan answer{one, two} {
		if a := take(t, from); !fault(t, a.err).Temporary || !a.res.Shared {
			t.Errorf("got %+v", a)
		}
	}
}

func TestACallDuringARunJoinsTheNext(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	first := ask(t.Context(), r, g.Hook, "first", 0)
	until(t, "the first run begins", func() bool { return len(g.lines()) == 1 })
	second := ask(t.Context(), r, g.Hook, "second", time.Millisecond)
	third := ask(t.Context(), r, g.Hook, "third", time.Millisecond)
	until(t, "both wait", func() bool { return waiting(r, "nginx") == 2 })
	g.open(t)
	if a := take(t, first); a.err != nil || !slices.Equal(a.res.Certs, []string{"first"}) || a.res.Shared {
		t.Errorf("first: %+v", a)
	}
	for _, from := range []<-chan answer{second, third} {
		a := take(t, from)
		slices.Sort(a.res.Certs)
		if a.err != nil || !slices.Equal(a.res.Certs, []string{"second", "third"}) || !a.res.Shared {
			t.Errorf("got %+v, want both served by the next run", a)
		}
	}
	if lines := g.lines(); len(lines) != 5 || lines[1] != "end" {
		t.Errorf("log = %q, want the second run after the end of the first", lines)
	}
}

func TestAHookThatHasNotRunLatelyRunsAtOnce(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	if a := take(t, ask(t.Context(), r, g.Hook, "first", time.Hour)); a.err != nil {
		t.Error(a.err)
	}
}

func TestRunsBeginASpacingApartHoweverManyArrive(t *testing.T) {
	r, h := runner(t), Hook{Name: "nginx"}
	log := filepath.Join(t.TempDir(), "log")
	h.Reload.Command = sh(t, `date +%s%N >> "$1"; sleep 0.1`, log)
	const spacing = 500 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 4*spacing)
	defer cancel()
	var all sync.WaitGroup
	for tick := time.NewTicker(spacing / 25); ctx.Err() == nil; <-tick.C {
		all.Go(func() { _, _ = r.Run(ctx, h, Event{Cert: "www"}, spacing) })
	}
	all.Wait()
	text, _ := os.ReadFile(log)
	began := strings.Fields(string(text))
	if len(began) < 2 || len(began) > 5 {
		t.Errorf("%d runs", len(began))
	}
	for i := 1; i < len(began); i++ {
		if gap := nanoseconds(t, began[i]) - nanoseconds(t, began[i-1]); gap < spacing {
			t.Errorf("run %d begins %s after the one before", i, gap)
		}
	}
}

func nanoseconds(t *testing.T, text string) time.Duration {
	t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(n)
}

func TestOneInAHurryHurriesTheOthers(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	justRan(r, g.Hook)
	patient := ask(t.Context(), r, g.Hook, "patient", time.Hour)
	until(t, "it waits", func() bool { return waiting(r, "nginx") == 1 })
	urgent := ask(t.Context(), r, g.Hook, "urgent", 0)
	for _, from := range []<-chan answer{patient, urgent} {
		if a := take(t, from); a.err != nil || !a.res.Shared {
			t.Errorf("got %+v", a)
		}
	}
}

// TestWhenABatchMayRun waits for nothing but what is asked for, to the nanosecond.
func TestWhenABatchMayRun(t *testing.T) {
	const spacing = 5 * time.Second
	for _, tt := range []struct {
		name     string
		ran      time.Duration // so long ago; 0: never
		spacings []time.Duration
		want     time.Duration
	}{
		{"never ran", 0, []time.Duration{spacing}, gathering},
		{"ran long ago", time.Hour, []time.Duration{spacing, spacing}, gathering},
		{"ran just now", time.Nanosecond, []time.Duration{spacing}, spacing - time.Nanosecond},
		{"ran a spacing ago", spacing, []time.Duration{spacing}, gathering},
		{"ran nearly a spacing ago", spacing - time.Millisecond, []time.Duration{spacing}, gathering},
		{"the shortest counts", time.Second, []time.Duration{spacing, 2 * time.Second, spacing}, time.Second},
		{"a spacing shorter than the gathering", 0, []time.Duration{time.Millisecond}, time.Millisecond},
		{"none", time.Nanosecond, []time.Duration{spacing, 0}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, l, b := time.Now(), &line{}, &batch{moved: make(chan struct{}, 1)}
				if tt.ran > 0 {
					l.ended = began.Add(-tt.ran)
				}
				for _, s := range tt.spacings {
					b.arrive(Hook{}, &seat{}, s)
				}
				new(Runner).await(t.Context(), l, b)
				if took := time.Since(began); took != tt.want {
					t.Errorf("after %s, want %s", took, tt.want)
				}
			})
		})
	}
}

func TestEachGetsARunOfItsOwnAndTheyDoNotOverlap(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.Each = true
	g.open(t)
	var asked []<-chan answer
	for i := range 4 {
		asked = append(asked, ask(t.Context(), r, g.Hook, fmt.Sprintf("c%d", i), time.Hour))
	}
	for _, from := range asked {
		if a := take(t, from); a.err != nil || a.res.Shared || len(a.res.Certs) != 1 {
			t.Errorf("got %+v", a)
		}
	}
	lines := g.lines()
	if len(lines) != 8 {
		t.Fatalf("log = %q", lines)
	}
	for i := 1; i < len(lines); i += 2 {
		if lines[i] != "end" {
			t.Errorf("runs overlap: %q", lines)
		}
	}
}

func TestDifferentHooksRunAtTheSameTime(t *testing.T) {
	r, g, other := runner(t), gatedHook(t), gatedHook(t)
	other.Name = "other"
	one, two := ask(t.Context(), r, g.Hook, "one", 0), ask(t.Context(), r, other.Hook, "two", 0)
	until(t, "both run", func() bool { return len(g.lines()) == 1 && len(other.lines()) == 1 })
	g.open(t)
	other.open(t)
	if a, b := take(t, one), take(t, two); a.err != nil || b.err != nil {
		t.Errorf("got %v, %v", a.err, b.err)
	}
}

func TestACallerWhoLeavesDoesNotEndTheRunOfTheOthers(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	justRan(r, g.Hook)
	ctx, cancel := context.WithCancel(t.Context())
	leaves, stays := ask(ctx, r, g.Hook, "leaves", time.Second), ask(t.Context(), r, g.Hook, "stays", time.Second)
	until(t, "the run begins", func() bool { return len(g.lines()) == 2 })
	cancel()
	if a := take(t, leaves); !errors.Is(a.err, context.Canceled) {
		t.Errorf("the one who left got %+v", a)
	}
	g.open(t)
	if a := take(t, stays); a.err != nil || len(a.res.Certs) != 2 {
		t.Errorf("the one who stayed got %+v", a)
	}
}

func TestACallerWhoLeavesBeforeTheRunIsNotServedByIt(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	justRan(r, g.Hook)
	ctx, cancel := context.WithCancel(t.Context())
	leaves, stays := ask(ctx, r, g.Hook, "leaves", time.Second), ask(t.Context(), r, g.Hook, "stays", time.Second)
	until(t, "both wait", func() bool { return waiting(r, "nginx") == 2 })
	cancel()
	take(t, leaves)
	if a := take(t, stays); a.err != nil || !slices.Equal(a.res.Certs, []string{"stays"}) || a.res.Shared {
		t.Errorf("got %+v", a)
	}
}

func TestWhenAllCallersHaveLeftTheRunIsEnded(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	justRan(r, g.Hook)
	ctx, cancel := context.WithCancel(t.Context())
	one, two := ask(ctx, r, g.Hook, "one", time.Second), ask(ctx, r, g.Hook, "two", time.Second)
	until(t, "the run begins", func() bool { return len(g.lines()) == 2 })
	cancel()
	take(t, one)
	take(t, two)
	// The gate is still shut: only an ended run lets the next one begin.
	next := ask(t.Context(), r, g.Hook, "next", 0)
	until(t, "the next run begins", func() bool { return slices.Contains(g.lines(), "next") })
	g.open(t)
	if a := take(t, next); a.err != nil {
		t.Errorf("next: %v", a.err)
	}
}

func TestTheLastCallerWhoLeavesAWaitingBatchTakesItAlong(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	justRan(r, g.Hook)
	ctx, cancel := context.WithCancel(t.Context())
	gone := ask(ctx, r, g.Hook, "gone", time.Hour)
	until(t, "it waits", func() bool { return waiting(r, "nginx") == 1 })
	cancel()
	take(t, gone)
	if a := take(t, ask(t.Context(), r, g.Hook, "next", 0)); a.err != nil || !slices.Equal(a.res.Certs, []string{"next"}) {
		t.Errorf("next: %+v", a)
	}
}

func TestABatchThatAllHaveLeftBehindARunningOneTakesNobodyIn(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	first := ask(t.Context(), r, g.Hook, "first", 0)
	until(t, "the first run begins", func() bool { return len(g.lines()) == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	gone := ask(ctx, r, g.Hook, "gone", 0)
	until(t, "another waits", func() bool { return waiting(r, "nginx") == 1 })
	cancel()
	take(t, gone)
	next := ask(t.Context(), r, g.Hook, "next", 0)
	until(t, "the next waits", func() bool { return waiting(r, "nginx") == 1 })
	g.open(t)
	for _, from := range []<-chan answer{first, next} {
		if a := take(t, from); a.err != nil || len(a.res.Certs) != 1 {
			t.Errorf("got %+v", a)
		}
	}
}

func TestOneCertificateAskingTwiceIsServedOnceWithItsLatestEvent(t *testing.T) {
	b := &batch{seats: []*seat{
		{event: Event{Cert: "a", Version: 1}}, {event: Event{Cert: "b", Version: 5}}, {event: Event{Cert: "a", Version: 2}},
	}}
	events, _, callers := b.seal(&line{})
	if len(events) != 2 || events[0].Version != 2 || events[1].Version != 5 || callers != 3 {
		t.Errorf("events = %+v for %d callers", events, callers)
	}
}

func TestABatchTakesNoMoreThanFitsIntoAnEnvironment(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	g.open(t)
	justRan(r, g.Hook)
	var asked []<-chan answer
	for i := range 8 {
		got := make(chan answer, 1)
		ev := Event{Cert: fmt.Sprintf("c%d", i)}
		for n := range 400 { // 8 times some 23 KB: more than one environment string may hold
			ev.Names = append(ev.Names, fmt.Sprintf("%d-%d-%s.example.com", i, n, strings.Repeat("x", 40)))
		}
		go func() {
			res, err := r.Run(t.Context(), g.Hook, ev, 300*time.Millisecond)
			got <- answer{res, err}
		}()
		asked = append(asked, got)
	}
	for _, from := range asked {
		if a := take(t, from); a.err != nil || len(a.res.Certs) > 2 {
			t.Errorf("got %d certificates, %v", len(a.res.Certs), a.err)
		}
	}
}

func TestCloseEndsWhatRunsAndRefusesWhatComes(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	runs := ask(t.Context(), r, g.Hook, "runs", 0)
	until(t, "the run begins", func() bool { return len(g.lines()) == 1 })
	waits := ask(t.Context(), r, g.Hook, "waits", time.Hour)
	until(t, "another waits", func() bool { return waiting(r, "nginx") == 1 })
	r.Close()
	for _, from := range []<-chan answer{runs, waits, ask(t.Context(), r, g.Hook, "late", 0)} {
		if a := take(t, from); !errors.Is(a.err, errClosed) {
			t.Errorf("got %v, want %v", a.err, errClosed)
		}
	}
}

func TestCloseDoesNotWaitForALongGrace(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	r.Grace = time.Hour
	g.Reload.Command = sh(t, `trap "" TERM; echo up >> "$1"; while :; do sleep 0.1; done`, g.log)
	ask(t.Context(), r, g.Hook, "stubborn", 0)
	until(t, "it runs", func() bool { return len(g.lines()) == 1 })
	ended := make(chan struct{})
	go func() { r.Close(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(deadline):
		t.Fatal("Close waits for a program that ignores SIGTERM")
	}
}

func TestAnEndedContextRunsNothing(t *testing.T) {
	r, g := runner(t), gatedHook(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the configuration was reloaded")
	cancel(why)
	if _, err := r.Run(ctx, g.Hook, www, 0); !errors.Is(err, why) {
		t.Errorf("err = %v", err)
	}
	if len(g.lines()) != 0 {
		t.Error("it ran")
	}
}

// TestEachIsToldJustBeforeTheReload: after the test, and neither where that fails
// nor before the run has its turn.
func TestEachIsToldJustBeforeTheReload(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	note := func(what string) {
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		fmt.Fprintln(f, what)
	}
	r := runner(t)
	h := command(t, `echo reload >> "$1"`, log)
	h.Test = sh(t, `echo test >> "$1"`, log)
	var running sync.WaitGroup
	for _, ev := range []Event{www, api} {
		ev.Reloading = func() { note("told") }
		running.Go(func() {
			if _, err := r.Run(t.Context(), h, ev, time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if got := strings.Fields(read(t, log)); !slices.Equal(got, []string{"test", "told", "told", "reload"}) && !slices.Equal(got, []string{"test", "told", "reload", "test", "told", "reload"}) {
		t.Errorf("got %q", got)
	}
	ev := www
	ev.Reloading = func() { t.Error("told of a reload that its test forbids") }
	h.Test = []string{"/bin/false"}
	if _, err := r.Run(t.Context(), h, ev, 0); err == nil {
		t.Error("the test passed")
	}
}

// TestAPanicFailsTheRunAlone: the next is run as ever.
func TestAPanicFailsTheRunAlone(t *testing.T) {
	r := runner(t)
	ev := www
	ev.Reloading = func() { panic("a defect") }
	h := command(t, "true", "")
	if _, err := r.Run(t.Context(), h, ev, 0); err == nil || !strings.Contains(err.Error(), "a defect") {
		t.Errorf("got %v", err)
	}
	if _, err := r.Run(t.Context(), h, www, 0); err != nil {
		t.Errorf("the next: %v", err)
	}
}
