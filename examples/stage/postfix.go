package stage

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

const postfixMain = `
compatibility_level = 3.6
queue_directory = $dir/spool
data_directory = $dir/data
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
myhostname = mail.example.com
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = $dir/log
maillog_file_prefixes = $dir
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
`

const postfixMaster = `
$smtp inet n - n - - smtpd
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
cleanup unix n - n - 0 cleanup
postlog unix-dgram n - n - 1 postlogd
`

// NewPostfix writes main.cf and master.cf of a Postfix into dir, which must be
// there. It takes root: its master refuses to run as anybody else. It changes its
// effective user while it starts, which takes the parent-death signal from it: a
// Postfix whose owner is killed stays.
func NewPostfix(dir string, smtp int) (*Server, error) {
	binary, err := findServer("postfix")
	if err != nil {
		return nil, err
	}
	s := &Server{Name: "postfix", Dir: dir, PIDFile: dir + "/spool/pid/master.pid", quit: syscall.SIGTERM, up: []string{loopback(smtp)}}
	// Its master in the foreground; "postfix start" would detach it.
	s.argv = []string{"/usr/lib/postfix/sbin/master", "-c", dir, "-d"}
	s.reload = []string{binary, "-c", dir, "reload"}
	if err := s.write(map[string]string{"dir": dir, "smtp": loopback(smtp)}, map[string]string{"main.cf": postfixMain, "master.cf": postfixMaster}); err != nil {
		return nil, err
	}
	who, err := user.Lookup("postfix")
	if err != nil {
		return nil, fmt.Errorf("preparing postfix: %w", err)
	}
	uid, err := strconv.Atoi(who.Uid)
	if err != nil {
		return nil, fmt.Errorf("preparing postfix: %w", err)
	}
	for _, folder := range []string{dir + "/spool", dir + "/data"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, fmt.Errorf("preparing postfix: %w", err)
		}
	}
	if err := os.Chown(dir+"/data", uid, -1); err != nil {
		return nil, fmt.Errorf("preparing postfix: %w", err)
	}
	return s, run(context.Background(), []string{binary, "-c", dir, "check"}) // makes its queue
}
