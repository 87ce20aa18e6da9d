package stage

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

const postgresqlConf = `
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
shared_buffers = 1MB
max_connections = 10
fsync = off
log_min_messages = log
include_dir = '$dir/conf.d'
`

// PostgreSQLUser is the user that a PostgreSQL of the stage runs as: it refuses
// to be root.
func PostgreSQLUser() (*user.User, error) {
	if os.Geteuid() == 0 {
		return user.Lookup("postgres")
	}
	return user.Current()
}

// NewPostgreSQL makes a cluster in dir, which must be there and becomes its
// user's. It speaks no TLS before what is added to conf.d says so.
func NewPostgreSQL(dir string, port int) (*Server, error) {
	binary, err := findServer("postgres", "/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	s := &Server{Name: "postgresql", Dir: dir, PIDFile: data + "/postmaster.pid", quit: syscall.SIGINT, up: []string{loopback(port)}}
	s.argv = []string{binary, "-D", data}
	s.reload = []string{"sh", "-c", "kill -HUP $(head -n 1 " + s.PIDFile + ")"}
	if err := s.ownPostgreSQL(); err != nil {
		return nil, fmt.Errorf("preparing postgresql: %w", err)
	}
	initdb := exec.Command(filepath.Join(filepath.Dir(binary), "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "--no-locale")
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: s.as}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("running initdb: %w: %s", err, out)
	}
	return s, s.write(map[string]string{"dir": dir, "port": fmt.Sprint(port)}, map[string]string{
		"data/postgresql.conf": postgresqlConf, "conf.d/README": "settings that outrank the others\n",
	})
}

// ownPostgreSQL gives the folder to the server's user.
func (s *Server) ownPostgreSQL() error {
	who, err := PostgreSQLUser()
	if err != nil || os.Geteuid() != 0 {
		return err
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(who.Gid)
	if err != nil {
		return err
	}
	s.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(s.Dir, uid, gid)
}
