package hooks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
)

// says checks that an error has these words in it; none means no error.
func says(t *testing.T, err error, words ...string) {
	t.Helper()
	if len(words) == 0 && err != nil {
		t.Errorf("not ready: %v", err)
	}
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("err = %v\nwant %q in it", err, w)
		}
	}
}

func TestAHookIsReadyWhereItsProgramsCanBeExecuted(t *testing.T) {
	dir := t.TempDir()
	program := func(name string, mode os.FileMode) []string {
		file := filepath.Join(dir, name)
		ran := filepath.Join(dir, "ran")
		if err := os.WriteFile(file, []byte("#!/bin/sh\ntouch "+ran+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		return []string{file, "argument"}
	}
	good, plain := program("good", 0o755), program("plain", 0o644)
	for _, tt := range []struct {
		name string
		hook Hook
		want []string
	}{
		{"all is there", Hook{Test: good, Reload: Reload{Command: good}}, nil},
		{"found in PATH", Hook{Reload: Reload{Command: []string{"sh"}}}, nil},
		{"the reload is not executable", Hook{Test: good, Reload: Reload{Command: plain}}, []string{plain[0], "not executable (mode 0644)"}},
		{"the test is not executable", Hook{Test: plain, Reload: Reload{Command: good}}, []string{plain[0], "not executable"}},
		{"neither is there", Hook{Test: []string{dir + "/a"}, Reload: Reload{Command: []string{dir + "/b"}}}, []string{dir + "/a does not exist", dir + "/b does not exist"}},
		{"not in PATH", Hook{Reload: Reload{Command: []string{"certvigil-nowhere"}}}, []string{`program "certvigil-nowhere" is not in PATH`}},
	} {
		t.Run(tt.name, func(t *testing.T) { says(t, runner(t).Ready(t.Context(), tt.hook), tt.want...) })
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("a program was run")
	}
}

func TestAHookIsReadyWhereItsPIDFileNamesAProcess(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) Hook {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Hook{Reload: Reload{PIDFile: path, Signal: "HUP"}}
	}
	r := runner(t)
	says(t, r.Ready(t.Context(), file("parent", fmt.Sprintln(os.Getppid()))))
	says(t, r.Ready(t.Context(), file("self", fmt.Sprintln(os.Getpid()))), "names certvigil itself")
	says(t, r.Ready(t.Context(), file("nobody", "2147483646\n")), "there is no process 2147483646")
	says(t, r.Ready(t.Context(), Hook{Reload: Reload{PIDFile: dir + "/none", Signal: "HUP"}}), "no such file")
}

func TestAHookIsReadyWhereSystemdKnowsItsUnits(t *testing.T) {
	nginx := Hook{TestUnit: "nginx-test.service", Reload: Reload{Unit: "nginx.service"}}
	for _, tt := range []struct {
		name, state string
		can         bool
		want        []string
	}{
		{"loaded", "loaded", true, nil},
		{"not installed", "not-found", false, []string{"knows no unit nginx-test.service", "knows no unit nginx.service"}},
		{"masked", "masked", false, []string{`load state "masked"`}},
		{"no ExecReload", "loaded", false, []string{"cannot reload nginx.service"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := startBus(t, "done", "")
			b.unit = map[string]dbus.Variant{"LoadState": dbus.MakeVariant(tt.state), "CanReload": dbus.MakeVariant(tt.can)}
			says(t, runner(t).Ready(t.Context(), nginx), tt.want...)
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.calls) > 0 {
				t.Errorf("systemd was told to %v", b.calls)
			}
		})
	}
}
