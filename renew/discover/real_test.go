package discover

import (
	"crypto"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
)

// keep writes a pair to NAME.crt and NAME.key, and both to NAME.pem.
func keep(t *testing.T, dir, name string, pair tls.Certificate) (crt string) {
	t.Helper()
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	key, err := keypair.EncodeKey(pair.PrivateKey.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	for suffix, text := range map[string][]byte{".crt": cert, ".key": key, ".pem": append(key, cert...)} {
		if err := os.WriteFile(filepath.Join(dir, name+suffix), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, name+".crt")
}

// places are what was found, in lines.
func places(found renew.Search, dir string) string {
	var all []string
	for _, p := range found.Places {
		line := fmt.Sprintf("%s %s older=%v ours=%v %s", p.Address, p.Name, p.Older, p.Ours, p.File)
		if p.ProxyProtocol > 0 {
			line += " by PROXY"
		}
		process, _, _ := strings.Cut(p.Process, ",")
		all = append(all, strings.ReplaceAll(line+" "+process, dir+"/", ""))
	}
	return strings.Join(all, "\n")
}

// TestServersOfTheirOwnConfiguration: an nginx with a site of ours, one with a copy,
// and two places that a handshake alone finds nothing at; and a HAProxy.
func TestServersOfTheirOwnConfiguration(t *testing.T) {
	if !alone(t) {
		return
	}
	dir, err := os.MkdirTemp("", "cv") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	now := time.Now()
	const name = "www.example.com"
	old, held := mint(t, 1, now.Add(-40*24*time.Hour), name), mint(t, 2, now.Add(-time.Hour), name)
	ours := keep(t, dir, "live", held)
	keep(t, dir, "copy", old)
	if err := os.Symlink(ours, filepath.Join(dir, "linked.crt")); err != nil {
		t.Fatal(err)
	}

	server, err := stage.NewNginx(filepath.Join(dir, "nginx"), 443, 80)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.EnableText("sites", strings.ReplaceAll(`
server { listen 127.0.0.1:443 ssl; server_name www.example.com; ssl_certificate DIR/linked.crt; ssl_certificate_key DIR/live.key; }
server { listen 127.0.0.1:444 ssl; server_name www.example.com; ssl_certificate DIR/copy.crt; ssl_certificate_key DIR/copy.key; }
server { listen 127.0.0.1:445 ssl proxy_protocol; listen unix:DIR/n.sock ssl; server_name www.example.com; ssl_certificate DIR/live.crt; ssl_certificate_key DIR/live.key; }
`, "DIR", dir)); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()
	startHAProxy(t, dir)

	q := query(held, version(1, old), version(2, held))
	q.Files = []string{ours}
	found := search(t, new(Scout), q)
	want := `127.0.0.1:443 www.example.com older=false ours=true linked.crt nginx
127.0.0.1:444 www.example.com older=true ours=false copy.crt nginx
127.0.0.1:445 www.example.com older=false ours=true live.crt by PROXY nginx
127.0.0.1:446 www.example.com older=true ours=false copy.pem haproxy
unix:n.sock www.example.com older=false ours=true live.crt nginx`
	if got := places(found, dir); got != want || found.Cut || len(found.Blind) > 0 {
		t.Errorf("found\n%s\nwant\n%s\ncut %v, blind %q", got, want, found.Cut, found.Blind)
	}
}

// TestAnApacheAsDebianSetsItUp: modules, ports and sites in files of their own,
// sites under conditions and with parts that several share, TLS by the port's
// protocol alone, a certificate that the main server names behind the site, and one
// behind a load balancer.
func TestAnApacheAsDebianSetsItUp(t *testing.T) {
	if os.Geteuid() != 0 {
		return // Apache's master would have to become another user
	}
	if !alone(t) {
		return
	}
	dir, err := os.MkdirTemp("", "cv")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	now := time.Now()
	const name = "www.example.com"
	old, held := mint(t, 1, now.Add(-40*24*time.Hour), name), mint(t, 2, now.Add(-time.Hour), name)
	ours := keep(t, dir, "live", held)
	keep(t, dir, "copy", old)
	root := filepath.Join(dir, "apache")
	if err := os.MkdirAll(filepath.Join(root, "tls"), 0o755); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{"tls/www.crt": ours, "tls/www.key": filepath.Join(dir, "live.key")} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	server, err := stage.NewApache(root, 80, 443)
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{
		"apache2.conf": "IncludeOptional mods/*.load\nInclude ports.conf\nInclude DIR/apache/shared.conf\n",
		"mods/remoteip.load": "<IfModule !mod_remoteip.c>\nLoadModule remoteip_module /usr/lib/apache2/modules/mod_remoteip.so\n" +
			"</IfModule>\n",
		"ports.conf":  "<IfModule ssl_module>\n\tListen 127.0.0.1:444 https\n\tListen 445 https\n\tListen [::1]:446 https\n</IfModule>\n",
		"shared.conf": "SSLCertificateFile tls/www.crt\nSSLCertificateKeyFile tls/www.key\n",
		"common.inc":  "SSLEngine on\nDocumentRoot DIR/apache/html\n",
		"sites/000-default.conf": "<VirtualHost *:80>\n\tServerName www.example.com\n</VirtualHost>\n" +
			"<IfModule mod_ssl.c>\n<VirtualHost _default_:443>\n\tServerName \"www.example.com:443\"\n\tSSLEngine on\n" +
			"\tSSLCertificateFile \\\n\t\ttls/www.crt\n\tSSLCertificateKeyFile tls/www.key\n</VirtualHost>\n</IfModule>\n",
		"sites/copy.conf":      "<VirtualHost 127.0.0.1:444>\n\tServerName www.example.com\n\tSSLCertificateFile DIR/copy.crt\n\tSSLCertificateKeyFile DIR/copy.key\n</VirtualHost>\n",
		"sites/inherits.conf":  "<VirtualHost [::1]:446>\n\tServerName other.example.com\n\tServerAlias *.example.com\n\tInclude common.inc\n</VirtualHost>\n",
		"sites/proxied.conf":   "<VirtualHost *:445>\n\tServerName www.example.com\n\tInclude common.inc\n\tRemoteIPProxyProtocol On\n\tSSLCertificateFile DIR/live.crt\n\tSSLCertificateKeyFile DIR/live.key\n</VirtualHost>\n",
		"sites/forgotten.dpkg": "<VirtualHost *:447>\n\tnothing that Apache reads\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, file)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := server.Add(file, strings.ReplaceAll(text, "DIR", dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Stop() }()

	agreesWithApache(t, root)
	q := query(held, version(1, old), version(2, held))
	q.Files = []string{ours}
	found := search(t, new(Scout), q)
	want := `127.0.0.1:443 www.example.com older=false ours=true apache/tls/www.crt apache2
127.0.0.1:444 www.example.com older=true ours=false copy.crt apache2
[::1]:445 www.example.com older=false ours=true live.crt by PROXY apache2
[::1]:446 www.example.com older=false ours=true apache/tls/www.crt apache2`
	if got := places(found, dir); got != want || found.Cut || len(found.Blind) > 0 {
		t.Errorf("found\n%s\nwant\n%s\ncut %v, blind %q\n%s", got, want, found.Cut, found.Blind, server.Said(5))
	}
}

// agreesWithApache compares addresses and names with what Apache itself makes of
// its configuration.
func agreesWithApache(t *testing.T, root string) {
	t.Helper()
	program, err := exec.LookPath("apache2")
	if err != nil {
		program = "/usr/sbin/apache2"
	}
	conf := filepath.Join(root, "apache2.conf")
	said, err := exec.Command(program, "-d", root, "-f", conf, "-S").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	uses, errs := apache(conf, root)
	if len(uses) != 4 || len(errs) > 0 {
		t.Errorf("%d sites, errors %v", len(uses), errs)
	}
	for _, u := range uses {
		at := fmt.Sprintf("*:%d", u.port)
		if u.host.IsValid() {
			at = netip.AddrPortFrom(u.host, u.port).String()
		}
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(at) + ` +` + regexp.QuoteMeta(u.names[0]) + ` \(`).Match(said) {
			t.Errorf("Apache has no %s at %s:\n%s", u.names[0], at, said)
		}
	}
}

func startHAProxy(t *testing.T, dir string) {
	t.Helper()
	conf := filepath.Join(dir, "haproxy.cfg")
	text := "defaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  timeout server 5s\nfrontend f\n  bind 127.0.0.1:446 ssl crt " + dir + "/copy.pem\n"
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("haproxy")
	if err != nil {
		program = "/usr/sbin/haproxy" // not in the PATH of a user
	}
	cmd := exec.Command(program, "-db", "-f", conf)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	deadline := time.Now().Add(30 * time.Second)
	for {
		conn, err := net.Dial("tcp", "127.0.0.1:446")
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
