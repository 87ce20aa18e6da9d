package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// load is wrk at work: a new connection, and so a handshake, for each request.
type load struct {
	cmd    *exec.Cmd
	output bytes.Buffer
}

// longestLoad ends a wrk that nobody ends.
const longestLoad = 30 * time.Minute

func startLoad(ctx context.Context, h *stage.Host) (*load, error) {
	l := &load{cmd: exec.CommandContext(ctx, "wrk", "--threads", "1", "--connections", "2", "--timeout", "10s",
		"--duration", fmt.Sprintf("%ds", int(longestLoad.Seconds())), "--header", "Connection: close", "https://"+h.Nginx.Address+"/")}
	l.cmd.Stdout, l.cmd.Stderr = &l.output, &l.output
	if err := l.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting wrk: %w", err)
	}
	return l, nil
}

// end interrupts wrk, which then says how it went.
func (l *load) end() (handshakes, error) {
	if err := errors.Join(l.cmd.Process.Signal(syscall.SIGINT), l.cmd.Wait()); err != nil {
		return handshakes{}, fmt.Errorf("ending wrk: %w: %s", err, &l.output)
	}
	return parseLoad(l.output.String())
}

// handshakes is what wrk counted.
type handshakes struct {
	made, failed int
	text         string // the lines that it is read from
}

// What wrk prints; the second and third only where there is something to count.
var (
	requestsLine = regexp.MustCompile(`(\d+) requests in .*`)
	errorsLine   = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
	statusLine   = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
)

func parseLoad(output string) (h handshakes, err error) {
	requests := requestsLine.FindStringSubmatch(output)
	if requests == nil {
		return h, fmt.Errorf("wrk said nothing of requests: %s", output)
	}
	if h.made, err = strconv.Atoi(requests[1]); err != nil {
		return h, err
	}
	said := []string{requests[0]}
	for _, line := range []*regexp.Regexp{errorsLine, statusLine} {
		counts := line.FindStringSubmatch(output)
		if counts == nil {
			continue
		}
		said = append(said, counts[0])
		for _, c := range counts[1:] {
			n, err := strconv.Atoi(c)
			if err != nil {
				return h, err
			}
			h.failed += n
		}
	}
	h.text = strings.Join(said, "; ")
	return h, nil
}
