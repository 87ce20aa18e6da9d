package probe

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// realServer is a program of Debian's, run as an ordinary process with a
// configuration of its own. start prepares its folder, and says what to run.
type realServer struct {
	name      string
	protocols []string
	proxied   string // which of them is also spoken at a port that expects a PROXY header; empty: none
	start     func(t *testing.T, s site) []string
}

// site is where a real server lives and what it serves.
type site struct {
	dir       string
	cert, key string         // files
	ports     map[string]int // by protocol
}

var realServers = []realServer{
	{"dovecot", []string{"imap", "pop3", "sieve", "lmtp"}, "imap", dovecot},
	{"postfix", []string{"smtp", "submission"}, "smtp", postfix},
	{"postgresql", []string{"postgres"}, "", postgresql},
	{"mariadb", []string{"mysql"}, "", mariadb},
	{"slapd", []string{"ldap"}, "", slapd},
	{"vsftpd", []string{"ftp"}, "", vsftpd},
	{"prosody", []string{"xmpp", "xmpp-server"}, "", prosody},
}

func TestRealServersAreProved(t *testing.T) {
	a := newAuthority(t)
	cert, old := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	for _, server := range realServers {
		if server.name == "postfix" && os.Geteuid() != 0 {
			continue // its master refuses to run as anybody else; a miniature server stands for it
		}
		t.Run(server.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, cert, append(server.protocols, "proxied"))
			run(t, s, server.start(t, s))
			for _, protocol := range server.protocols {
				ep := renew.Endpoint{Address: loopback(s.ports[protocol]), Protocol: protocol}
				if got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(cert), 2*patient)[0]; !got.Served {
					t.Fatalf("%s: %+v\n%s", protocol, got, logOf(s))
				}
				if got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(old), 0)[0]; got.Served || got.Unverifiable {
					t.Errorf("%s, looking for another certificate: %+v", protocol, got)
				}
			}
			for version := 1; server.proxied != "" && version <= 2; version++ {
				ep := renew.Endpoint{Address: loopback(s.ports["proxied"]), Protocol: server.proxied, ProxyProtocol: version}
				if got := (&Prober{}).Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(cert), 2*patient)[0]; !got.Served {
					t.Errorf("%s behind PROXY, version %d: %+v\n%s", ep.Protocol, version, got, logOf(s))
				}
			}
		})
	}
}

func newSite(t *testing.T, cert *tls.Certificate, protocols []string) site {
	t.Helper()
	dir, err := os.MkdirTemp("", "cv") // sockets are made in it, and their paths are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	s := site{dir: dir, ports: map[string]int{}}
	s.cert, s.key = writePair(t, dir, "pair", cert)
	for _, p := range protocols {
		s.ports[p] = freePort(t)
	}
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// writePair writes a certificate with its chain, and its key, as PEM.
func writePair(t *testing.T, dir, name string, cert *tls.Certificate) (chain, key string) {
	t.Helper()
	chain, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	var text []byte
	for _, der := range cert.Certificate {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	must(t, os.WriteFile(chain, text, 0o644))
	der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if k, ok := cert.PrivateKey.(*ecdsa.PrivateKey); ok && err != nil {
		der, err = x509.MarshalECPrivateKey(k)
	}
	must(t, err)
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	return chain, key
}

// write fills in a server's configuration: $dir, $cert, $key, $user, $group and the ports,
// such as $imap.
func (s site) write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(s.dir, name)
	must(t, os.WriteFile(path, []byte(os.Expand(text, func(word string) string {
		switch word {
		case "dir":
			return s.dir
		case "cert":
			return s.cert
		case "key":
			return s.key
		case "user", "group":
			me, err := user.Current()
			must(t, err)
			group, err := user.LookupGroupId(me.Gid)
			must(t, err)
			return map[string]string{"user": me.Username, "group": group.Name}[word]
		}
		if port := s.ports[strings.ReplaceAll(word, "_", "-")]; port != 0 {
			return strconv.Itoa(port)
		}
		return "$" + word
	})), 0o644))
	return path
}

// program finds a server's binary where Debian puts it.
func program(t *testing.T, places ...string) string {
	t.Helper()
	for _, place := range places {
		found, err := filepath.Glob(place)
		must(t, err)
		if len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Fatalf("none of %q is here: packaging/deps.sh installs what tests need", places)
	return ""
}

// run starts a server, and ends it and all that it started with the test.
func run(t *testing.T, s site, argv []string) {
	t.Helper()
	log, err := os.Create(filepath.Join(s.dir, "output"))
	must(t, err)
	defer log.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(t, cmd.Start())
	t.Cleanup(func() {
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		_ = cmd.Process.Signal(syscall.SIGTERM) // it ends what it started
		select {
		case <-ended:
		case <-time.After(patient / 2):
		}
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	})
}

func logOf(s site) string {
	var all []string
	for _, name := range []string{"output", "log"} {
		if text, err := os.ReadFile(filepath.Join(s.dir, name)); err == nil {
			lines := strings.Split(string(text), "\n")
			all = append(all, lines[max(0, len(lines)-25):]...)
		}
	}
	return strings.Join(all, "\n")
}

// asNobody is what goes before a server that refuses to run as root, after the
// site was given to that user.
func (s site) asNobody(t *testing.T) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		return nil
	}
	who, err := user.Lookup("nobody")
	must(t, err)
	uid, err := strconv.Atoi(who.Uid)
	must(t, err)
	gid, err := strconv.Atoi(who.Gid)
	must(t, err)
	for _, path := range []string{s.dir, s.cert, s.key} {
		must(t, os.Chown(path, uid, gid))
	}
	return []string{"setpriv", "--reuid", who.Uid, "--regid", who.Gid, "--clear-groups", "--"}
}

func postfix(t *testing.T, s site) []string {
	s.write(t, "main.cf", `
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
smtpd_tls_cert_file = $cert
smtpd_tls_key_file = $key
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
`)
	s.write(t, "master.cf", `
127.0.0.1:$smtp inet n - n - - smtpd
127.0.0.1:$submission inet n - n - - smtpd
  -o syslog_name=submission
  -o smtpd_tls_security_level=encrypt
127.0.0.1:$proxied inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
tlsmgr unix - - n 1000? 1 tlsmgr
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
cleanup unix n - n - 0 cleanup
postlog unix-dgram n - n - 1 postlogd
`)
	must(t, os.MkdirAll(filepath.Join(s.dir, "spool"), 0o755))
	must(t, os.MkdirAll(filepath.Join(s.dir, "data"), 0o755))
	who, err := user.Lookup("postfix")
	must(t, err)
	uid, err := strconv.Atoi(who.Uid)
	must(t, err)
	must(t, os.Chown(filepath.Join(s.dir, "data"), uid, -1))
	// What "postfix start" does, but that its master stays this process's child.
	if out, err := exec.Command(program(t, "/usr/sbin/postfix"), "-c", s.dir, "check").CombinedOutput(); err != nil {
		t.Fatalf("postfix check: %v: %s", err, out)
	}
	return []string{"/usr/lib/postfix/sbin/master", "-c", s.dir, "-d"}
}

// The part of Dovecot's configuration that 2.4 (Debian 13) has other words for.
const (
	dovecot23 = `
ssl_cert = <$cert
ssl_key = <$key
passdb {
  driver = static
  args = nopassword=y
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$dir
}
`
	dovecot24 = `
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
ssl_server_cert_file = $cert
ssl_server_key_file = $key
passdb static {
  fields {
    nopassword = yes
  }
}
userdb static {
  fields {
    uid = nobody
    gid = nogroup
    home = $dir
  }
}
`
)

func dovecot(t *testing.T, s site) []string {
	binary := program(t, "/usr/sbin/dovecot")
	version, err := exec.Command(binary, "--version").Output()
	must(t, err)
	text := dovecot24
	if strings.HasPrefix(string(version), "2.3.") {
		text = dovecot23
	}
	text += `
base_dir = $dir/run
state_dir = $dir/state
log_path = $dir/log
listen = 127.0.0.1
haproxy_trusted_networks = 127.0.0.1
protocols = imap pop3 sieve lmtp
ssl = yes
service imap-login {
  inet_listener imap {
    port = $imap
  }
  inet_listener imaps {
    port = 0
  }
  inet_listener imap_proxied {
    port = $proxied
    haproxy = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = $pop3
  }
  inet_listener pop3s {
    port = 0
  }
}
service managesieve-login {
  inet_listener sieve {
    port = $sieve
  }
}
service lmtp {
  inet_listener lmtp {
    port = $lmtp
  }
}
`
	if os.Geteuid() != 0 { // nobody else can change users and roots
		text += `
default_internal_user = $user
default_internal_group = $group
default_login_user = $user
`
		for _, service := range []string{"imap-login", "pop3-login", "managesieve-login", "anvil", "stats"} {
			text += "service " + service + " {\n  chroot =\n}\n"
		}
	}
	return []string{binary, "-F", "-c", s.write(t, "dovecot.conf", text)}
}

func postgresql(t *testing.T, s site) []string {
	as := s.asNobody(t)
	postgres := program(t, "/usr/lib/postgresql/*/bin/postgres")
	data := filepath.Join(s.dir, "data")
	initdb := append(slices.Clone(as), filepath.Join(filepath.Dir(postgres), "initdb"), "-D", data, "-A", "trust", "-U", "me", "--no-sync", "--no-locale")
	if out, err := exec.Command(initdb[0], initdb[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	argv := append(as, postgres, "-D", data)
	for _, setting := range []string{
		"listen_addresses=127.0.0.1", fmt.Sprintf("port=%d", s.ports["postgres"]), "unix_socket_directories=" + s.dir,
		"ssl=on", "ssl_cert_file=" + s.cert, "ssl_key_file=" + s.key, "fsync=off",
	} {
		argv = append(argv, "-c", setting)
	}
	return argv
}

func mariadb(t *testing.T, s site) []string {
	as := s.asNobody(t)
	return append(as, program(t, "/usr/sbin/mariadbd"), "--no-defaults", "--datadir="+s.dir, "--skip-grant-tables", "--skip-innodb",
		"--default-storage-engine=Aria", "--bind-address=127.0.0.1", fmt.Sprintf("--port=%d", s.ports["mysql"]),
		"--skip-networking=0", "--socket="+s.dir+"/socket", "--pid-file="+s.dir+"/pid", "--ssl-cert="+s.cert, "--ssl-key="+s.key)
}

func slapd(t *testing.T, s site) []string {
	conf := s.write(t, "slapd.conf", `
TLSCertificateFile $cert
TLSCertificateKeyFile $key
pidfile $dir/pid
database config
`)
	return []string{program(t, "/usr/sbin/slapd"), "-d", "0", "-f", conf, "-h", "ldap://" + loopback(s.ports["ldap"])}
}

func vsftpd(t *testing.T, s site) []string {
	must(t, os.Mkdir(filepath.Join(s.dir, "empty"), 0o555))
	conf := s.write(t, "vsftpd.conf", `listen=YES
listen_address=127.0.0.1
listen_port=$ftp
background=NO
run_as_launching_user=YES
anonymous_enable=YES
secure_chroot_dir=$dir/empty
anon_root=$dir/empty
vsftpd_log_file=$dir/log
debug_ssl=YES
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
ssl_enable=YES
ssl_tlsv1=YES
allow_anon_ssl=YES
rsa_cert_file=$cert
rsa_private_key_file=$key
ssl_ciphers=HIGH
`)
	return []string{program(t, "/usr/sbin/vsftpd"), conf}
}

func prosody(t *testing.T, s site) []string {
	conf := s.write(t, "prosody.cfg.lua", `
daemonize = false
pidfile = "$dir/pid"
data_path = "$dir"
run_as_root = true
interfaces = { "127.0.0.1" }
c2s_ports = { $xmpp }
s2s_ports = { $xmpp_server }
modules_enabled = { "tls", "saslauth", "dialback" }
modules_disabled = { "offline", "c2s_direct_tls" }
log = { info = "$dir/log" }
ssl = { certificate = "$cert", key = "$key" }
VirtualHost "www.example.com"
`)
	return []string{program(t, "/usr/bin/prosody"), "-F", "--config", conf}
}
