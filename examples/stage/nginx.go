package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// nginxPath is where Debian and Ubuntu put it; a user's PATH may lack sbin.
const nginxPath = "/usr/sbin/nginx"

// How long nginx may take to answer after its start, and to go when asked to.
const (
	nginxStart = 10 * time.Second
	nginxStop  = 10 * time.Second
)

// FindNginx returns the path of the nginx binary. The error is [exec.ErrNotFound]
// where there is none.
func FindNginx() (string, error) {
	if path, err := exec.LookPath("nginx"); err == nil {
		return filepath.Abs(path)
	}
	return exec.LookPath(nginxPath)
}

// Site is one server block: its names and the pair that it is to serve.
type Site struct {
	Name      string // of its file
	Names     []string
	Fullchain string
	Key       string
}

// Nginx is a real nginx with a prefix, a pid file, logs and sites of its own. It
// has nothing in common with an nginx that the system runs.
type Nginx struct {
	Dir     string // its prefix
	Address string // where the sites are served, by TLS
	Plain   string // a plain server that is always there; tells that nginx is up

	// Under goes before the master's command line at the next start: a program
	// that confines itself and executes the rest of its arguments.
	Under []string

	binary string
	child  *process
}

// NewNginx writes the configuration of an nginx without sites into dir, which
// must be there. It is not started.
func NewNginx(dir string, tlsPort, plainPort int) (*Nginx, error) {
	binary, err := FindNginx()
	if err != nil {
		return nil, fmt.Errorf("finding nginx: %w", err)
	}
	n := &Nginx{Dir: dir, Address: loopback(tlsPort), Plain: loopback(plainPort), binary: binary}
	for _, d := range []string{n.sites(), filepath.Join(dir, "tmp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("preparing nginx: %w", err)
		}
	}
	text, err := n.mainText()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(n.Conf(), text, 0o644); err != nil {
		return nil, fmt.Errorf("writing nginx's configuration: %w", err)
	}
	return n, nil
}

// Conf is the path of its configuration file.
func (n *Nginx) Conf() string { return filepath.Join(n.Dir, "nginx.conf") }

func (n *Nginx) sites() string { return filepath.Join(n.Dir, "sites") }

// Enable writes the server block of a site. A running nginx serves it from its
// next reload on; one that starts needs the site's pair to be there.
func (n *Nginx) Enable(s Site) error {
	text, err := n.siteText(s)
	if err != nil {
		return err
	}
	return n.EnableText(s.Name, text)
}

// EnableText is Enable for server blocks that someone else wrote.
func (n *Nginx) EnableText(name, text string) error {
	if err := os.WriteFile(filepath.Join(n.sites(), name+".conf"), []byte(text), 0o644); err != nil {
		return fmt.Errorf("enabling site %s: %w", name, err)
	}
	return nil
}

func (n *Nginx) argv(more ...string) []string {
	return append([]string{n.binary, "-p", n.Dir, "-c", n.Conf()}, more...)
}

// TestCommand is the argv that checks the configuration: for a hook's test.
func (n *Nginx) TestCommand() []string { return n.argv("-t") }

// ReloadCommand is the argv that reloads it: for a hook's reload.
func (n *Nginx) ReloadCommand() []string { return n.argv("-s", "reload") }

// Test runs the TestCommand; the error holds what nginx says.
func (n *Nginx) Test(ctx context.Context) error { return run(ctx, n.TestCommand()) }

// Reload runs the ReloadCommand, as an operator would by hand.
func (n *Nginx) Reload(ctx context.Context) error { return run(ctx, n.ReloadCommand()) }

func run(ctx context.Context, argv []string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("running %v: %w: %s", argv, err, out)
	}
	return nil
}

// Start starts nginx and returns once it answers. The master runs in the
// foreground as a child of this process, and ends with it.
func (n *Nginx) Start(ctx context.Context) error {
	if n.child != nil && n.child.running() {
		return errors.New("starting nginx: it runs already")
	}
	// What it says before it has read where its error log is.
	early, err := os.Create(filepath.Join(n.Dir, "start.log"))
	if err != nil {
		return fmt.Errorf("starting nginx: %w", err)
	}
	defer early.Close()
	argv := append(slices.Clone(n.Under), n.argv()...)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = early, early
	// SIGTERM rather than SIGKILL when the owner dies: a killed master leaves
	// its workers behind.
	child, err := launch(cmd, syscall.SIGTERM)
	if err != nil {
		return err
	}
	n.child = child
	return n.awaitUp(ctx)
}

// awaitUp returns once nginx answers, or has ended.
func (n *Nginx) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, nginxStart)
	defer cancel()
	err := n.child.up(ctx, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.Plain)
		if err == nil {
			conn.Close()
		}
		return err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("starting nginx: %w: %s", err, n.LastErrors(3)), n.Stop())
	}
	return nil
}

// Stop ends nginx, open connections included, and waits for it to be gone.
func (n *Nginx) Stop() error {
	if n.child == nil {
		return nil
	}
	return n.child.end(syscall.SIGTERM, nginxStop)
}

// Restart stops and starts it: between the two nothing answers.
func (n *Nginx) Restart(ctx context.Context) error {
	if err := n.Stop(); err != nil {
		return err
	}
	return n.Start(ctx)
}

// PID is the id of the master process; 0 when it is not running.
func (n *Nginx) PID() int {
	if n.child == nil || !n.child.running() {
		return 0
	}
	return n.child.pid()
}

// LastErrors returns the last lines that nginx wrote, at its start or into its
// error log, for a person.
func (n *Nginx) LastErrors(lines int) string {
	for _, file := range []string{"start.log", "error.log"} {
		data, err := os.ReadFile(filepath.Join(n.Dir, file))
		if err == nil && len(data) > 0 {
			return lastLines(string(data), lines)
		}
	}
	return "nothing was logged"
}

// Said is LastErrors, as a [Server] has it.
func (n *Nginx) Said(lines int) string { return n.LastErrors(lines) }
