package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deadline is for what must happen, on a machine that is busy with other things.
const deadline = 20 * time.Second

var www = Event{
	Cert: "www", Names: []string{"example.com", "www.example.com"}, Version: 3,
	Dir: "/s/live/www", Fullchain: "/s/live/www/fullchain.pem", Key: "/s/live/www/privkey.pem",
	Fingerprint: "ab12", Reason: "ari-window",
}

var api = Event{
	Cert: "api", Names: []string{"api.example.com", "example.com"}, Version: 8,
	Dir: "/s/live/api", Fullchain: "/s/live/api/fullchain.pem", Key: "/s/live/api/privkey.pem",
	Fingerprint: "cd34", Reason: "lifetime",
}

func runner(t *testing.T) *Runner {
	t.Helper()
	r := New(slog.New(slog.NewTextHandler(io.Discard, nil)))
	r.Grace = 200 * time.Millisecond
	t.Cleanup(r.Close)
	return r
}

// sh is an argv list that runs a script of its own file, as an operator's would.
func sh(t *testing.T, script string, args ...string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "hook.sh")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	return append([]string{"/bin/sh", file}, args...)
}

func command(t *testing.T, script string, args ...string) Hook {
	return Hook{Name: "nginx", Timeout: deadline, Reload: Reload{Command: sh(t, script, args...)}}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// until waits for something that another process does.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still waiting: %s", what)
		}
	}
}

func fault(t *testing.T, err error) *Error {
	t.Helper()
	fault, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("err = %v, want an *Error", err)
	}
	return fault
}

func TestAProgramGetsExactlyTheEnvironmentOfTheContract(t *testing.T) {
	t.Setenv("AGENT_SECRET", "hunter2")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("LANG", "")
	out := filepath.Join(t.TempDir(), "env")
	h := Hook{Name: "env", Reload: Reload{Command: []string{"sh", "-c", "exec env > " + out}}}
	if _, err := runner(t).Run(t.Context(), h, www, 0); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSpace(read(t, out)), "\n")
	// What a shell adds by itself.
	got = slices.DeleteFunc(got, func(v string) bool {
		return strings.HasPrefix(v, "PWD=") || strings.HasPrefix(v, "_=") || strings.HasPrefix(v, "SHLVL=") || strings.HasPrefix(v, "OLDPWD=")
	})
	want := []string{
		"PATH=/usr/bin:/bin", "LANG=C.UTF-8",
		"CERTVIGIL_CERT=www", "CERTVIGIL_NAMES=example.com www.example.com", "CERTVIGIL_VERSION=3",
		"CERTVIGIL_DIR=/s/live/www", "CERTVIGIL_FULLCHAIN=/s/live/www/fullchain.pem",
		"CERTVIGIL_KEY=/s/live/www/privkey.pem", "CERTVIGIL_FINGERPRINT=ab12", "CERTVIGIL_REASON=ari-window",
		"RENEWED_LINEAGE=/s/live/www", "RENEWED_DOMAINS=example.com www.example.com",
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("environment:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestOfSeveralCertificatesTheListsNameAllAndTheRestDescribesTheFirst(t *testing.T) {
	got := environ("/bin", "C", []Event{www, api})
	for _, want := range []string{
		"CERTVIGIL_CERT=www api", "CERTVIGIL_NAMES=example.com www.example.com api.example.com",
		"RENEWED_DOMAINS=example.com www.example.com api.example.com", "CERTVIGIL_VERSION=3",
		"CERTVIGIL_DIR=/s/live/www", "RENEWED_LINEAGE=/s/live/www", "CERTVIGIL_KEY=/s/live/www/privkey.pem",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not in the environment %q", want, got)
		}
	}
}

func TestStandardInputIsOneJSONObjectAndTheDirectoryIsTheRoot(t *testing.T) {
	dir := t.TempDir()
	h := command(t, `cat > "$1/stdin"; pwd > "$1/pwd"`, dir)
	if _, err := runner(t).Run(t.Context(), h, www, 0); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "pwd")); got != "/\n" {
		t.Errorf("directory = %q, want /", got)
	}
	var got any
	text := read(t, filepath.Join(dir, "stdin"))
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	want := `map[certificates:[map[certificate:www dir:/s/live/www fingerprint_sha256:ab12 fullchain:/s/live/www/fullchain.pem ` +
		`key:/s/live/www/privkey.pem names:[example.com www.example.com] reason:ari-window version:3]] event:deploy]`
	if fmt.Sprint(got) != want || !strings.HasSuffix(text, "}\n") {
		t.Errorf("standard input = %q", text)
	}
}

func TestAProgramNeedNotReadItsInput(t *testing.T) {
	ev := www
	for i := range 2000 { // more than a pipe holds
		ev.Names = append(ev.Names, fmt.Sprintf("host-%d.subdomain-with-a-long-name.example.com", i))
	}
	if _, err := runner(t).Run(t.Context(), command(t, "exit 0"), ev, 0); err != nil {
		t.Error(err)
	}
}

func TestAProgramInheritsNoDescriptor(t *testing.T) {
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil { // without O_CLOEXEC, as an agent may have been started with
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	out := filepath.Join(t.TempDir(), "fds")
	h := command(t, `for fd in /proc/$$/fd/*; do readlink "$fd"; done > "$1.tmp"; mv "$1.tmp" "$1"`, out)
	if _, err := runner(t).Run(t.Context(), h, www, 0); err != nil {
		t.Fatal(err)
	}
	leaked := fmt.Sprintf("/proc/self/fd/%d", pipe[0])
	inode, err := os.Readlink(leaked)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(read(t, out), inode) {
		t.Errorf("the hook has our %s:\n%s", inode, read(t, out))
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		code         int
		temporary    bool
		text         string
	}{
		{"75 asks to be run again", "echo busy; exit 75", 75, true, "hook nginx: reload: exit status 75: busy"},
		{"anything else is a failure", "echo broken >&2; exit 1", 1, false, "hook nginx: reload: exit status 1: broken"},
		{"death by a signal is a failure", "kill -9 $$", -1, false, "hook nginx: reload: signal: killed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := runner(t).Run(t.Context(), command(t, tt.script), www, 0)
			f := fault(t, err)
			if f.ExitCode != tt.code || f.Temporary != tt.temporary || f.TimedOut || f.Phase != "reload" || err.Error() != tt.text {
				t.Errorf("got %+v, %q; want %q", f, err, tt.text)
			}
		})
	}
}

// fakeNginx is a master that was told -t, or to reload, by a script as dumb as
// the real one is about certificates.
const fakeNginx = `
case "$1" in
-t) if [ -e "$2/broken" ]; then
      echo 'nginx: [emerg] host not found in upstream "db" in /etc/nginx/nginx.conf:7' >&2
      echo 'nginx: configuration file /etc/nginx/nginx.conf test failed' >&2
      exit 1
    fi ;;
-s) echo reload >> "$2/log" ;;
esac`

func TestTheReloadRunsOnlyIfTheTestPasses(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	h := Hook{Name: "nginx", Test: sh(t, fakeNginx, "-t", dir), Reload: Reload{Command: sh(t, fakeNginx, "-s", dir)}}
	if err := os.WriteFile(filepath.Join(dir, "broken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := runner(t)
	res, err := r.Run(t.Context(), h, www, 0)
	f := fault(t, err)
	if f.Phase != "test" || f.ExitCode != 1 || res.Reload != 0 || !strings.Contains(err.Error(), `[emerg] host not found in upstream "db"`) {
		t.Errorf("got %+v, %v, %v; want the test's own words", f, res, err)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("reloaded although the test failed")
	}

	if err := os.Remove(filepath.Join(dir, "broken")); err != nil {
		t.Fatal(err)
	}
	res, err = r.Run(t.Context(), h, www, 0)
	if err != nil || res.Test <= 0 || res.Reload <= 0 || !slices.Equal(res.Certs, []string{"www"}) || res.Shared {
		t.Errorf("got %+v, %v", res, err)
	}
	if read(t, log) != "reload\n" {
		t.Errorf("log = %q", read(t, log))
	}
}

func TestAHangingProgramIsEndedWithItsWholeGroup(t *testing.T) {
	out := filepath.Join(t.TempDir(), "pid")
	for _, tt := range []struct{ name, script string }{
		{"it hangs", `echo $$ > "$1"; exec sleep 1000`},
		{"its child hangs", `sleep 1000 & echo $! > "$1"; wait`},
		{"it ignores SIGTERM", `trap "" TERM; echo $$ > "$1"; while :; do sleep 1000; done`},
		{"its child ignores SIGTERM", `(trap "" TERM; exec sleep 1000) & echo $! > "$1"; wait`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := command(t, tt.script, out)
			h.Timeout = 500 * time.Millisecond
			_, err := runner(t).Run(t.Context(), h, www, 0)
			if f := fault(t, err); !f.TimedOut || f.ExitCode != -1 || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %+v, want a timeout", f)
			}
			var pid int
			if _, err := fmt.Sscan(read(t, out), &pid); err != nil {
				t.Fatal(err)
			}
			until(t, "the process ends", func() bool { return ended(pid) })
		})
	}
}

func TestAProgramMayTidyUpAtSIGTERM(t *testing.T) {
	out := filepath.Join(t.TempDir(), "tidied")
	h := command(t, `trap 'echo done > "$out"; exit 0' TERM; out=$1; while :; do sleep 0.05; done`, out)
	h.Timeout = 300 * time.Millisecond
	r := runner(t)
	r.Grace = deadline
	_, err := r.Run(t.Context(), h, www, 0)
	if f := fault(t, err); !f.TimedOut {
		t.Errorf("got %+v: exit 0 after the timeout is still a timeout", f)
	}
	if read(t, out) != "done\n" {
		t.Error("it was not given time to tidy up")
	}
}

func TestALeftoverThatHoldsTheOutputDoesNotHoldTheRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "pid")
	for _, tt := range []struct{ name, script string }{
		{"a forked grandchild", `sleep 60 & echo $! > "$1"; echo started`},
		{"one in a session of its own", `setsid sh -c 'echo $$ > "$0"; exec sleep 60' "$1" & while [ ! -s "$1" ]; do sleep 0.02; done`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_ = os.Remove(out)
			began := time.Now()
			if _, err := runner(t).Run(t.Context(), command(t, tt.script, out), www, 0); err != nil {
				t.Errorf("exit 0 with a process left behind: %v, want success", err)
			}
			if took := time.Since(began); took > 15*time.Second {
				t.Errorf("held up for %s", took)
			}
			var pid int
			if _, err := fmt.Sscan(read(t, out), &pid); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Errorf("the process left behind was not left alone: %v", err)
			}
		})
	}
}

func TestAChildThatEscapesTheGroupCannotHoldTheTimeoutUp(t *testing.T) {
	out := filepath.Join(t.TempDir(), "pid")
	h := command(t, `setsid sh -c 'echo $$ > "$0"; exec sleep 60' "$1" & sleep 1000`, out)
	h.Timeout = 500 * time.Millisecond
	began := time.Now()
	_, err := runner(t).Run(t.Context(), h, www, 0)
	if f := fault(t, err); !f.TimedOut {
		t.Errorf("got %+v, want a timeout", f)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("held up for %s", took)
	}
	var pid int
	if _, err := fmt.Sscan(read(t, out), &pid); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestProgramsThatCannotBeStartedAreExplained(t *testing.T) {
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, tt := range []struct {
		name, argv0, want string
	}{
		{"not in PATH", "no-such-program", `program "no-such-program" is not in PATH (`},
		{"no such file", filepath.Join(dir, "missing"), "does not exist"},
		{"not executable", script("plain", "#!/bin/sh\n", 0o644), "is not executable (mode 0644)"},
		{"a directory", dir, "is a directory"},
		{"relative", "bin/reload", `program "bin/reload": write an absolute path`},
		{"its interpreter is missing", script("odd", "#!/no/such/interpreter\n", 0o755), "the interpreter that its first line names does not exist"},
		{"neither binary nor script", script("bare", "echo hello\n", 0o755), "neither a binary of this machine nor a script"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Hook{Name: "nginx", Reload: Reload{Command: []string{tt.argv0}}}
			_, err := runner(t).Run(t.Context(), h, www, 0)
			if f := fault(t, err); !strings.Contains(err.Error(), tt.want) || f.TimedOut || f.Temporary {
				t.Errorf("err = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAHookWithoutAReloadIsAnError(t *testing.T) {
	if _, err := runner(t).Run(t.Context(), Hook{Name: "empty"}, www, 0); err == nil {
		t.Error("no error")
	}
}
