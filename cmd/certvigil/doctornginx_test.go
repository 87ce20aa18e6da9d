package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// behindNginx is a host on which a real nginx has the http-01 port. Its
// configuration there is what location says.
func behindNginx(t *testing.T) (h *host, location func(text string)) {
	t.Helper()
	free := ports(t, 3)
	h = newHost(t, setup{bare: true, lifetime: time.Hour})
	front := h.cfg.HTTP
	h.cfg.HTTP = fmt.Sprintf("127.0.0.1:%d", free[2])
	h.write()
	dir := h.path("nginx")
	must(t, os.Mkdir(dir, 0o755))
	n, err := stage.NewNginx(dir, free[0], free[1])
	must(t, err)
	location = func(text string) {
		t.Helper()
		must(t, n.EnableText("front.conf", "server {\n listen "+front+";\n default_type text/html;\n"+text+"\n}\n"))
		must(t, n.Reload(t.Context()))
	}
	must(t, n.Start(t.Context()))
	t.Cleanup(func() { _ = n.Stop() })
	return h, location
}

// says waits for doctor to say so: nginx reloads in its own time.
func (h *host) says(code int, words ...string) {
	h.t.Helper()
	h.until(fmt.Sprintf("doctor says %q", words), func() bool {
		got := h.ask("doctor")
		for _, w := range words {
			if !strings.Contains(got.stdout, w) {
				return false
			}
		}
		return got.code == code
	})
}

func TestDoctorSaysWhatComesBackThroughNginx(t *testing.T) {
	t.Parallel()
	h, location := behindNginx(t)
	h.says(exitCritical, "port-80-unreachable: www.example.com", "connection refused")
	location(" location /.well-known/acme-challenge/ { proxy_pass http://" + h.cfg.HTTP + "; }")
	h.says(exitOK, "nothing would stop a renewal")
	location(` location / { return 200 "<!doctype html><title>Shop</title>"; }`)
	h.says(exitCritical, "challenge-unanswered: www.example.com", "200 OK", "<!doctype html>")
	location(` location / { return 301 https://login.example.net/; }`)
	h.says(exitCritical, "challenge-unanswered", "redirects (301)", "login.example.net is no name of this certificate")
	location(` location / { return 302 $scheme://$http_host/again$request_uri; }`)
	h.says(exitCritical, "challenge-unanswered", "redirects more than 10 times")
	must(t, os.WriteFile(h.path("users"), nil, 0o644))
	location(fmt.Sprintf(" location / { auth_basic staff; auth_basic_user_file %s; }", h.path("users")))
	h.says(exitCritical, "challenge-unanswered", "401", "wants a password")

	// The same through a webroot, whose folders are gone again afterwards.
	root := h.path("html")
	must(t, os.Mkdir(root, 0o755))
	h.cfg.More = fmt.Sprintf("solver \"webroot\" \"site\" {\n  path = %q\n}\n", root)
	h.cfg.Sites[0].Solver = "solver.webroot.site"
	h.write()
	h.says(exitCritical, "challenge-unanswered", "401")
	location(fmt.Sprintf(" location / { root %s; }", root))
	h.says(exitOK, "nothing would stop a renewal")
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("looking left %v in the webroot, %v", left, err)
	}
	must(t, os.RemoveAll(root))
	h.says(exitCritical, "path-unwritable: "+root, "solver-unusable: solver webroot.site")
	if n := h.ca.Counts(); n.NewOrders+n.Accounts != 0 {
		t.Errorf("looking cost %d orders and %d accounts", n.NewOrders, n.Accounts)
	}
}
