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
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew"
)

// realServer is a program of Debian's, run as an ordinary process with a
// configuration of its own, until the test ends.
type realServer struct {
	name      string
	protocols []string
	proxied   string // which of them is also spoken at a port that expects a PROXY header; empty: none
	start     func(t *testing.T, s site)
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
	{"mariadb", []string{"mysql"}, "", ran(mariadb)},
	{"slapd", []string{"ldap"}, "", ran(slapd)},
	{"vsftpd", []string{"ftp"}, "", ran(vsftpd)},
	{"prosody", []string{"xmpp", "xmpp-server"}, "", ran(prosody)},
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
			server.start(t, s)
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

// write writes a server's configuration.
func (s site) write(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(s.dir, name)
	must(t, os.WriteFile(path, []byte(s.fill(text)), 0o644))
	return path
}

// fill fills in a server's configuration: $dir, $cert, $key and the ports, such as
// $imap.
func (s site) fill(text string) string {
	return os.Expand(text, func(word string) string {
		switch word {
		case "dir":
			return s.dir
		case "cert":
			return s.cert
		case "key":
			return s.key
		}
		if port := s.ports[strings.ReplaceAll(word, "_", "-")]; port != 0 {
			return strconv.Itoa(port)
		}
		return "$" + word
	})
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

// ran is for a function that prepares the site, and says what to run.
func ran(prepare func(*testing.T, site) []string) func(*testing.T, site) {
	return func(t *testing.T, s site) { run(t, s, prepare(t, s)) }
}

// begin starts what examples/stage has prepared in the site, with more of a
// configuration in one of its files.
func (s site) begin(t *testing.T, server *stage.Server, err error, more map[string]string) {
	t.Helper()
	must(t, err)
	for name, text := range more {
		must(t, server.Add(name, s.fill(text)))
	}
	must(t, server.Start(t.Context()))
	t.Cleanup(func() { _ = server.Stop() })
}

func postfix(t *testing.T, s site) {
	server, err := stage.NewPostfix(s.dir, s.ports["smtp"])
	s.begin(t, server, err, map[string]string{
		"main.cf": "smtpd_tls_chain_files = $key, $cert\n",
		"master.cf": `
127.0.0.1:$submission inet n - n - - smtpd
  -o syslog_name=submission
  -o smtpd_tls_security_level=encrypt
127.0.0.1:$proxied inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
`})
}

func dovecot(t *testing.T, s site) {
	version, err := stage.DovecotVersion()
	must(t, err)
	text := "ssl_server_cert_file = $cert\nssl_server_key_file = $key\n"
	if strings.HasPrefix(version, "2.3.") {
		text = "ssl_cert = <$cert\nssl_key = <$key\n"
	}
	text += `
haproxy_trusted_networks = 127.0.0.1
protocols = imap pop3 sieve lmtp
service imap-login {
  inet_listener imap_proxied {
    port = $proxied
    haproxy = yes
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
	if os.Geteuid() != 0 { // nobody else can change roots
		text += "service managesieve-login {\n  chroot =\n}\n"
	}
	server, err := stage.NewDovecot(s.dir, s.ports["imap"], freePort(t), s.ports["pop3"])
	s.begin(t, server, err, map[string]string{"conf.d/more.conf": text})
}

func postgresql(t *testing.T, s site) {
	server, err := stage.NewPostgreSQL(s.dir, s.ports["postgres"])
	must(t, err)
	who, err := stage.PostgreSQLUser()
	must(t, err)
	uid, err := strconv.Atoi(who.Uid)
	must(t, err)
	must(t, os.Chown(s.key, uid, -1)) // it takes no other
	s.begin(t, server, nil, map[string]string{"conf.d/tls.conf": "ssl = on\nssl_cert_file = '$cert'\nssl_key_file = '$key'\n"})
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
