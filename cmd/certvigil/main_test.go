package main

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the program itself where it is started under
// its name: the processes that these tests start are this very code, race
// detector included, and the one that finds a race dies of it.
func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", raceOptions); err != nil {
		panic(err)
	}
	// They wait for clocks and processes more than they compute.
	if err := flag.Set("test.parallel", "10"); err != nil { // the command line's own word comes later, and counts
		panic(err)
	}
	testscript.Main(m, map[string]func(){"certvigil": main, crashName: crashMain, hogName: hog})
}

// raceOptions: by default the detector lets a program wait a second at its end.
const raceOptions = "halt_on_error=1 atexit_sleep_ms=0"
