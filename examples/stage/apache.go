package stage

import (
	"os"
	"syscall"
)

// Debian's Apache, without what has nothing to do with TLS. Sites are enabled by
// adding files to sites/.
const apacheConf = `
ServerName localhost
DefaultRuntimeDir $dir
PidFile $dir/pid
ErrorLog $dir/log
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
LoadModule socache_shmcb_module $modules/mod_socache_shmcb.so
LoadModule ssl_module $modules/mod_ssl.so
StartServers 1
GracefulShutdownTimeout 5
Listen $http
Listen $https
DocumentRoot $dir/html
$user
IncludeOptional $dir/sites/*.conf
`

// NewApache writes the configuration of an Apache without sites into dir, which
// must be there. Its document root is html in it.
func NewApache(dir string, http, https int) (*Server, error) {
	binary, err := findServer("apache2")
	if err != nil {
		return nil, err
	}
	s := &Server{Name: "apache", Dir: dir, PIDFile: dir + "/pid", quit: syscall.SIGTERM, up: []string{loopback(http)}}
	s.argv = []string{binary, "-d", dir, "-f", dir + "/apache2.conf", "-DFOREGROUND"}
	// "-k graceful" is the same, but that it starts an Apache that is gone.
	s.reload = []string{"sh", "-c", binary + " -d " + dir + " -f " + dir + "/apache2.conf -t && kill -USR1 $(cat " + s.PIDFile + ")"}
	user := ""
	if os.Geteuid() == 0 {
		user = "User www-data\nGroup www-data"
	}
	return s, s.write(map[string]string{
		"dir": dir, "modules": "/usr/lib/apache2/modules", "http": loopback(http), "https": loopback(https), "user": user,
	}, map[string]string{"apache2.conf": apacheConf, "html/index.html": "it works\n", "sites/README": "one file a site\n"})
}
