package stage

import "syscall"

const haproxyConf = `
global
    stats socket $dir/admin.sock mode 600 level admin
    hard-stop-after 5s
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend up
    bind $up
    http-request return status 204
`

// NewHAProxy writes the configuration of an HAProxy into dir, which must be
// there: haproxy.cfg, that only tells at port up that it is there.
func NewHAProxy(dir string, up int) (*Server, error) {
	binary, err := findServer("haproxy")
	if err != nil {
		return nil, err
	}
	s := &Server{Name: "haproxy", Dir: dir, PIDFile: dir + "/pid", quit: syscall.SIGTERM, up: []string{loopback(up)}}
	// A master and its workers, in the foreground, as its unit has it.
	s.argv = []string{binary, "-W", "-f", dir + "/haproxy.cfg", "-p", s.PIDFile}
	s.reload = []string{"sh", "-c", binary + " -c -q -f " + dir + "/haproxy.cfg && kill -USR2 $(cat " + s.PIDFile + ")"}
	return s, s.write(map[string]string{"dir": dir, "up": loopback(up)}, map[string]string{"haproxy.cfg": haproxyConf})
}
