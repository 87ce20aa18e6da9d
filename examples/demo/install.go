package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/certvigil/certvigil/examples/stage"
)

//go:embed install.sh
var installScript string

// ensureNginx installs nginx where it is missing, and says so. The system's own
// service is not started.
func ensureNginx(ctx context.Context, s *screen) error {
	if path, err := stage.FindNginx(); err == nil {
		s.say("demo", "found", "%s", path)
		return nil
	}
	argv := []string{"sh", "-c", installScript}
	if os.Geteuid() != 0 {
		sudo, err := exec.LookPath("sudo")
		if err != nil {
			return errors.New("nginx is missing, and installing it needs root or sudo: apt install nginx")
		}
		argv = append([]string{sudo}, argv...)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("nginx is missing, and there is no apt-get here: please install it")
	}
	s.say("demo", "installs", "nginx is missing: apt-get install nginx (its service is not started)")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = os.Stdin // sudo may ask for a password
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("installing nginx: %w: %s", err, out)
	}
	path, err := stage.FindNginx()
	if err != nil {
		return fmt.Errorf("installing nginx: apt-get was content, but: %w", err)
	}
	s.say("demo", "installed", "%s", path)
	return nil
}
