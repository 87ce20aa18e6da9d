package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// socketMode lets root and the service's user and group in.
const socketMode = 0o660

// holderTimeout bounds the question who listens at a path: the kernel answers
// it, no program does.
const holderTimeout = time.Second

// Socket is the control socket: a listener that can be opened again at its path
// while it is accepted from.
type Socket struct {
	path string

	mu     sync.Mutex // guards what follows
	now    *net.UnixListener
	closed bool
}

// Listen opens the control socket at path. One at which nobody listens any more,
// left behind by an agent that was killed, is replaced. One at which somebody
// does is an error that names the process; so is anything but a socket.
func Listen(path string) (*Socket, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	return &Socket{path: path, now: l}, nil
}

// Keep opens the socket again where its path does not lead to this process any
// more, and tells whether it did. Clients that are being answered notice nothing.
// What stands in the way, such as another agent, is an error, and left alone.
func (s *Socket) Keep() (anew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, nil
	}
	if ours(s.path) {
		return false, nil
	}
	l, err := listen(s.path)
	if err != nil {
		return false, fmt.Errorf("opening the control socket again: %w", err)
	}
	old := s.now
	s.now = l
	return true, old.Close()
}

// Accept implements net.Listener.
func (s *Socket) Accept() (net.Conn, error) {
	for {
		l := s.current()
		c, err := l.Accept()
		if err == nil || l == s.current() { // else Keep has closed it, and there is another
			return c, err
		}
	}
}

func (s *Socket) current() *net.UnixListener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Addr implements net.Listener: the path.
func (s *Socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

// Close implements net.Listener. The path is removed where it still leads to
// this process, and is somebody else's otherwise.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var removed error
	if ours(s.path) {
		removed = os.Remove(s.path)
	}
	return errors.Join(removed, s.now.Close())
}

// listen makes a socket at path, in the place of a dead one. Where two processes
// find the same dead one at the same moment, the later may take the path from
// the earlier, whose Keep then says so.
func listen(path string) (*net.UnixListener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("%s is there and is no socket", path)
		}
		if err := removeDead(path, fi); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making its directory: %w", err)
	}
	// The path gets the descriptor's mode less the umask, so that others have no
	// rights from its first moment on. The umask itself is everybody's in this
	// process: changing it would bear on files that are being made elsewhere.
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if failed := raw.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), socketMode) }); failed != nil {
			return failed
		}
		return err
	}}
	made, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	l := made.(*net.UnixListener)
	l.SetUnlinkOnClose(false) // by then the path may be another process's
	if err := os.Chmod(path, socketMode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// removeDead removes the socket at path, which found describes, where nobody
// listens at it.
func removeDead(path string, found os.FileInfo) error {
	pid, err := holder(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err == nil && pid > 0:
		return fmt.Errorf("process %d listens at %s: each agent needs a socket of its own (agent.socket, --socket)", pid, path)
	case err == nil: // of another PID namespace
		return fmt.Errorf("another process listens at %s: each agent needs a socket of its own (agent.socket, --socket)", path)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("asking who listens at %s: %w", path, err)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(found, now) {
		return fmt.Errorf("somebody else is changing %s at this moment", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the socket that nobody listens at: %w", err)
	}
	return nil
}

// ours tells whether this process listens at path.
func ours(path string) bool {
	pid, err := holder(path)
	return err == nil && pid == os.Getpid()
}

// holder returns the process that listens at path, as the kernel knows it
// (SO_PEERCRED in unix(7)): also where that process does not answer. The process
// is 0 where it has no number in this process's PID namespace.
func holder(path string) (pid int, err error) {
	c, err := net.DialTimeout("unix", path, holderTimeout)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	cred, err := credentials(c.(*net.UnixConn))
	if err != nil {
		return 0, err
	}
	return int(cred.Pid), nil
}
