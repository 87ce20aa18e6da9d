package main

import (
	"debug/elf"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestTheLinkerDropsWhatNobodyCalls: where anything that is reached looks methods
// up by a name that it reads, as text/template does, the linker keeps every
// exported one, and the agent has two and a half megabytes more in memory.
func TestTheLinkerDropsWhatNobodyCalls(t *testing.T) {
	if testing.Short() {
		return
	}
	binary := filepath.Join(t.TempDir(), "certvigil")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	symbols, err := file.Symbols()
	if err != nil || len(symbols) < 10_000 {
		t.Fatalf("%d symbols, %v", len(symbols), err)
	}
	for _, s := range symbols {
		if s.Name == "text/template.(*state).evalField" {
			t.Fatalf("%s is linked in: who calls it?", s.Name)
		}
	}
}

func TestMemoryIsGivenBackOnceABurstIsOver(t *testing.T) {
	now, given := time.Now(), 0
	e := ease{free: func() { given++ }}
	var allocated uint64
	turn := func(slept time.Duration, more uint64) {
		now, allocated = now.Add(slept), allocated+more
		e.at(now, allocated)
	}
	for range 100 {
		turn(time.Second, burst)
	}
	if given != 0 {
		t.Errorf("given back %d times while work goes on", given)
	}
	turn(quiet, 0)
	if given != 1 {
		t.Errorf("given back %d times after the burst", given)
	}
	for range 100 {
		turn(quiet, burst/100)
	}
	if given != 1 {
		t.Errorf("given back %d times while nothing goes on", given)
	}
	turn(quiet, burst)
	if given != 2 {
		t.Errorf("given back %d times after two bursts", given)
	}
}
