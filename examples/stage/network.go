package stage

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"unsafe"
)

// insideOwn is set in the environment of a test that has a network of its own.
const insideOwn = "CERTVIGIL_TEST_NETWORK"

// InOwnNetwork runs one test of this test binary again, in a network namespace
// with nothing but a loopback, and says in that process that it is the one. What
// asks every listener of a host is not to ask those of the tests beside it.
func InOwnNetwork(test string) (inside bool, err error) {
	if os.Getenv(insideOwn) == test {
		return true, raiseLoopback()
	}
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+test+"$")
	cmd.Env = append(os.Environ(), insideOwn+"="+test)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	if uid := os.Geteuid(); uid != 0 { // who is not root becomes it in a namespace of users
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Run(); err != nil {
		return false, fmt.Errorf("running %s in a network of its own: %w", test, err)
	}
	return false, nil
}

// raiseLoopback does what "ip link set lo up" does (netdevice(7)).
func raiseLoopback() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("raising the loopback: %w", err)
	}
	defer syscall.Close(fd)
	request := struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	copy(request.name[:], "lo")
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request))); errno != 0 {
		return fmt.Errorf("raising the loopback: %w", errno)
	}
	return nil
}
