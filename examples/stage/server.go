package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// How long a server may take to listen after its start, and to go when asked to.
const (
	serverStart = time.Minute
	serverStop  = 10 * time.Second
)

// Server is a program of Debian's, run as an ordinary process with a folder and a
// configuration of its own. It has nothing in common with one that the system
// runs: NewApache, NewHAProxy, NewPostfix, NewDovecot and NewPostgreSQL write what
// a package brings, in miniature; an operator's own lines come by [Server.Add].
type Server struct {
	Name    string
	Dir     string
	PIDFile string // of the main process

	argv   []string
	as     *syscall.Credential // nil: as who runs this
	quit   syscall.Signal
	reload []string
	up     []string // the addresses at which it listens from the start
	asks   []string // a program that fails until it has read its configuration; nil: to listen is enough
	child  *process
}

// Add puts text at the end of one of its files, or into a new one. A running
// server sees it with its next reload.
func (s *Server) Add(file, text string) error {
	path := filepath.Join(s.Dir, file)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("configuring %s: %w", s.Name, err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("configuring %s: %w", s.Name, err)
	}
	return nil
}

// ReloadCommand is the argv that does what a reload of its unit does.
func (s *Server) ReloadCommand() []string { return s.reload }

// Reload runs the ReloadCommand, as an operator would by hand.
func (s *Server) Reload(ctx context.Context) error { return run(ctx, s.reload) }

// Start starts the server and returns once it has read its configuration and
// listens. It is a child of this process, and ends with it.
func (s *Server) Start(ctx context.Context) error {
	if s.PID() != 0 {
		return fmt.Errorf("starting %s: it runs already", s.Name)
	}
	output, err := os.OpenFile(filepath.Join(s.Dir, "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("starting %s: %w", s.Name, err)
	}
	defer output.Close()
	cmd := exec.Command(s.argv[0], s.argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.Dir, output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if s.child, err = launch(cmd, s.quit); err != nil { // not SIGKILL: it ends what it started
		return err
	}
	return s.awaitUp(ctx)
}

func (s *Server) awaitUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, serverStart)
	defer cancel()
	err := s.child.up(ctx, s.ready)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("starting %s: %w: %s", s.Name, err, s.Said(5))
	if s.child.running() {
		err = errors.Join(err, s.Stop())
	}
	return err
}

// ready looks for the pid file first: Apache reads its configuration twice, and
// listens for a moment after the first time.
func (s *Server) ready(ctx context.Context) error {
	text, err := os.ReadFile(s.PIDFile)
	if err != nil {
		return err
	}
	if fields := strings.Fields(string(text)); len(fields) == 0 || fields[0] != strconv.Itoa(s.child.pid()) {
		return fmt.Errorf("%s does not name process %d yet", s.PIDFile, s.child.pid())
	}
	for _, address := range s.up {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		conn.Close()
	}
	if s.asks != nil {
		return run(ctx, s.asks)
	}
	return nil
}

// Stop ends the server with all that it started, and waits until nothing listens
// any more.
func (s *Server) Stop() error {
	if s.child == nil {
		return nil
	}
	err := s.child.end(s.quit, serverStop)
	// What is left of its process group, which launch made. It is gone a moment later.
	_ = syscall.Kill(-s.child.pid(), syscall.SIGKILL)
	s.child = nil
	return errors.Join(err, s.awaitDown())
}

func (s *Server) awaitDown() error {
	late := time.Now().Add(serverStop)
	for _, address := range s.up {
		for {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				break
			}
			conn.Close()
			if time.Now().After(late) {
				return fmt.Errorf("ending %s: something still listens at %s", s.Name, address)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	return nil
}

// PID is the id of the main process; 0 when it is not running.
func (s *Server) PID() int {
	if s.child == nil || !s.child.running() {
		return 0
	}
	return s.child.pid()
}

// Said returns the last lines that the server wrote, for a person.
func (s *Server) Said(lines int) string {
	var all []string
	for _, file := range []string{"output", "log"} {
		if data, err := os.ReadFile(filepath.Join(s.Dir, file)); err == nil && len(data) > 0 {
			all = append(all, lastLines(string(data), lines))
		}
	}
	if len(all) == 0 {
		return "nothing was logged"
	}
	return strings.Join(all, "\n")
}

// write makes the server's first files, in which words such as $dir stand for
// what is in fill.
func (s *Server) write(fill map[string]string, files map[string]string) error {
	for name, text := range files {
		text = os.Expand(text, func(word string) string {
			if value, ok := fill[word]; ok {
				return value
			}
			return "$" + word
		})
		path := filepath.Join(s.Dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			return fmt.Errorf("preparing %s: %w", s.Name, err)
		}
	}
	return nil
}

// findServer returns the path of a program that the PATH of a user may lack. Of
// several that match, the last.
func findServer(name string, places ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil && len(places) == 0 {
		return path, nil
	}
	for _, place := range append(places, "/usr/sbin/"+name) {
		if found, _ := filepath.Glob(place); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return "", fmt.Errorf("finding %s: %w", name, exec.ErrNotFound)
}
