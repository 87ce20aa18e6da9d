package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

func TestWhetherAnOutputCouldBeWritten(t *testing.T) {
	dir := t.TempDir()
	open, gone := filepath.Join(dir, "open"), filepath.Join(dir, "gone")
	if err := os.Mkdir(open, 0o755); err != nil {
		t.Fatal(err)
	}
	o := renew.Output{Key: open + "/a.key", Fullchain: open + "/a.crt", Cert: gone + "/a.crt"}
	if got := Folders(o); !slices.Equal(slices.Sorted(slices.Values(got)), []string{gone, open}) {
		t.Errorf("folders: %v", got)
	}
	if err := Ready(o, open); err != nil {
		t.Errorf("a folder of our own: %v", err)
	}
	if err := Ready(o, gone); err == nil || !strings.Contains(err.Error(), gone) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := Ready(o, open); err == nil || !strings.Contains(err.Error(), "anyone") {
		t.Errorf("a folder that anyone may write to: %v", err)
	}
	o.Owner = "no-such-user-here"
	if err := Ready(o, open); err == nil {
		t.Error("an owner that does not exist")
	}
	if left, err := os.ReadDir(open); err != nil || len(left) > 0 {
		t.Errorf("something was written: %v, %v", left, err)
	}
}

func TestAFolderThatIsNotForThisUserIsNotReady(t *testing.T) {
	if os.Geteuid() == 0 {
		readOnly := filepath.Join(t.TempDir(), "ro")
		if err := os.Mkdir(readOnly, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("certvigil-test", readOnly, "tmpfs", syscall.MS_RDONLY, "mode=0755"); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = syscall.Unmount(readOnly, syscall.MNT_DETACH) }()
		if err := Ready(renew.Output{Key: readOnly + "/a.key"}, readOnly); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("a file system that is read-only: %v", err)
		}
		return
	}
	closed := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(closed, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := Ready(renew.Output{Key: closed + "/a.key"}, closed); err == nil || !strings.Contains(err.Error(), "may not write") {
		t.Errorf("a folder without write permission: %v", err)
	}
}
