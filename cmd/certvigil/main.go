// Command certvigil keeps every TLS certificate on a host from lapsing: it
// renews them over ACME, installs them, runs the reload hooks, and proves with
// handshakes that the new certificate is what clients get.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/store"
)

// version is set when a package is built.
var version = "devel"

// built is when the program was made (RFC 3339), set by the linker too. A clock
// that says less is wrong. Empty where nobody knows.
var built string

// The exit codes of every subcommand.
const (
	exitOK        = 0
	exitAttention = 1 // a human should look
	exitCritical  = 2 // critical, or the command failed
	exitUnknown   = 3 // the state is unknown, or the configuration can't be used
)

func main() { os.Exit(execute(nil)) }

// execute runs the program and returns its exit code. disk stands around what
// it writes to disk: nil, but in a test.
func execute(disk store.Around) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := rootCommand(disk).ExecuteContext(ctx)
	code := codeOf(err)
	if err != nil && err.Error() != "" {
		fmt.Fprintln(os.Stderr, "certvigil:", err)
	}
	return code
}

// exit is an error that carries an exit code; with no Err it is silent.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exit) Unwrap() error { return e.err }

func codeOf(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*exit](err); ok {
		return e.code
	}
	return exitCritical
}

// health turns a level into what a command returns.
func health(l renew.Level) error {
	switch l {
	case renew.Critical:
		return &exit{code: exitCritical}
	case renew.Attention:
		return &exit{code: exitAttention}
	default:
		return nil
	}
}
