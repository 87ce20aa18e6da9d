package stage

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// command is the agent's package.
const command = "github.com/certvigil/certvigil/cmd/certvigil"

// Build compiles the agent into dir and returns the binary's path. It runs the
// go command, inside of this module.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "certvigil")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", binary, command)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is packaged
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the agent: %w: %s", err, out)
	}
	return binary, nil
}
