package discover

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// write makes files in a folder and returns it; $dir in a text is that folder.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "$dir", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shown is uses in lines, without the folder.
func shown(dir string, uses []use) string {
	var all []string
	for _, u := range uses {
		at := u.path
		if at == "" {
			at = fmt.Sprintf("*:%d", u.port)
			if u.host.IsValid() {
				at = netip.AddrPortFrom(u.host, u.port).String()
			}
		}
		line := fmt.Sprintf("%s %s %s", at, strings.Join(u.names, ","), strings.Join(u.files, ","))
		if u.standard {
			line += " default"
		}
		if u.proxy {
			line += " proxy"
		}
		all = append(all, strings.ReplaceAll(line, dir+"/", ""))
	}
	return strings.Join(all, "\n")
}

func compare(t *testing.T, dir string, uses []use, errs []error, want string) {
	t.Helper()
	if got := shown(dir, uses); got != strings.TrimSpace(want) || len(errs) > 0 {
		t.Errorf("got\n%s\nwant\n%s\nerrors %v", got, strings.TrimSpace(want), errs)
	}
}

func TestNginxsConfigurationIsRead(t *testing.T) {
	dir := write(t, map[string]string{
		"nginx.conf": `
user www-data; # a comment with { and ;
events { worker_connections 10; }
http {
  include mime.types;
  ssl_certificate common.crt;
  log_format main '$remote_addr "{" ;';
  include sites/*.conf;
  server { listen 80; server_name plain.example.com; }
  init_by_lua_block {
    if x then t = { "ssl" } end -- it's a program
  }
  server {
    listen 443 ssl http2; listen [::]:443 ssl;
    server_name www.example.com *.example.net ~^a;
    ssl_certificate "$dir/www.crt"; ssl_certificate $dir/www.rsa.crt;
    location / { return 200 "}"; }
  }
  server { listen 443 ssl; server_name inherits.example.com; }
  server { listen 443 ssl; server_name any.example.com; ssl_certificate /etc/tls/${ssl_server_name}.crt; }
}
stream { server { listen 853 ssl; ssl_certificate /srv/dot.crt; } }
`,
		"mime.types":     "types { text/html html; }",
		"sites/a.conf":   "server { listen 127.0.0.1:8443 ssl proxy_protocol; listen unix:$dir/s.sock ssl; server_name a.example.com; ssl_certificate a.crt; include sites/more.inc; }",
		"sites/more.inc": "listen localhost:9443 default_server ssl;",
		"sites/b.txt":    "server { listen 1 ssl; }",
	})
	uses, errs := nginx(filepath.Join(dir, "nginx.conf"))
	compare(t, dir, uses, errs, `
127.0.0.1:8443 a.example.com a.crt default proxy
s.sock a.example.com a.crt default
*:9443 a.example.com a.crt default
*:443 www.example.com,*.example.net,~^a www.crt,www.rsa.crt default
*:443 www.example.com,*.example.net,~^a www.crt,www.rsa.crt default
*:443 inherits.example.com common.crt
*:443 any.example.com 
*:853  /srv/dot.crt default
`)
}

func TestAnIncludeThatCantBeReadIsTold(t *testing.T) {
	dir := write(t, map[string]string{"nginx.conf": "http { include gone.conf; include nginx.conf; server { listen 1 ssl; ssl_certificate a; } }"})
	uses, errs := nginx(filepath.Join(dir, "nginx.conf"))
	if len(uses) == 0 || len(errs) == 0 || !strings.Contains(errs[0].Error(), "gone.conf") {
		t.Errorf("%v, errors %v", uses, errs)
	}
}

func TestApachesConfigurationIsRead(t *testing.T) {
	dir := write(t, map[string]string{
		"apache2.conf": `
ServerRoot "$dir"
Listen 443
IncludeOptional sites-enabled/*.conf
IncludeOptional none/*.conf
`,
		"sites-enabled/a.conf": `
<IfModule mod_ssl.c>
  <VirtualHost _default_:443 [::1]:8443>
    ServerName https://www.example.com:443
    ServerAlias example.com \
      *.example.org
    SSLEngine on
    SSLCertificateFile tls/www.crt
    <Directory "/srv">
      Require all granted
    </Directory>
  </VirtualHost>
</IfModule>
<VirtualHost *:80>
  ServerName plain.example.com
</VirtualHost>
<VirtualHost _default_:443>
  ServerName b.example.com
  SSLEngine On
  RemoteIPProxyProtocol On
  SSLCertificateFile "/srv/b.crt"
  SSLCertificateFile /srv/b.rsa.crt
</VirtualHost>
<VirtualHost *:444>
  SSLEngine off
  SSLCertificateFile /srv/c.crt
</VirtualHost>
`,
	})
	uses, errs := apache(filepath.Join(dir, "apache2.conf"), "")
	compare(t, dir, uses, errs, `
*:443 www.example.com,example.com,*.example.org tls/www.crt default
[::1]:8443 www.example.com,example.com,*.example.org tls/www.crt default
*:443 b.example.com /srv/b.crt,/srv/b.rsa.crt proxy
`)
}

func TestHAProxysConfigurationIsRead(t *testing.T) {
	dir := write(t, map[string]string{
		"haproxy.cfg": `
global
  crt-base $dir/certs
frontend web
  bind *:443,:::443,[::1]:8443 ssl crt www.pem alpn h2,http/1.1 # all
  bind 192.0.2.1:443 accept-proxy ssl crt $dir/all/
  bind unix@$dir/h.sock ssl crt-list $dir/list
  bind :80
listen mail
  bind ipv4@127.0.0.1:993 ssl crt "my mail.pem"
`,
		"all/a.pem": "", "all/a.pem.key": "", "all/b.pem": "",
		"list": "# a list\nwww.pem [alpn h2] www.example.com\n/srv/x.pem\n",
	})
	uses, errs := haproxy(filepath.Join(dir, "haproxy.cfg"))
	compare(t, dir, uses, errs, `
*:443  certs/www.pem
*:443  certs/www.pem
[::1]:8443  certs/www.pem
192.0.2.1:443  all/a.pem,all/b.pem proxy
h.sock  certs/www.pem,/srv/x.pem
127.0.0.1:993  certs/my mail.pem
`)
}

func TestWhichFileANameIsServedFrom(t *testing.T) {
	l := listener{uses: []use{
		{names: []string{"_"}, files: []string{"default"}, standard: true},
		{names: []string{"*.example.com"}, files: []string{"wild"}},
		{names: []string{"*.www.example.com"}, files: []string{"longer"}},
		{names: []string{"www.example.com"}, files: []string{"exact"}},
		{names: []string{".example.net", "mail.*"}, files: []string{"both"}},
		{names: []string{`~\.org$`}},
	}}
	for name, want := range map[string]string{
		"www.example.com": "exact", "a.example.com": "wild", "a.www.example.com": "longer", "WWW.Example.com": "exact",
		"example.net": "both", "a.example.net": "both", "mail.example.edu": "both",
		"example.org": "", "example.edu": "", // the pattern may be any name's
	} {
		if got := strings.Join(l.files(name), ","); got != want {
			t.Errorf("%s from %q, want %q", name, got, want)
		}
	}
}

func TestConfigurationsAreWhereProcessesWereToldThatTheyAre(t *testing.T) {
	usual := func() []string { return []string{"/usual"} }
	for _, tc := range []struct {
		args, want string
		told       func(process) []string
	}{
		{"nginx: master process /usr/sbin/nginx -p /srv/n -c conf/n.conf", "/srv/n/conf/n.conf", nginxConf},
		{"nginx: master process /usr/sbin/nginx -c /srv/n.conf", "/srv/n.conf", nginxConf},
		{"nginx: master process nginx -g daemon off;", "/usual", nginxConf},
		{"/usr/sbin/haproxy -Ws -f /a.cfg -f /b -p /run/pid", "/a.cfg /b", haproxyConf},
		{"/usr/sbin/apache2 -k start", "/usual", apacheConf},
		{"/usr/sbin/httpd -d /srv/h -f httpd.conf -k start", "/srv/h/httpd.conf -d /srv/h", apacheConf},
	} {
		got := confsOf([]process{{args: strings.Fields(tc.args)}}, usual, tc.told)
		if len(got) != 1 || strings.Join(got[0], " ") != tc.want {
			t.Errorf("%s: %q, want %q", tc.args, got, tc.want)
		}
	}
	if got := confsOf(nil, usual, nginxConf); len(got) != 1 {
		t.Errorf("where none is seen: %q", got)
	}
}
