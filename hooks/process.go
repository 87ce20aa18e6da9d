package hooks

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// process is what proc(5) shows of one.
type process struct {
	comm   string // its name, cut off after 15 bytes
	exe    string // its program; empty where that may not be seen
	uid    int
	zombie bool // it has ended and waits for its parent: a signal to it succeeds and does nothing
	ticks  int64
}

const (
	commLength     = 15  // TASK_COMM_LEN less its NUL, proc(5)
	ticksPerSecond = 100 // USER_HZ, the same on every architecture that Go knows
)

func readProcess(pid int) (process, error) {
	dir := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return process{}, err
	}
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return process{}, err
	}
	// "pid (comm) state …", and comm may hold anything, parentheses too.
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return process{}, fmt.Errorf("%s/stat makes no sense", dir)
	}
	const startTime = 22 - 3 // of the fields, from the third on
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= startTime {
		return process{}, fmt.Errorf("%s/stat makes no sense", dir)
	}
	p := process{comm: string(stat[open+1 : end]), zombie: fields[0] == "Z"}
	if p.ticks, err = strconv.ParseInt(fields[startTime], 10, 64); err != nil {
		return process{}, fmt.Errorf("%s/stat: %w", dir, err)
	}
	_, uids, _ := strings.Cut(string(status), "\nUid:")
	if _, err := fmt.Sscan(uids, &p.uid); err != nil {
		return process{}, fmt.Errorf("%s/status: %w", dir, err)
	}
	if exe, err := os.Readlink(dir + "/exe"); err == nil { // only its own user and root may
		p.exe = strings.TrimSuffix(exe, " (deleted)") // by an upgrade
	}
	return p, nil
}

// is tells whether the process runs the program: by its path, or by the name of
// its program or of itself, as a script has one of its own.
func (p process) is(program string) bool {
	if filepath.IsAbs(program) {
		if real, err := filepath.EvalSymlinks(program); err == nil && real == p.exe {
			return true
		}
		return program == p.exe
	}
	return program == filepath.Base(p.exe) || program[:min(len(program), commLength)] == p.comm
}

func (p process) String() string {
	if p.exe != "" {
		return p.exe
	}
	return p.comm
}

// began returns when the process was started, by today's clock. It is told from
// its age: the time of boot that /proc/stat shows is another one in containers.
func (p process) began() time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}
	}
	age := time.Duration(up.Nano()) - time.Duration(p.ticks)*(time.Second/ticksPerSecond)
	return time.Now().Add(-age)
}
