// Package sockets reads the kernel's lists of TCP sockets: who listens on this
// host, and which connections are open there. The lists are those of this
// process's network namespace, and are there where a sandbox shows processes alone
// (ProcSubset=pid). Neither privileges nor netlink are needed.
package sockets

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strconv"
)

// Socket is one that listens.
type Socket struct {
	At    netip.AddrPort // as bound: 0.0.0.0 and :: are every address
	UID   uint64
	Inode uint64
}

// Listening lists the sockets that listen. Where there is an error too, the list
// is not complete.
func Listening() ([]Socket, error) {
	var all []Socket
	err := inEach(func(list io.Reader) error { return addListening(&all, list) })
	if err != nil {
		err = fmt.Errorf("listing the listening sockets: %w", err)
	}
	return all, err
}

func addListening(all *[]Socket, list io.Reader) error {
	return scan(list, func(c columns) error {
		if string(c[state]) != listening {
			return nil
		}
		at, err := c.address()
		if err != nil {
			return err
		}
		user, err := c.number(uid)
		if err != nil {
			return err
		}
		n, err := c.number(inode)
		if err != nil {
			return err
		}
		*all = append(*all, Socket{netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), user, n})
		return nil
	})
}

// inEach reads one list after the other. A kernel without IPv6 has only the first.
func inEach(read func(list io.Reader) error) error {
	var errs []error
	for i, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(path)
		if i > 0 && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = read(f)
			f.Close()
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// columns are those of one socket's line, as proc_pid_net(5) describes them.
type columns [10][]byte

// Those of them that are read.
const (
	local = 1
	state = 3
	uid   = 7
	inode = 9
)

// What stands for states (the kernel's include/net/tcp_states.h).
const (
	established = "01"
	listening   = "0A"
)

// scan reads a list line by line. It makes no garbage: there may be a hundred
// thousand.
func scan(list io.Reader, take func(columns) error) error {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		if c, ok := split(lines.Bytes()); ok {
			if err := take(c); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}

func split(line []byte) (c columns, ok bool) {
	for i := range c {
		line = bytes.TrimLeft(line, " ")
		end := bytes.IndexByte(line, ' ')
		if end < 0 {
			end = len(line)
		}
		c[i], line = line[:end], line[end:]
	}
	return c, len(c[inode]) > 0
}

// address is the socket's own, which the kernel prints in words of 32 bits as they
// lie in memory, and its port. One of IPv4 in the list of IPv6 stays one of IPv6.
func (c *columns) address() (netip.AddrPort, error) {
	broken := func() (netip.AddrPort, error) {
		return netip.AddrPort{}, fmt.Errorf("reading the address %q", c[local])
	}
	host, _, _ := bytes.Cut(c[local], []byte(":"))
	port, err := c.port()
	var raw [16]byte
	if err != nil || len(host) > 2*len(raw) {
		return broken()
	}
	n, err := hex.Decode(raw[:], host)
	if err != nil {
		return broken()
	}
	for i := 0; i+4 <= n; i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	ip, ok := netip.AddrFromSlice(raw[:n])
	if !ok {
		return broken()
	}
	return netip.AddrPortFrom(ip, port), nil
}

func (c *columns) port() (uint16, error) {
	_, text, _ := bytes.Cut(c[local], []byte(":"))
	n, err := strconv.ParseUint(string(text), 16, 16)
	return uint16(n), err
}

func (c *columns) number(column int) (uint64, error) {
	n, err := strconv.ParseUint(string(c[column]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading the number %q", c[column])
	}
	return n, nil
}
