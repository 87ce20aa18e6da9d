package discover

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// owners finds the processes that hold sockets, by the sockets' inodes: of
// several, the one that began first, which is mostly the parent of the others.
// Those of other users are not to be seen but by root.
func owners() map[uint64]process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	held := map[uint64]process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := "/proc/" + e.Name()
		files, err := os.ReadDir(dir + "/fd")
		if err != nil {
			continue // another user's, or gone
		}
		p := process{pid: pid}
		for _, f := range files {
			target, err := os.Readlink(dir + "/fd/" + f.Name())
			text, ok := strings.CutPrefix(target, "socket:[")
			if err != nil || !ok {
				continue
			}
			inode, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64)
			if err != nil {
				continue
			}
			if p.name == "" {
				p.name, p.args = nameOf(dir)
			}
			if first, ok := held[inode]; !ok || p.pid < first.pid {
				held[inode] = p
			}
		}
	}
	return held
}

// process is one that holds a socket; the zero process is not known.
type process struct {
	pid  int
	name string
	args []string
}

func nameOf(dir string) (name string, args []string) {
	comm, err := os.ReadFile(dir + "/comm")
	if err != nil {
		return "", nil
	}
	line, _ := os.ReadFile(dir + "/cmdline")
	// Who writes a title of his own (nginx: master process …) writes it in one piece.
	for arg := range strings.SplitSeq(strings.TrimRight(string(line), "\x00"), "\x00") {
		args = append(args, strings.Fields(arg)...)
	}
	return plain(strings.TrimSpace(string(comm))), args
}

// own is the inodes of this process's sockets.
func own() map[uint64]bool {
	mine := map[uint64]bool{}
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return nil
	}
	for _, f := range files {
		var st syscall.Stat_t
		fd, err := strconv.Atoi(f.Name())
		if err == nil && syscall.Fstat(fd, &st) == nil && st.Mode&syscall.S_IFMT == syscall.S_IFSOCK {
			mine[st.Ino] = true
		}
	}
	return mine
}
