package probe

import (
	"crypto/tls"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/certvigil/certvigil/renew"
)

// nginxConf has all the ways of being asked that an endpoint knows.
const nginxConf = `
daemon off;
pid $dir/pid;
error_log $dir/log info;
worker_processes 2;
events {}
http {
  access_log off;
  client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3; uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
  server { # the default
    listen 127.0.0.1:$tls ssl;
    ssl_certificate $dir/default.crt; ssl_certificate_key $dir/default.key;
  }
  server {
    server_name www.example.com;
    listen 127.0.0.1:$tls ssl;
    listen unix:$dir/socket ssl;
    listen 127.0.0.1:$proxied ssl proxy_protocol;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key;
    ssl_certificate $dir/ec.crt; ssl_certificate_key $dir/ec.key;
  }
  server {
    server_name www.example.com;
    listen 127.0.0.1:$new ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate $dir/rsa.crt; ssl_certificate_key $dir/rsa.key;
    ssl_certificate $dir/ec.crt; ssl_certificate_key $dir/ec.key;
  }
  server {
    server_name www.example.com;
    listen 127.0.0.1:$mutual ssl;
    ssl_verify_client on; ssl_client_certificate $dir/ec.crt;
    ssl_certificate $dir/ec.crt; ssl_certificate_key $dir/ec.key;
  }
}
`

func TestNginxIsAskedInEveryWay(t *testing.T) {
	a := newAuthority(t)
	rsaCert, ecCert := a.issueRSA(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	fallback, oldRSA := a.issueRSA(t, soon(), "default.example"), a.issueRSA(t, soon(), "www.example.com")
	s := newSite(t, ecCert, []string{"tls", "proxied", "new", "mutual"})
	for name, cert := range map[string]*tls.Certificate{"rsa": rsaCert, "ec": ecCert, "default": fallback} {
		writePair(t, s.dir, name, cert)
	}
	run(t, s, []string{program(t, "/usr/sbin/nginx"), "-p", s.dir, "-e", filepath.Join(s.dir, "log"), "-c", s.write(t, "nginx.conf", nginxConf)})
	at := func(port string) renew.Endpoint {
		return renew.Endpoint{Address: loopback(s.ports[port]), Protocol: "tls"}
	}
	noSNI, v1, v2, alpn := at("tls"), at("proxied"), at("proxied"), at("tls")
	noSNI.NoSNI, v1.ProxyProtocol, v2.ProxyProtocol, alpn.ALPN = true, 1, 2, []string{"h2", "http/1.1"}
	socket := renew.Endpoint{Address: "unix:" + s.dir + "/socket"}
	for _, tt := range []struct {
		name   string
		ep     renew.Endpoint
		cert   *tls.Certificate
		served bool
	}{
		{"RSA, beside ECDSA", at("tls"), rsaCert, true},
		{"ECDSA, beside RSA", at("tls"), ecCert, true},
		{"an RSA certificate that was replaced", at("tls"), oldRSA, false},
		{"the default, without SNI", noSNI, fallback, true},
		{"a named one, without SNI", noSNI, ecCert, false},
		{"with ALPN", alpn, ecCert, true},
		{"a socket, RSA", socket, rsaCert, true},
		{"a socket, ECDSA", socket, ecCert, true},
		{"behind PROXY, version 1", v1, rsaCert, true},
		{"behind PROXY, version 2", v2, ecCert, true},
		{"behind PROXY without its header", at("proxied"), ecCert, false},
		{"one that demands a client certificate", at("mutual"), ecCert, true},
		{"TLS 1.3 alone, what it prefers", at("new"), rsaCert, true},
		{"TLS 1.3 alone, the other kind", at("new"), ecCert, false}, // nobody can ask for it: see
	} {
		t.Run(tt.name, func(t *testing.T) {
			patience := 2 * patient
			if !tt.served {
				patience = 0
			}
			got := (&Prober{}).Prove(t.Context(), tt.ep, []string{"www.example.com"}, 1, want(tt.cert), patience)[0]
			if got.Served != tt.served {
				t.Errorf("got %+v\n%s", got, logOf(s))
			}
		})
	}
}

// A reload of nginx is proved while its old workers still hold connections.
func TestConnectionsOfOldWorkersAreNoFailure(t *testing.T) {
	a := newAuthority(t)
	old, fresh := a.issue(t, soon(), "www.example.com"), a.issue(t, soon(), "www.example.com")
	s := newSite(t, old, []string{"tls"})
	argv := []string{program(t, "/usr/sbin/nginx"), "-p", s.dir, "-e", filepath.Join(s.dir, "log"), "-c", s.write(t, "nginx.conf", `
daemon off;
pid $dir/pid;
error_log $dir/log info;
events {}
http {
  access_log off;
  client_body_temp_path $dir/1; proxy_temp_path $dir/2; fastcgi_temp_path $dir/3; uwsgi_temp_path $dir/4; scgi_temp_path $dir/5;
  server { listen 127.0.0.1:$tls ssl; ssl_certificate $cert; ssl_certificate_key $key; }
}
`)}
	run(t, s, argv)
	ep := renew.Endpoint{Address: loopback(s.ports["tls"]), Protocol: "tls"}
	p := &Prober{}
	if got := p.Prove(t.Context(), ep, []string{"www.example.com"}, 1, want(old), 2*patient)[0]; !got.Served {
		t.Fatalf("got %+v\n%s", got, logOf(s))
	}
	held, err := tls.Dial("tcp", ep.Address, &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer held.Close()
	writePair(t, s.dir, "pair", fresh)
	if out, err := exec.Command(argv[0], append(argv[1:], "-s", "reload")...).CombinedOutput(); err != nil {
		t.Fatalf("reloading: %v: %s", err, out)
	}
	if got := p.Prove(t.Context(), ep, []string{"www.example.com"}, 2, want(fresh), 2*patient)[0]; !got.Served {
		t.Errorf("got %+v\n%s", got, logOf(s))
	}
	if _, err := held.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		t.Errorf("the old worker is gone: %v", err)
	}
}
