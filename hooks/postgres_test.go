package hooks

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/certvigil/certvigil/examples/stage"
)

// postgres is a real one, with a certificate of its own; it refuses to run as root.
type postgres struct {
	dir     string
	address string
	as      *syscall.SysProcAttr
	uid     int
}

func startPostgres(t *testing.T) postgres {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		t.Fatal("no PostgreSQL is installed")
	}
	bin := found[len(found)-1]
	ports, err := stage.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	top := shortDir(t)
	p := postgres{dir: filepath.Join(top, "data"), address: fmt.Sprintf("127.0.0.1:%d", ports[0]), uid: os.Getuid(), as: &syscall.SysProcAttr{}}
	if p.uid == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		p.uid, _ = strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		p.as.Credential = &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(gid)}
		if err := os.Chown(top, p.uid, gid); err != nil {
			t.Fatal(err)
		}
	}
	var said tail
	command := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.SysProcAttr, cmd.Dir, cmd.Stdout, cmd.Stderr = p.as, top, &said, &said
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C.UTF-8"}
		return cmd
	}
	if err := command("initdb", "--no-sync", "--auth=trust", "--pgdata="+p.dir).Run(); err != nil {
		t.Fatalf("initdb: %v: %s", err, said.String())
	}
	p.put(t, 1)
	server := command("postgres", "-D", p.dir, "-F", "-c", "listen_addresses=127.0.0.1", "-c", fmt.Sprintf("port=%d", ports[0]),
		"-c", "unix_socket_directories=", "-c", "ssl=on", "-c", "ssl_cert_file=fullchain.pem", "-c", "ssl_key_file=privkey.pem",
		"-c", "shared_buffers=1MB", "-c", "max_connections=5")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(syscall.SIGQUIT)
		_ = server.Wait()
		if t.Failed() {
			t.Logf("postgres said: %s", said.String())
		}
	})
	until(t, "postgres serves", func() bool { return p.serial() == 1 })
	return p
}

// put lays a new pair where the server reads it.
func (p postgres) put(t *testing.T, serial int64) {
	t.Helper()
	putPair(t, p.dir, serial)
	for _, name := range []string{"privkey.pem", "fullchain.pem"} {
		if err := os.Chown(filepath.Join(p.dir, name), p.uid, -1); err != nil {
			t.Fatal(err)
		}
	}
}

// serial returns the number of the certificate that is served; 0 where none is.
func (p postgres) serial() int64 {
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		return 0
	}
	defer conn.Close()
	const sslRequest = 80877103 // PostgreSQL's protocol, SSLRequest
	yes := make([]byte, 1)
	_ = binary.Write(conn, binary.BigEndian, [2]int32{8, sslRequest})
	if _, err := io.ReadFull(conn, yes); err != nil || yes[0] != 'S' {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	wire := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the serial says which one it is
	if err := wire.HandshakeContext(ctx); err != nil {
		return 0
	}
	number := wire.ConnectionState().PeerCertificates[0].SerialNumber
	if !number.IsInt64() {
		return 0
	}
	return number.Int64()
}

// TestPostgreSQLReloadsBySIGHUPToItsPostmaster, whose pid file has more lines and
// belongs to the server's own user.
func TestPostgreSQLReloadsBySIGHUPToItsPostmaster(t *testing.T) {
	p := startPostgres(t)
	pidFile := filepath.Join(p.dir, "postmaster.pid")
	if lines := strings.Count(read(t, pidFile), "\n"); lines < 5 {
		t.Fatalf("postmaster.pid has %d lines: it is not what this test is about", lines)
	}
	h := Hook{Name: "postgres", Reload: Reload{PIDFile: pidFile, Signal: "HUP", Process: "postgres"}}
	r := runner(t)
	says(t, r.Ready(t.Context(), h))
	p.put(t, 2)
	if got := p.serial(); got != 1 {
		t.Fatalf("number %d is served before the reload", got)
	}
	if _, err := r.Run(t.Context(), h, www, 0); err != nil {
		t.Fatal(err)
	}
	until(t, "number 2 is served", func() bool { return p.serial() == 2 })
	h.Reload.Process = "nginx"
	_, err := r.Run(t.Context(), h, www, 0)
	says(t, err, "is stale", "not nginx")
}
