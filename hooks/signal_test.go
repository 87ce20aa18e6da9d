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
	ended := exec.Command("/bin/true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	undead := exec.Command("/bin/true") // ended, and waited for by nobody until the test is over
	if err := undead.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = undead.Wait() })
	until(t, "the process ends", func() bool { return zombie(undead.Process.Pid) })
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
		{"a process that is gone", put("gone", fmt.Sprint(ended.Process.Pid)), "is stale: there is no process"},
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

func TestAPidFileMayHaveMoreLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "postmaster.pid")
	if err := os.WriteFile(file, []byte("4242\n/var/lib/postgresql\n"+strings.Repeat("x", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if pid, err := readPID(file); pid != 4242 || err != nil {
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
