package install

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store/disktest"
)

// wholeFiles tells what is wrong with an output: each file for itself has to be
// the old one or the new one, and all of them the new ones where it is done.
func wholeFiles(o renew.Output, done bool) (wrong []string) {
	for path, want := range map[string][2][]byte{
		o.Key: {oldPair.Key, newPair.Key}, o.Cert: {oldPair.Cert, newPair.Cert}, o.Chain: {oldPair.Chain, newPair.Chain},
		o.Fullchain: {oldPair.Fullchain(), newPair.Fullchain()},
	} {
		got, err := os.ReadFile(path)
		switch {
		case err != nil:
			wrong = append(wrong, err.Error())
		case string(got) != string(want[1]) && (done || string(got) != string(want[0])):
			wrong = append(wrong, fmt.Sprintf("%s is %q, done = %v", filepath.Base(path), got, done))
		}
	}
	return wrong
}

// outlet is an output whose power is lost.
type outlet struct {
	dir    string                                   // for all that there is of it
	in     func(dir string) renew.Output            // as it lies in a directory
	wrong  func(o renew.Output, done bool) []string // what is found that may not be
	forget []string                                 // the changes that must not be left out
}

func eachFile(t *testing.T) outlet {
	return outlet{newDir(t), outputIn, wholeFiles, []string{"sync .www.key.tmp", "sync .www.crt.tmp", "sync .www.chain.tmp", "syncdir out"}}
}

// losePower replaces the old pair, loses the power after each step, and tells
// what was found that may not be.
func losePower(t *testing.T, seed uint64, x outlet, forgets func(op, path string) bool) (images int, wrong []string) {
	out := filepath.Join(x.dir, "out")
	must(t, os.RemoveAll(x.dir))
	must(t, os.MkdirAll(out, 0o755))
	o := x.in(out)
	must(t, Write(o, oldPair))
	disk, err := disktest.Watch(out)
	must(t, err)
	tell := func(where string, all ...string) {
		for _, what := range all {
			wrong = append(wrong, fmt.Sprintf("power lost after %s: %s", where, what))
		}
	}
	lose := func(done bool, where string) {
		for range 3 {
			images++
			to := filepath.Join(x.dir, strconv.Itoa(images))
			must(t, disk.Image(to, rand.New(rand.NewPCG(seed, uint64(images)))))
			found := x.in(to)
			tell(where, x.wrong(found, done)...)
			if err := Write(found, newPair); err != nil { // what the next start does
				tell(where, err.Error())
			}
			tell(where+", not mended", x.wrong(found, true)...)
			wantNothingLeft(t, to)
		}
	}
	around := disktest.Skip(forgets, disk.Around)
	must(t, Writer{Around: func(op, path string, do func() error) error {
		err := around(op, path, do)
		lose(false, op+" "+filepath.Base(path))
		return err
	}}.Write(o, newPair))
	lose(true, "the end")
	return images, wrong
}

func staysWhole(t *testing.T, x outlet) {
	t.Helper()
	seed := rand.Uint64()
	images, wrong := losePower(t, seed, x, func(string, string) bool { return false })
	if len(wrong) > 0 || images < 50 {
		t.Errorf("seed %d, power lost %d times: %s", seed, images, strings.Join(wrong, "\n"))
	}
}

func isFoundOut(t *testing.T, x outlet) {
	t.Helper()
	for _, forgotten := range x.forget {
		found := false
		for seed := uint64(0); seed < 20 && !found; seed++ {
			_, wrong := losePower(t, seed, x, func(op, path string) bool { return op+" "+filepath.Base(path) == forgotten })
			found = len(wrong) > 0
		}
		if !found {
			t.Errorf("nobody noticed that %s was forgotten", forgotten)
		}
	}
}

func TestALossOfPowerLeavesEachFileWhole(t *testing.T) { staysWhole(t, eachFile(t)) }
func TestAMissingSyncIsFoundOut(t *testing.T)          { isFoundOut(t, eachFile(t)) }

// The first change fails, then the second, and so on until none does: alone,
// or with all that come after it.
func TestAFailingDiskLeavesEachFileWhole(t *testing.T) {
	for _, fault := range []struct {
		Err   error
		Count int
	}{{syscall.ENOSPC, 0}, {syscall.ENOSPC, 1}, {syscall.EIO, 0}, {syscall.EIO, 1}} {
		for n := 1; ; n++ {
			dir := newDir(t)
			o := outputIn(dir)
			must(t, Write(o, oldPair))
			f := &disktest.Fault{First: n, Count: fault.Count, Err: fault.Err}
			err := Writer{Around: f.Around}.Write(o, newPair)
			if wrong := wholeFiles(o, err == nil); len(wrong) > 0 {
				t.Errorf("%v at the %d. change (%v): %q", fault.Err, n, err, wrong)
			}
			if f.Failed() > 0 && err != nil && !errors.Is(err, fault.Err) {
				t.Errorf("%v at the %d. change: %v", fault.Err, n, err)
			}
			must(t, Write(o, newPair)) // there is room again
			if wrong := wholeFiles(o, true); len(wrong) > 0 {
				t.Errorf("%v at the %d. change, not mended: %q", fault.Err, n, wrong)
			}
			wantNothingLeft(t, dir)
			if f.Failed() == 0 {
				if n < 8 {
					t.Errorf("%v: %d changes only", fault.Err, n-1)
				}
				break
			}
		}
	}
}
