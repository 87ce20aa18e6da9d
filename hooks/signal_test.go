package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// server starts a script that writes down each signal it gets, as a stand-in for
// a server's master process, and returns its log and its pid file.
func server(t *testing.T) (log, pidFile string) {
	t.Helper()
	dir := t.TempDir()
	log, pidFile = filepath.Join(dir, "log"), filepath.Join(dir, "server.pid")
	argv := sh(t, `for s in HUP USR1 USR2 WINCH; do trap "echo $s >> '$1'" $s; done; echo $$ > "$2.tmp"; mv "$2.tmp" "$2"; while :; do sleep 0.02; done`, log, pidFile)
	// Under nohup a shell inherits SIGHUP as ignored, and can't trap it.
	cmd := exec.Command("env", append([]string{"--default-signal=HUP"}, argv...)...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	until(t, "the server is up", func() bool { _, err := os.Stat(pidFile); return err == nil })
	return log, pidFile
}

func TestASignalReachesTheProcessThatThePidFileNames(t *testing.T) {
	log, pidFile := server(t)
	r := runner(t)
	for _, name := range []string{"HUP", "USR1", "USR2", "WINCH"} {
		h := Hook{Name: "nginx", Reload: Reload{PIDFile: pidFile, Signal: name}}
		if _, err := r.Run(t.Context(), h, www, 0); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		until(t, name+" arrives", func() bool {
			text, _ := os.ReadFile(log)
			return strings.HasSuffix(string(text), name+"\n")
		})
	}
}

func TestPidFilesThatNameNoServerAreRefused(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	gone := exec.Command("/bin/true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	undead := exec.Command("/bin/true") // ended, and waited for by nobody until the test is over
	if err := undead.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = undead.Wait() })
	until(t, "the process ends", func() bool { return ended(undead.Process.Pid) })
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"none", filepath.Join(dir, "missing"), "reading the pid file"},
		{"empty", put("empty", ""), "is empty"},
		{"blank", put("blank", " \n123\n"), "is empty"},
		{"text", put("text", "nginx\n"), "holds no process number"},
		{"everyone", put("everyone", "-1\n"), "holds no process number"},
		{"a process group", put("group", "-42\n"), "holds no process number"},
		{"beyond any number", put("long", strings.Repeat("9", 4000)), "holds no process number"},
		{"beyond 31 bits", put("big", "4294967295"), "holds no process number"},
		{"our own group", put("zero", "0\n"), "gets no signal from a hook"},
		{"the first process", put("init", "1\n"), "gets no signal from a hook"},
		{"ourselves", put("self", fmt.Sprint(os.Getpid())), "is stale: it names certvigil itself"},
		{"a process that is gone", put("gone", fmt.Sprint(gone.Process.Pid)), "is stale: there is no process"},
		{"a process that has ended", put("undead", fmt.Sprint(undead.Process.Pid)), "is stale: process"},
		{"a directory", dir, "is not a regular file"},
		{"a fifo", fifo, "is not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Hook{Name: "nginx", Reload: Reload{PIDFile: tt.file, Signal: "HUP"}}
			_, err := runner(t).Run(t.Context(), h, www, 0)
			if f := fault(t, err); f.Phase != "reload" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v, want %q", err, tt.want)
			}
			if tt.name == "none" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("err = %v does not say that the file is missing", err)
			}
		})
	}
}

// ended tells whether the process is gone, or nobody has waited for it yet.
func ended(pid int) bool {
	p, err := readProcess(pid)
	return err != nil || p.zombie
}

// TestAPidFileOfAnotherProcess: a pid file outlives its server, and its number
// belongs to somebody else by then.
func TestAPidFileOfAnotherProcess(t *testing.T) {
	log, pidFile := server(t)
	reused := time.Now().Add(-time.Hour)
	for _, tt := range []struct {
		name    string
		process string
		written time.Time
		want    []string // none: the signal arrives
	}{
		{"as old as its file", "", time.Now(), nil},
		{"younger than its file", "", reused, []string{"is stale", "after its number had become free", `process = "sh"`}},
		{"younger than its file, and the program is known", "sh", reused, nil},
		{"by the program's path", "/bin/sh", reused, nil},
		{"another program", "nginx", time.Now(), []string{"is stale: process", "not nginx"}},
		{"another program of that name", "/usr/local/bin/sh", time.Now(), []string{"not /usr/local/bin/sh"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.Chtimes(pidFile, tt.written, tt.written); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(log)
			how := Reload{PIDFile: pidFile, Signal: "HUP", Process: tt.process}
			r := runner(t)
			says(t, r.Ready(t.Context(), Hook{Reload: how}), tt.want...)
			_, err := r.Run(t.Context(), Hook{Name: "nginx", Reload: how}, www, 0)
			says(t, err, tt.want...)
			if tt.want == nil {
				until(t, "the signal arrives", func() bool { after, _ := os.ReadFile(log); return len(after) > len(before) })
			} else if after, _ := os.ReadFile(log); len(after) > len(before) {
				t.Errorf("it got %q", after[len(before):])
			}
		})
	}
}

func TestAPidFileThatAnybodyMayWriteIsRefused(t *testing.T) {
	_, pidFile := server(t)
	how := Hook{Name: "nginx", Reload: Reload{PIDFile: pidFile, Signal: "HUP"}}
	if err := os.Chmod(pidFile, 0o666); err != nil {
		t.Fatal(err)
	}
	_, err := runner(t).Run(t.Context(), how, www, 0)
	says(t, err, "anybody may write to pid file "+pidFile, "chmod o-w")
}

// TestWhoMayWriteAPidFile: who writes it chooses who gets a signal of root's.
func TestWhoMayWriteAPidFile(t *testing.T) {
	_, pidFile := server(t)
	pid, file, err := readPID(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	how := Reload{PIDFile: pidFile, Signal: "HUP"}
	const stranger = 4242
	for _, tt := range []struct {
		name   string
		owners []int
		want   []string
	}{
		{"root", []int{0, 0}, nil},
		{"who the agent runs as, and the process", []int{os.Geteuid(), os.Geteuid()}, nil},
		{"somebody else", []int{stranger, stranger}, []string{"belongs to user 4242", "chown it to root"}},
		{"a link of somebody else's to a file of root's", []int{0, stranger}, []string{"belongs to user 4242"}},
	} {
		file.owners = tt.owners
		t.Run(tt.name, func(t *testing.T) { says(t, suits(how, pid, file), tt.want...) })
	}
	link := pidFile + ".link"
	if err := os.Symlink(pidFile, link); err != nil {
		t.Fatal(err)
	}
	if _, seen, err := readPID(link); err != nil || len(seen.owners) != 2 || seen.owners[1] != os.Geteuid() {
		t.Errorf("owners of a link: %v, %v", seen.owners, err)
	}
}

func TestAPidFileMayHaveMoreLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postmaster.pid")
	if err := os.WriteFile(file, []byte("4242\n/var/lib/postgresql\n"+strings.Repeat("x", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, _, err := readPID(file); pid != 4242 || err != nil {
		t.Errorf("readPID = %d, %v", pid, err)
	}
}

func TestAnUnknownSignalIsRefused(t *testing.T) {
	_, pidFile := server(t)
	h := Hook{Name: "nginx", Reload: Reload{PIDFile: pidFile, Signal: "KILL"}}
	if _, err := runner(t).Run(t.Context(), h, www, 0); err == nil || !strings.Contains(err.Error(), `signal "KILL" is not known`) {
		t.Errorf("err = %v", err)
	}
}
