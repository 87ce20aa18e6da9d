package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// smallDisk is the size of the file system that can be filled up, in bytes:
// enough for what the agent keeps of one certificate.
const smallDisk = 4 << 20

// mountsAreOurs marks a process that has mounts of its own.
const mountsAreOurs = "CERTVIGIL_DEMO_OWN_MOUNTS"

// ownMounts starts this program over with mounts of its own, as the same
// process: what it mounts nobody else sees, and it goes with the process,
// however that ends. Whoever is not root becomes it in a user namespace, which
// has no power outside. It returns nil in the process that has them.
func ownMounts() error {
	if os.Getenv(mountsAreOurs) != "" {
		return nil
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return fmt.Errorf("--break disk needs unshare (util-linux) for a small file system: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	var refused []error
	for _, how := range []string{"-m", "-Urm"} {
		if out, err := exec.Command(unshare, how, "true").CombinedOutput(); err != nil {
			refused = append(refused, fmt.Errorf("unshare %s: %w: %s", how, err, out))
			continue
		}
		argv := append([]string{unshare, how, self}, os.Args[1:]...)
		return syscall.Exec(unshare, argv, append(os.Environ(), mountsAreOurs+"=1"))
	}
	return fmt.Errorf("--break disk needs a file system of its own, as root or with user namespaces: %w", errors.Join(refused...))
}

// mountSmall creates the folder and mounts a small file system over it.
func mountSmall(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("preparing the small disk: %w", err)
	}
	options := fmt.Sprintf("size=%d,mode=0755", smallDisk)
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting the small disk: %w", err)
	}
	return nil
}

// unmountSmall undoes mountSmall. A folder that is no mount point is none.
func unmountSmall(dir string) error {
	err := syscall.Unmount(dir, syscall.MNT_DETACH)
	if err == nil || errors.Is(err, syscall.EINVAL) || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("unmounting the small disk: %w", err)
}

// fillUp writes a file into dir until nothing more fits, and returns its path.
func fillUp(dir string) (string, error) {
	path := filepath.Join(dir, "ballast")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return "", fmt.Errorf("filling the disk: %w", err)
	}
	_, err = io.Copy(f, io.LimitReader(zeros{}, 2*smallDisk))
	err = errors.Join(err, f.Close())
	if !errors.Is(err, syscall.ENOSPC) {
		return "", fmt.Errorf("filling the disk: it is not full: %w", err)
	}
	return path, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
