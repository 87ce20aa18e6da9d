package stage

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
)

// command is the agent's package.
const command = "github.com/certvigil/certvigil/cmd/certvigil"

// Build compiles the agent into dir and returns the binary's path. It runs the
// go command, inside of this module.
func Build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "certvigil")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, command).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the agent: %w: %s", err, out)
	}
	return binary, nil
}
