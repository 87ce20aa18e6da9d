package walk

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/certvigil/certvigil/examples/stage"
)

// Server is what runs.
type Server interface {
	Start(context.Context) error
	Stop() error
	PID() int
	ReloadCommand() []string
	Reload(context.Context) error
	Said(lines int) string
}

// Endpoint is where a guest shows its certificate.
type Endpoint struct{ Address, Protocol string }

// Guest is a real server with the lines of an example, but where it has Lines: it
// runs, and is not reloaded since it got them.
type Guest struct {
	Server
	Name      string
	For       string // the name that it is asked for
	Endpoints []Endpoint
	Conf      string   // its file that says where the pair is
	Pair      string   // what that says: a folder or a file
	Changes   []string // what of the example's certvigil.hcl is another here
	Lines     func()   // puts the example's lines into its files, where they are to wait for the certificate
}

// reload is the change from a unit to what does the same without systemd.
func reload(unit string, s Server) []string {
	return []string{fmt.Sprintf("unit = %q", unit), "command = " + List(s.ReloadCommand())}
}

// begin starts a server and ends it with the test.
func (w *Walk) begin(s Server) {
	w.T.Helper()
	w.T.Cleanup(func() {
		_ = w.Agent.Stop() // it would go on reloading what is gone
		if err := s.Stop(); err != nil {
			w.T.Error(err)
		}
		if w.T.Failed() {
			w.T.Log(s.Said(10))
		}
	})
	w.must(s.Start(w.context()))
}

// Nginx runs one with the files of folder.
func (w *Walk) Nginx(folder string) *Guest {
	w.T.Helper()
	ports := w.ports(2)
	s, err := stage.NewNginx(w.Folder(), ports[0], ports[1])
	w.must(err)
	g := &Guest{Server: s, Name: "nginx", For: "example.com", Pair: w.Live(), Conf: filepath.Join(s.Dir, "sites", "https.conf")}
	g.Endpoints = []Endpoint{{s.Address, "tls"}}
	g.Changes = append(reload("nginx.service", s), "127.0.0.1:443", s.Address, "127.0.0.1:8402", w.Responder,
		`test { unit = "certvigil-nginx-test.service" }`, "test = "+List(s.TestCommand()))
	w.must(s.EnableText("http", w.Read(filepath.Join(folder, "http.conf"), "listen 80;", "listen "+loopback(w.plain())+";", "127.0.0.1:8402", w.Responder)))
	w.begin(s)
	w.must(s.EnableText("https", w.Read(filepath.Join(folder, "https.conf"), "listen 443 ssl;", "listen "+s.Address+" ssl;", "/var/lib/certvigil/live/www", w.Live())))
	return g
}

// Apache runs one with the files of folder.
func (w *Walk) Apache(folder string) *Guest {
	w.T.Helper()
	https := w.ports(1)[0]
	s, err := stage.NewApache(w.Folder(), w.plain(), https)
	w.must(err)
	html := filepath.Join(s.Dir, "html")
	g := &Guest{Server: s, Name: "apache", For: "example.com", Pair: w.Live(), Conf: filepath.Join(s.Dir, "sites", "https.conf")}
	g.Endpoints = []Endpoint{{loopback(https), "tls"}}
	g.Changes = append(reload("apache2.service", s), "127.0.0.1:443", loopback(https), "/var/www/html", html)
	w.begin(s)
	w.must(s.Add("sites/https.conf", w.Read(filepath.Join(folder, "https.conf"), "*:443", loopback(https), "/var/www/html", html, "/var/lib/certvigil/live/www", w.Live())))
	return g
}

// HAProxy runs one with the files of folder.
func (w *Walk) HAProxy(folder string) *Guest {
	w.T.Helper()
	ports := w.ports(2)
	s, err := stage.NewHAProxy(w.Folder(), ports[0])
	w.must(err)
	pair, https := filepath.Join(s.Dir, "www.pem"), loopback(ports[1])
	g := &Guest{Server: s, Name: "haproxy", For: "example.com", Pair: pair, Conf: filepath.Join(s.Dir, "haproxy.cfg")}
	g.Endpoints = []Endpoint{{https, "tls"}}
	g.Changes = append(reload("haproxy.service", s), "127.0.0.1:443", https, "127.0.0.1:8402", w.Responder, "/etc/haproxy/certs/www.pem", pair)
	w.must(s.Add("haproxy.cfg", w.Read(filepath.Join(folder, "http.cfg"), "bind :80", "bind "+loopback(w.plain()), "127.0.0.1:8402", w.Responder)))
	w.begin(s)
	w.must(s.Add("haproxy.cfg", w.Read(filepath.Join(folder, "https.cfg"), "bind :443", "bind "+https, "/etc/haproxy/certs/www.pem", pair)))
	return g
}

// Postfix runs one with the files of folder. It takes root.
func (w *Walk) Postfix(folder string) *Guest {
	w.T.Helper()
	ports := w.ports(2)
	s, err := stage.NewPostfix(w.Folder(), ports[0])
	w.must(err)
	smtp, submission := loopback(ports[0]), loopback(ports[1])
	g := &Guest{Server: s, Name: "postfix", For: "mail.example.com", Pair: w.Live(), Conf: filepath.Join(s.Dir, "main.cf")}
	g.Endpoints = []Endpoint{{smtp, "smtp"}, {submission, "submission"}}
	g.Changes = append(reload("postfix.service", s), "127.0.0.1:25", smtp, "127.0.0.1:587", submission)
	w.begin(s)
	g.Lines = func() { // a process of its that starts before the certificate is there fails every handshake
		w.must(s.Add("main.cf", w.Read(filepath.Join(folder, "main.cf"), "/var/lib/certvigil/live/mail", w.Live())))
		w.must(s.Add("master.cf", w.Read(filepath.Join(folder, "master.cf"), "submission inet", submission+" inet")))
	}
	return g
}

// Dovecot runs one with the files of folder.
func (w *Walk) Dovecot(folder string) *Guest {
	w.T.Helper()
	ports := w.ports(3)
	s, err := stage.NewDovecot(w.Folder(), ports[0], ports[1], ports[2])
	w.must(err)
	imap, imaps, pop3 := loopback(ports[0]), loopback(ports[1]), loopback(ports[2])
	g := &Guest{Server: s, Name: "dovecot", For: "mail.example.com", Pair: w.Live(), Conf: filepath.Join(s.Dir, "conf.d", "11-certvigil.conf")}
	g.Endpoints = []Endpoint{{imap, "imap"}, {imaps, "tls"}, {pop3, "pop3"}}
	g.Changes = append(reload("dovecot.service", s), "127.0.0.1:143", imap, "127.0.0.1:993", imaps, "127.0.0.1:110", pop3)
	w.begin(s)
	file := "tls-2.4.conf"
	version, err := stage.DovecotVersion()
	w.must(err)
	if strings.HasPrefix(version, "2.3.") {
		file = "tls.conf"
	}
	g.Lines = func() { // it refuses to be started before the certificate is there
		w.must(s.Add("conf.d/11-certvigil.conf", w.Read(filepath.Join(folder, file), "/var/lib/certvigil/live/mail", w.Live())))
	}
	return g
}

// PostgreSQL runs one with the files of folder.
func (w *Walk) PostgreSQL(folder string) *Guest {
	w.T.Helper()
	port := w.ports(1)[0]
	s, err := stage.NewPostgreSQL(w.Folder(), port)
	w.must(err)
	who, err := stage.PostgreSQLUser()
	w.must(err)
	// What the agent writes: its own, as the README has it.
	g := &Guest{Server: s, Name: "postgresql", For: "db.example.com", Pair: w.Folder(), Conf: filepath.Join(s.Dir, "conf.d", "tls.conf")}
	g.Endpoints = []Endpoint{{loopback(port), "postgres"}}
	g.Changes = append(reload("postgresql.service", s), "127.0.0.1:5432", loopback(port), "/etc/postgresql/tls", g.Pair,
		`owner     = "postgres"`, fmt.Sprintf("owner = %q", who.Username))
	w.begin(s)
	w.must(s.Add("conf.d/tls.conf", w.Read(filepath.Join(folder, "tls.conf"), "/etc/postgresql/tls", g.Pair)))
	return g
}
