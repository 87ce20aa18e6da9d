package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/certvigil/certvigil/examples/stage"
	"github.com/certvigil/certvigil/renew"
)

// nginxLies are those of nginx: of its master, and of its configuration.
var nginxLies = []lie{
	{name: "nginx's master is out of file descriptors", tell: func(h *host) ruse {
		var before unix.Rlimit
		return ruse{
			begin: func() {
				must(h.t, unix.Prlimit(h.nginx.PID(), unix.RLIMIT_NOFILE, nil, &before))
				must(h.t, unix.Prlimit(h.nginx.PID(), unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: before.Max}, nil))
			},
			end: func() { must(h.t, unix.Prlimit(h.nginx.PID(), unix.RLIMIT_NOFILE, &before, nil)) },
		}
	}},
	{name: "nginx's master may not read the key", root: true, tell: func(h *host) ruse {
		// The master is root without root's right to read everything, as in a unit
		// with a CapabilityBoundingSet; nginx -t, which the agent runs, has it.
		h.confine("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", "--")
		h.installInto("tls")
		return ruse{
			begin: func() { must(h.t, os.Chmod(h.path("tls"), 0)) },
			end:   func() { must(h.t, os.Chmod(h.path("tls"), 0o755)) },
		}
	}},
	{name: "kill -HUP with a broken configuration", tell: func(h *host) ruse {
		h.hook(h.hangUpLine())
		return ruse{
			begin: func() { must(h.t, h.nginx.EnableText("zzz", "server { listen;")) },
			end:   func() { h.disable(h.nginx, "zzz") },
		}
	}},
	{name: "another site's certificate is not there", tell: func(h *host) ruse {
		other := stage.Site{Name: "other", Names: []string{"other.example.com"}, Fullchain: h.path("gone.crt"), Key: h.path("gone.key")}
		return ruse{
			begin: func() { must(h.t, h.nginx.Enable(other)) },
			end: func() {
				other.Fullchain, other.Key = h.live("www", "fullchain.pem"), h.live("www", "privkey.pem")
				must(h.t, h.nginx.Enable(other))
			},
			after: func() {
				if n := h.logged("hook acknowledged", "www"); n != 2 {
					h.t.Errorf("the hook acknowledged %d times two versions: it reloads although its test fails", n)
				}
			},
			reason: renew.HookFailing, says: "gone.crt",
		}
	}},
	{name: "two sites of one name", tell: func(h *host) ruse {
		return ruse{
			begin: func() {
				full, key := h.keep(h.path("old"))
				must(h.t, h.nginx.Enable(stage.Site{Name: "aaa", Names: []string{liedName}, Fullchain: full, Key: key}))
			},
			end: func() { h.disable(h.nginx, "aaa") },
		}
	}},
	{name: "nginx includes another folder", tell: func(h *host) ruse {
		main, err := os.ReadFile(h.nginx.Conf())
		must(h.t, err)
		return ruse{
			begin: func() {
				full, key := h.keep(h.path("old"))
				must(h.t, os.Mkdir(h.path("nginx/sites-old"), 0o755))
				h.copySite("sites-old", full, key)
				must(h.t, os.WriteFile(h.nginx.Conf(), []byte(strings.Replace(string(main), "/sites/", "/sites-old/", 1)), 0o644))
			},
			end: func() { must(h.t, os.WriteFile(h.nginx.Conf(), main, 0o644)) },
		}
	}},
	{name: "the name is missing, and the default server answers", tell: func(h *host) ruse {
		www := h.cfg.Sites[0]
		return ruse{
			begin: func() {
				full, key := h.keep(h.path("old"))
				must(h.t, h.nginx.Enable(stage.Site{Name: "aaa", Names: []string{"_"}, Fullchain: full, Key: key}))
				typo := www
				typo.Names = []string{"wwww.example.com"}
				h.enable(typo)
			},
			end: func() { h.enable(www) },
		}
	}},
	{name: "only IPv6 is new", tell: func(h *host) ruse {
		six := h.another("six")
		six.Address = strings.Replace(h.nginx.Address, "127.0.0.1", "[::1]", 1)
		h.enableAt(six, "")
		h.cfg.Sites[0].More = fmt.Sprintf("endpoint %q {}", six.Address)
		change := h.hook(reloadAll(h.nginx, six))
		return ruse{begin: func() { change(reloadAll(six)) }, end: func() { change(reloadAll(h.nginx, six)) }}
	}},
	{name: "one of two processes at a port", tell: func(h *host) ruse {
		twin := h.another("twin")
		twin.Address = h.nginx.Address
		h.enableAt(h.nginx, " reuseport")
		h.enableAt(twin, " reuseport")
		change := h.hook(reloadAll(h.nginx, twin))
		return ruse{begin: func() { change(reloadAll(twin)) }, end: func() { change(reloadAll(h.nginx, twin)) }}
	}},
}

// another starts a second nginx, without sites.
func (h *host) another(name string) *stage.Nginx {
	h.t.Helper()
	must(h.t, os.Mkdir(h.path(name), 0o755))
	taken := ports(h.t, 2)
	n, err := stage.NewNginx(h.path(name), taken[0], taken[1])
	must(h.t, err)
	must(h.t, n.Start(h.t.Context()))
	h.t.Cleanup(func() { _ = n.Stop() })
	return n
}

// enableAt gives www its server block in n, with more words in its listen
// directive.
func (h *host) enableAt(n *stage.Nginx, listen string) {
	h.t.Helper()
	must(h.t, n.EnableText("www", fmt.Sprintf("server {\n  listen %s ssl%s;\n  server_name %s;\n  ssl_certificate %s;\n  ssl_certificate_key %s;\n}\n",
		n.Address, listen, liedName, h.live("www", "fullchain.pem"), h.live("www", "privkey.pem"))))
}

func (h *host) disable(n *stage.Nginx, site string) {
	h.t.Helper()
	must(h.t, os.Remove(n.Dir+"/sites/"+site+".conf"))
}

// copySite puts the site of www into another folder, with another pair.
func (h *host) copySite(folder, full, key string) {
	h.t.Helper()
	text, err := os.ReadFile(h.nginx.Dir + "/sites/www.conf")
	must(h.t, err)
	old := strings.NewReplacer(h.live("www", "fullchain.pem"), full, h.live("www", "privkey.pem"), key).Replace(string(text))
	must(h.t, os.WriteFile(h.nginx.Dir+"/"+folder+"/www.conf", []byte(old), 0o644))
}

// confine starts nginx anew, under another program.
func (h *host) confine(argv ...string) {
	h.t.Helper()
	must(h.t, h.nginx.Stop())
	h.disable(h.nginx, "www")
	h.nginx.Under = argv
	must(h.t, h.nginx.Start(h.t.Context()))
	h.enable(h.cfg.Sites[0])
}

// installInto has the pair put into a folder of the operator's, from which nginx
// reads it.
func (h *host) installInto(folder string) {
	h.t.Helper()
	must(h.t, os.MkdirAll(h.path(folder), 0o755))
	s := &h.cfg.Sites[0]
	s.Fullchain, s.Key = h.path(folder+"/www.crt"), h.path(folder+"/www.key")
	h.enable(*s)
}

// hangUpLine is a reload as many an operator writes it: kill knows of no
// failure.
func (h *host) hangUpLine() string { return "exec kill -HUP $(cat " + h.path("nginx/nginx.pid") + ")" }

// reloadAll is a shell command that reloads each of them.
func reloadAll(servers ...*stage.Nginx) string {
	lines := []string{"set -e"}
	for _, n := range servers {
		lines = append(lines, strings.Join(n.ReloadCommand(), " "))
	}
	return strings.Join(lines, "\n")
}
