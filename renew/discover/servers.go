package discover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Where configurations lie where no process tells: those of Debian and Red Hat,
// and what nginx itself says that it was built for.
var (
	apacheConfs  = []string{"/etc/apache2/apache2.conf", "/etc/httpd/conf/httpd.conf"}
	haproxyConfs = []string{"/etc/haproxy/haproxy.cfg"}
)

// configured reads what the servers that run here are configured to serve. A
// server whose process can be seen tells where its configuration is; of the others
// the usual places are read. The files are read as they are: to have a server
// print what it made of them takes root, and tells no more of what is needed. A
// file that is not there is an optional one, or lies where only a container sees it.
func configured(ctx context.Context, seen map[uint64]process) (uses []use, blind []string) {
	add := func(server string, more []use, errs []error) {
		for _, u := range more {
			u.server = server
			uses = append(uses, u)
		}
		errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, os.ErrNotExist) })
		for i, err := range errs {
			if i == mostTold {
				blind = append(blind, fmt.Sprintf("%s's configuration: %d files more", server, len(errs)-i))
				break
			}
			blind = append(blind, fmt.Sprintf("%s's configuration: %v", server, err))
		}
	}
	running := processes(seen)
	for _, conf := range confsOf(running["nginx"], func() []string { return nginxBuilt(ctx) }, nginxConf) {
		more, errs := nginx(conf[0])
		add("nginx", more, errs)
	}
	httpd := slices.Concat(running["apache2"], running["httpd"])
	for _, conf := range confsOf(httpd, func() []string { return present(apacheConfs) }, apacheConf) {
		more, errs := apache(conf[0], argument(conf[1:], "-d"))
		add("Apache", more, errs)
	}
	for _, conf := range confsOf(running["haproxy"], func() []string { return present(haproxyConfs) }, haproxyConf) {
		more, errs := haproxy(conf...)
		add("HAProxy", more, errs)
	}
	return uses, blind
}

// mostTold bounds how many unreadable files of one server are named.
const mostTold = 3

// processes are those that hold sockets, each command line once, by program.
func processes(seen map[uint64]process) map[string][]process {
	all := map[string][]process{}
	for _, p := range seen {
		same := func(o process) bool { return slices.Equal(o.args, p.args) }
		if !slices.ContainsFunc(all[p.name], same) {
			all[p.name] = append(all[p.name], p)
		}
	}
	return all
}

// confsOf returns the configurations that processes were told of, and the usual
// ones where one was told of none, or none is seen.
func confsOf(running []process, usual func() []string, told func(process) []string) [][]string {
	var all [][]string
	plain := len(running) == 0
	for _, p := range running {
		if conf := told(p); len(conf) > 0 {
			all = append(all, conf)
		} else {
			plain = true
		}
	}
	if plain {
		for _, path := range usual() {
			all = append(all, []string{path})
		}
	}
	return all
}

func nginxConf(p process) []string {
	conf := argument(p.args, "-c")
	if conf == "" {
		return nil
	}
	return absolute(within(argument(p.args, "-p"), conf))
}

func apacheConf(p process) []string {
	root, conf := argument(p.args, "-d"), argument(p.args, "-f")
	if conf == "" {
		return nil
	}
	if list := absolute(within(root, conf)); list != nil {
		return append(list, "-d", root)
	}
	return nil
}

func haproxyConf(p process) []string {
	var all []string
	for i, a := range p.args {
		if a == "-f" && i+1 < len(p.args) {
			all = append(all, absolute(p.args[i+1])...)
		}
	}
	return all
}

// argument is what follows an option of a command line.
func argument(args []string, option string) string {
	for i, a := range args {
		if rest, ok := strings.CutPrefix(a, option); ok && rest != "" {
			return rest
		}
		if a == option && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// absolute leaves out what starts at a folder that nobody knows any more.
func absolute(path string) []string {
	if !filepath.IsAbs(path) {
		return nil
	}
	return []string{path}
}

func present(paths []string) []string {
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		_, err := os.Stat(p)
		return os.IsNotExist(err)
	})
}

var confPath = regexp.MustCompile(`--conf-path=(\S+)`)

// askTime bounds how long nginx may take to say how it was built.
const askTime = 5 * time.Second

// nginxBuilt is the configuration that nginx reads where it is told of no other:
// "nginx -V" says it to everybody.
func nginxBuilt(ctx context.Context) []string {
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx" // not in the PATH of a user
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "-V")
	cmd.WaitDelay = time.Second
	said, err := cmd.CombinedOutput()
	if err != nil {
		return nil // there is none
	}
	m := confPath.FindSubmatch(said)
	if m == nil {
		return nil
	}
	return present([]string{string(m[1])})
}
