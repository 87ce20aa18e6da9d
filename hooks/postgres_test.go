package hooks

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/certvigil/certvigil/examples/stage"
)

// postgres is a real one, with a certificate of its own.
type postgres struct {
	dir     string
	address string
	uid     int
}

func startPostgres(t *testing.T) postgres {
	t.Helper()
	ports, err := stage.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	server, err := stage.NewPostgreSQL(shortDir(t), ports[0])
	if err != nil {
		t.Fatal(err)
	}
	who, err := stage.PostgreSQLUser()
	if err != nil {
		t.Fatal(err)
	}
	p := postgres{dir: filepath.Dir(server.PIDFile), address: fmt.Sprintf("127.0.0.1:%d", ports[0])}
	if p.uid, err = strconv.Atoi(who.Uid); err != nil {
		t.Fatal(err)
	}
	p.put(t, 1)
	if err := server.Add("conf.d/tls.conf", "ssl = on\nssl_cert_file = 'fullchain.pem'\nssl_key_file = 'privkey.pem'\n"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Stop()
		if t.Failed() {
			t.Logf("postgres said: %s", server.Said(10))
		}
	})
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
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
