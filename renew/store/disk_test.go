package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A real full disk, which has room for none, one, two … more blocks: every
// write point is the one that fails in turn. Once there is room again, the
// same change succeeds.
func TestAFullDiskLeavesTheOldOrTheNew(t *testing.T) {
	for name, c := range scenes(t) {
		t.Run(name, func(t *testing.T) {
			failures := 0
			for blocks := 0; ; blocks++ {
				done := fillAndChange(t, c, blocks)
				if done {
					break
				}
				failures++
			}
			needsRoom := name != "pruning" && name != "the end of an order" && !strings.HasSuffix(name, "link")
			if needsRoom && failures == 0 {
				t.Error("it never failed: the disk was not full")
			}
		})
	}
}

// fillAndChange makes the change with so many blocks free, and tells whether it
// went well.
func fillAndChange(t *testing.T, c scene, blocks int) bool {
	t.Helper()
	mount := t.TempDir()
	if err := syscall.Mount("none", mount, "tmpfs", 0, "size=128k,mode=755"); err != nil {
		t.Fatal("mounting a small disk:", err)
	}
	defer func() {
		must(t, syscall.Unmount(mount, syscall.MNT_DETACH))
	}()
	dir := filepath.Join(mount, "state")
	s := mustOpen(t, dir)
	c.before(t, s)
	filler := filepath.Join(mount, "filler")
	fill(t, filler, blocks)
	err := c.change(s)
	if err != nil && (!errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), dir+"/")) {
		t.Errorf("%d blocks free: the error does not tell what failed where: %v", blocks, err)
	}
	c.check(t, s, err == nil)
	must(t, s.Close())
	full := mustOpen(t, dir) // starting is possible on a full disk
	c.check(t, full, err == nil)
	must(t, os.Remove(filler))
	must(t, c.change(full))
	c.check(t, full, true)
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("%d blocks free: left %q", blocks, left)
	}
	must(t, full.Close())
	return err == nil
}

// fill writes a file until so many blocks of 4 KiB are free.
func fill(t *testing.T, path string, blocks int) {
	t.Helper()
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	const block = 4096
	size := int64(0)
	for ; err == nil; size += block {
		_, err = file.Write(make([]byte, block))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	st, err := file.Stat()
	must(t, err)
	must(t, file.Truncate(max(0, st.Size()-int64(blocks)*block)))
}

func TestADiskThatIsReadOnlyIsNamed(t *testing.T) {
	mount := t.TempDir()
	must(t, syscall.Mount("none", mount, "tmpfs", 0, "size=256k,mode=755"))
	defer func() { must(t, syscall.Unmount(mount, syscall.MNT_DETACH)) }()
	s := mustOpen(t, mount)
	must(t, s.Link("www", mustCommit(t, s, "www", newBundle(t))))
	lock := s.lock // open for writing: it would keep the disk from being made read-only
	must(t, lock.Close())
	must(t, syscall.Mount("none", mount, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, "size=256k"))
	_, err := s.Commit("www", newBundle(t))
	if !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), mount) {
		t.Error(err)
	}
	if n, _, err := s.Live("www"); n != 1 || err != nil || len(versionsOf(t, s, "www")) != 1 {
		t.Error(n, err)
	}
}
