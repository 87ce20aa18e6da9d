// Idle measures what the agent costs while nothing is due: it has a hundred
// certificates of 90 days issued, installed and proved on a real nginx, then
// reads the agent's resident memory and the CPU time that it uses over a while.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

const (
	lifetime     = 90 * 24 * time.Hour
	settlingTime = 3 * time.Minute
	restTime     = 15 * time.Second
	ticksASecond = 100 // USER_HZ, the unit of /proc/PID/stat (proc(5))
)

func main() {
	certs := flag.Int("certs", 100, "how many certificates")
	during := flag.Duration("during", time.Minute, "how long to look on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *certs, *during); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, certs int, during time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "certvigil-idle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary, err := stage.Build(ctx, dir)
	if err != nil {
		return err
	}
	names := make(map[string][]string, certs)
	for i := range certs {
		name := fmt.Sprintf("site%03d", i)
		names[name] = []string{name + ".example.test"}
	}
	h, err := stage.NewHost(ctx, stage.Plan{Dir: dir, Binary: binary, Lifetime: lifetime, Certs: names})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.Agent.Start(); err != nil {
		return err
	}
	began := time.Now()
	settle, cancel := context.WithTimeout(ctx, settlingTime)
	defer cancel()
	if _, err := h.AwaitServed(settle, 0); err != nil {
		return err
	}
	fmt.Printf("%d certificates issued, installed, reloaded and proved in %s\n", certs, time.Since(began).Round(time.Millisecond))

	// What follows the proof, asking the CA when to renew, is no idling.
	if err := stage.Pause(ctx, restTime); err != nil {
		return err
	}
	before, err := cpuTime(h.Agent.PID())
	if err != nil {
		return err
	}
	if err := stage.Pause(ctx, during); err != nil {
		return err
	}
	after, err := cpuTime(h.Agent.PID())
	if err != nil {
		return err
	}
	resident, err := residentKiB(h.Agent.PID())
	if err != nil {
		return err
	}
	fmt.Printf("resident: %.1f MB\n", float64(resident)/1024)
	fmt.Printf("CPU over %s: %s (%.3f %%)\n", during, after-before, 100*float64(after-before)/float64(during))
	return nil
}

// residentKiB reads VmRSS of /proc/PID/status.
func residentKiB(pid int) (int, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "kB")))
		}
	}
	return 0, fmt.Errorf("no VmRSS for process %d", pid)
}

// cpuTime reads user and system time of /proc/PID/stat, fields 14 and 15.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("unreadable /proc/%d/stat", pid)
	}
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / ticksASecond, nil
}
