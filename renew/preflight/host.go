package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/install"
	"github.com/certvigil/certvigil/renew/probe"
)

// The least room of a file system that a renewal is written to: a version is
// some 20 KiB in five files, and others write there too. On a very small one, an
// eighth of it.
const (
	leastBytes  = 1 << 20
	leastPart   = 8
	leastInodes = 16
)

// paths looks at every directory that a renewal writes to.
func (l *look) paths(context.Context) []renew.Obstacle {
	found := l.folder(l.config.Agent.StateDir, "the state directory", makeable)
	for _, o := range l.cert.Outputs {
		for _, dir := range install.Folders(o) {
			found = append(found, l.folder(dir, "a folder of an install block", func(dir string) error { return install.Ready(o, dir) })...)
		}
		found = append(found, l.owner(o)...)
	}
	if s := l.solver(); s.Type == "webroot" {
		found = append(found, l.folder(s.Path, "the webroot", writable)...)
	}
	return found
}

// owner looks whether an output could be given to whom it is configured for.
func (l *look) owner(o renew.Output) []renew.Obstacle {
	paths := o.Paths()
	if l.powers == nil || len(paths) == 0 {
		return nil
	}
	lack, ok := l.powers.Lack(o)
	if !ok {
		return nil
	}
	caps := strings.Join(lack.Caps, " ")
	remedy := fmt.Sprintf("Let the service do that: systemctl edit certvigil, [Service], CapabilityBoundingSet=%s and AmbientCapabilities=%s.", caps, caps)
	if lack.Group != "" {
		remedy = fmt.Sprintf("Make the service a member: systemctl edit certvigil, [Service], SupplementaryGroups=%s.", lack.Group)
	}
	return []renew.Obstacle{{Reason: renew.OwnerForbidden, Subject: paths[0], Detail: lack.Why, Remedy: remedy}}
}

func (l *look) folder(dir, what string, ready func(string) error) []renew.Obstacle {
	var found []renew.Obstacle
	if err := ready(dir); err != nil {
		found = append(found, renew.Obstacle{Reason: renew.PathUnwritable, Subject: dir, Detail: what + ": " + oneLine(err),
			Remedy: unwritable(dir, err)})
	}
	if err := roomy(dir); err != nil {
		found = append(found, renew.Obstacle{Reason: renew.DiskFull, Subject: dir, Detail: what + ": " + err.Error(),
			Remedy: "Make room on that file system."})
	}
	return found
}

// writable tells whether this process could make files in dir.
func writable(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return &fs.PathError{Op: "write", Path: dir, Err: unix.ENOTDIR}
	}
	if err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return fmt.Errorf("user %d may not write to %s: %w", os.Geteuid(), dir, err)
	}
	return nil
}

// makeable is writable for a directory that is made where it is missing.
func makeable(dir string) error { return writable(existing(dir)) }

// existing is dir, or the closest directory above it that is there.
func existing(dir string) string {
	for dir = filepath.Clean(dir); dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return dir
}

func unwritable(dir string, err error) string {
	switch {
	case errors.Is(err, unix.EROFS):
		return fmt.Sprintf("Mount it read-write; in the service's sandbox, name it in a drop-in: ReadWritePaths=-%s", dir)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Sprintf("Let the agent's user write to %s.", dir)
	default:
		return fmt.Sprintf("See to the folder %s.", dir)
	}
}

// roomy tells whether there is room on dir's file system.
func roomy(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(existing(dir), &st); err != nil {
		return nil // why it can't be looked at is told by what looks whether it can be written to
	}
	return scarce(st, os.Geteuid() == 0)
}

// scarce tells what a file system lacks: blocks that are not root's alone, or
// inodes. One that counts none of them has enough.
func scarce(st unix.Statfs_t, root bool) error {
	size := int64(st.Bsize)
	free, least := int64(st.Bavail)*size, min(leastBytes, int64(st.Blocks)*size/leastPart)
	if root {
		free = int64(st.Bfree) * size
	}
	switch {
	case st.Blocks > 0 && free < least:
		return fmt.Errorf("%d KiB are free, and a renewal wants %d", free>>10, least>>10)
	case st.Files > 0 && st.Ffree < leastInodes:
		return fmt.Errorf("%d inodes are free, and a renewal wants %d", st.Ffree, leastInodes)
	}
	return nil
}

// runHooks looks whether every hook could be run.
func (l *look) runHooks(ctx context.Context) []renew.Obstacle {
	var found []renew.Obstacle
	for _, name := range l.cert.Hooks {
		err := l.ready(ctx, name)
		if err == nil || ctx.Err() != nil {
			continue
		}
		found = append(found, renew.Obstacle{Reason: renew.HookNotExecutable, Subject: "hook " + name, Detail: oneLine(err),
			Remedy: "Make it run: until then a new certificate is installed and not served."})
	}
	return found
}

// ready bounds the question: a system bus may hang.
func (l *look) ready(ctx context.Context, hook string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	return l.hooks.Ready(ctx, l.config.Hooks[hook])
}

// endpoints looks whether somebody listens where the certificate is to be proved.
// Before the first one nobody need.
func (l *look) endpoints(ctx context.Context) []renew.Obstacle {
	if l.facts.Held.N == 0 {
		return nil
	}
	var found []renew.Obstacle
	for _, e := range l.cert.Endpoints {
		err := l.listens(ctx, e)
		if err == nil || ctx.Err() != nil {
			continue
		}
		found = append(found, renew.Obstacle{Reason: renew.EndpointUnreachable, Subject: e.Address, Detail: oneLine(err),
			Remedy: "Start the server, or correct the endpoint: nobody can prove what is served there."})
	}
	return found
}

func (l *look) listens(ctx context.Context, e renew.Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if path, ok := e.Socket(); ok {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err != nil {
			return probe.Brief(err)
		}
		return conn.Close()
	}
	host, service, err := net.SplitHostPort(e.Address)
	if err != nil {
		return err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return err
	}
	var errs []error
	for _, ip := range ips[:min(len(ips), maxAddresses)] {
		at := netip.AddrPortFrom(ip.Unmap(), uint16(port))
		conn, err := dial(ctx, at)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", at, err))
			continue
		}
		_ = conn.Close() // it was there
	}
	return errors.Join(errs...)
}
