package stage

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"text/template"
)

// The main file. Every path is its own, so that nothing of the system's nginx is
// read or written. As root the workers stay root: the folder is private to its
// owner, and there may be no other user to become (a user namespace).
var nginxMain = template.Must(template.New("nginx.conf").Parse(`daemon off;
worker_processes 2;
worker_shutdown_timeout 5s;
{{- if .Root}}
user root root;
{{- end}}
pid {{.Dir}}/nginx.pid;
lock_file {{.Dir}}/nginx.lock;
error_log {{.Dir}}/error.log notice;

events {
    worker_connections 1024;
}

http {
    access_log off;
    server_tokens off;
    client_body_temp_path {{.Dir}}/tmp/body;
    proxy_temp_path {{.Dir}}/tmp/proxy;
    fastcgi_temp_path {{.Dir}}/tmp/fastcgi;
    uwsgi_temp_path {{.Dir}}/tmp/uwsgi;
    scgi_temp_path {{.Dir}}/tmp/scgi;

    server {
        listen {{.Plain}};
        return 204;
    }
    include {{.Dir}}/sites/*.conf;
}
`))

// One site, as a reader would write it for his own.
var nginxSite = template.Must(template.New("site").Parse(`server {
    listen {{.Address}} ssl;
    server_name {{.Names}};
    ssl_certificate     {{.Fullchain}};
    ssl_certificate_key {{.Key}};
    default_type text/plain;
    return 200 "site {{.Name}}\n";
}
`))

func (n *Nginx) mainText() ([]byte, error) {
	var b bytes.Buffer
	err := nginxMain.Execute(&b, struct {
		Dir, Plain string
		Root       bool
	}{n.Dir, n.Plain, os.Geteuid() == 0})
	if err != nil {
		return nil, fmt.Errorf("rendering nginx's configuration: %w", err)
	}
	return b.Bytes(), nil
}

func (n *Nginx) siteText(s Site) (string, error) {
	var b strings.Builder
	err := nginxSite.Execute(&b, struct{ Address, Names, Fullchain, Key, Name string }{
		n.Address, strings.Join(s.Names, " "), s.Fullchain, s.Key, s.Name,
	})
	if err != nil {
		return "", fmt.Errorf("rendering site %s: %w", s.Name, err)
	}
	return b.String(), nil
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
