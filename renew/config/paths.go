package config

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// fromHere returns path as an absolute one.
func fromHere(path string) string {
	full, err := filepath.Abs(path)
	if err != nil { // there is no working directory: it was removed
		return path
	}
	return full
}

// checkPath reports a path that is not absolute and clean: the agent's working
// directory is nothing to rely on, and two spellings of one file would hide
// that it is written twice.
func (d *decoder) checkPath(what string, one item) bool {
	switch {
	case !filepath.IsAbs(one.text):
		d.fail(one.rng, fmt.Sprintf("%s is a relative path: %s", what, quoted(one.text)), "Write it from the root, beginning with a slash.")
	case filepath.Clean(one.text) != one.text:
		d.fail(one.rng, fmt.Sprintf("%s is a path with detours: %s", what, quoted(one.text)), fmt.Sprintf("Write %s.", quoted(filepath.Clean(one.text))))
	case one.text == "/":
		d.fail(one.rng, what+" is the root itself", "Write a path below it.")
	default:
		return true
	}
	return false
}

// within tells whether path is dir or lies below it.
func within(dir, path string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// checkAddress reports what is not host:port. The host may be left out where
// all addresses of the machine are meant.
func (d *decoder) checkAddress(what string, one item, anyHost bool) bool {
	example := "127.0.0.1:443"
	if anyHost {
		example = ":80"
	}
	host, port, err := net.SplitHostPort(one.text)
	n, numberErr := strconv.ParseUint(port, 10, 16)
	switch {
	case err != nil && strings.Contains(one.text, "://"):
		d.fail(one.rng, fmt.Sprintf("%s is a URL: %s", what, quoted(one.text)), fmt.Sprintf("Write host:port, such as %q.", example))
	case err != nil && !strings.Contains(one.text, ":"):
		d.fail(one.rng, fmt.Sprintf("%s has no port: %s", what, quoted(one.text)), fmt.Sprintf("Write host:port, such as %q.", example))
	case err != nil:
		d.fail(one.rng, fmt.Sprintf("%s is not host:port: %s", what, quoted(one.text)), fmt.Sprintf("Write it as in %q; an IPv6 address stands in brackets, as in \"[::1]:443\".", example))
	case numberErr != nil || n == 0:
		d.fail(one.rng, fmt.Sprintf("%s has no usable port: %s", what, quoted(one.text)), "Write a port from 1 to 65535 as a number.")
	case host == "" && !anyHost:
		d.fail(one.rng, fmt.Sprintf("%s has no host: %s", what, quoted(one.text)), fmt.Sprintf("Write the address to connect to, such as %q.", "127.0.0.1:"+port))
	case strings.ContainsAny(host, " /@\t"):
		d.fail(one.rng, fmt.Sprintf("%s has no usable host: %s", what, quoted(one.text)), "Write a host name or an IP address before the port.")
	default:
		return true
	}
	return false
}

// loopback tells whether only this machine can reach the host of an address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
