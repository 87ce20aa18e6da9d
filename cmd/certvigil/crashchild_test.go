package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/certvigil/certvigil/renew/store/disktest"
)

// crashName is the agent on a disk that fails, or in a process that dies, at a
// step that [crashPlan] names. But for the disk it is the program itself.
const (
	crashName = "certvigil-crash"
	crashEnv  = "CERTVIGIL_TEST_CRASH"
)

// The faults.
const (
	faultKill   = "SIGKILL"
	faultPower  = "power loss"
	faultFull   = "ENOSPC"
	faultBroken = "EIO"
)

// fatal tells that the process does not live on.
func fatal(fault string) bool { return fault == faultKill || fault == faultPower }

// crashPlan is what is to happen to one run of the agent.
type crashPlan struct {
	Step  string // of crashSteps; where that is none of the disk's, SIGUSR1 says when
	Fault string
	Seed  uint64 // of what survives a loss of power
	// Version is the one that this run is to get.
	Version int
	Base    string // the disk
	Image   string // where what survives is put
	Forget  string // a change that is left out, as "sync PATTERN"; none where empty
	After   string // a file without which no step of the disk's counts; may be empty
	// Struck is a file that is made when the fault strikes; Healed one that
	// ends it, where a disk fails.
	Struck, Healed string
}

// doomed is the process to which it happens.
type doomed struct {
	plan   crashPlan
	step   crashStep
	disk   *disktest.Disk
	fault  disktest.Fault
	once   sync.Once
	struck atomic.Bool

	mu      sync.Mutex // guards renamed
	renamed string     // what got its name last, and is not durable yet
}

func crashMain() {
	d := &doomed{}
	var err error
	if err = json.Unmarshal([]byte(os.Getenv(crashEnv)), &d.plan); err == nil {
		d.disk, err = disktest.Watch(d.plan.Base)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, crashName+":", err)
		os.Exit(exitUnknown)
	}
	d.step = stepNamed(d.plan.Step)
	d.fault.Err = map[string]error{faultFull: syscall.ENOSPC, faultBroken: syscall.EIO}[d.plan.Fault]
	now := make(chan os.Signal, 1)
	signal.Notify(now, syscall.SIGUSR1)
	go func() {
		<-now
		d.strike()
	}()
	os.Exit(execute(d.around))
}

// around is the disk of this process. A step of the disk's is told by what is
// about to happen ("mkdir PATH") and by what has come to stay ("durable PATH",
// which is a rename and the sync of its directory).
func (d *doomed) around(op, path string, do func() error) error {
	name := strings.TrimPrefix(path, d.plan.Base+"/")
	if d.reached(op, name) {
		d.strike()
	}
	around := disktest.Skip(d.forgets, d.disk.Around)
	if d.struck.Load() && !exists(d.plan.Healed) {
		around = d.failing
	}
	if err := around(op, path, do); err != nil {
		return err
	}
	if stays := d.stays(op, name); stays != "" && d.reached("durable", stays) {
		d.strike()
	}
	return nil
}

// forgets tells whether this process is one that leaves the change out.
func (d *doomed) forgets(op, path string) bool {
	like, _ := filepath.Match(d.plan.Forget, op+" "+strings.TrimPrefix(path, d.plan.Base+"/"))
	return like
}

func (d *doomed) reached(op, name string) bool {
	return d.step.disk != nil && d.step.disk(d.plan, op, name) && (d.plan.After == "" || exists(d.plan.After))
}

func (d *doomed) failing(op, path string, do func() error) error {
	return d.fault.Around(op, path, func() error { return d.disk.Around(op, path, do) })
}

// stays returns the name that has become durable by a change.
func (d *doomed) stays(op, name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case op == "rename":
		d.renamed = name
	case op == "syncdir" && d.renamed != "" && filepath.Dir(d.renamed) == name:
		name, d.renamed = d.renamed, ""
		return name
	}
	return ""
}

// strike lets the fault happen. Where it ends the process, it does not return.
func (d *doomed) strike() {
	d.once.Do(func() {
		var err error
		if d.plan.Fault == faultPower {
			err = d.disk.Image(d.plan.Image, rand.New(rand.NewPCG(d.plan.Seed, uint64(d.plan.Version))))
		}
		if err == nil {
			err = os.WriteFile(d.plan.Struck, nil, 0o600)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, crashName+":", err)
		}
		d.struck.Store(true)
		if d.fault.Err == nil {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
