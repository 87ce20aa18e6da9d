package status

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

type peerKey struct{}

// withPeer keeps the credentials of who is at the other end of a UNIX socket,
// as the kernel gives them.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	uc, ok := c.(*net.UnixConn)
	if !ok {
		return ctx
	}
	cred, err := credentials(uc)
	if err != nil {
		return ctx
	}
	return context.WithValue(ctx, peerKey{}, *cred)
}

// credentials are those of the process at the other end when it connected or
// began to listen.
func credentials(c *net.UnixConn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	return cred, credErr
}

// mayAct tells whether the peer may do more than read. Who is unknown may not.
func mayAct(ctx context.Context) error {
	cred, ok := ctx.Value(peerKey{}).(unix.Ucred)
	if !ok {
		return errors.New("acting takes the control socket")
	}
	return allowed(cred.Uid, uint32(os.Geteuid()))
}

func allowed(uid, self uint32) error {
	if uid == 0 || uid == self {
		return nil
	}
	return fmt.Errorf("user %d may read but not act: run it as root or as the service's user", uid)
}
