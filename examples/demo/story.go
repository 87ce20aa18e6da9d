package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/certvigil/certvigil/examples/stage"
)

// until shows the agent's log as it grows, line by line, up to the first that
// matches, and returns that one. It fails where none comes within the limit.
func (d *demo) until(ctx context.Context, limit time.Duration, what string, match func(stage.Event) bool) (stage.Event, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it did not happen within %s", limit))
	defer cancel()
	for {
		e, next, err := d.host.Agent.Await(ctx, d.at, func(stage.Event) bool { return true })
		if err != nil {
			return e, fmt.Errorf("waiting for %s: %w", what, err)
		}
		d.at = next
		d.tell(e)
		if match(e) {
			return e, nil
		}
	}
}

// tell shows one line of the log in words.
func (d *demo) tell(e stage.Event) {
	who, what, more := words(e)
	if what == "" || d.told[e.Msg+more] {
		return
	}
	d.told[e.Msg+more] = what == "error" // once says it all
	d.line(e.Time, who, what, more)
}

// words puts a line of the log into words; what is empty for those that say
// nothing to a spectator.
func words(e stage.Event) (who, what, more string) {
	who = e.Text("cert")
	took := e.Took("took").Round(time.Millisecond)
	switch e.Msg {
	case "agent started":
		return "agent", "started", fmt.Sprintf("%s, state in %s", e.Text("version"), e.Text("state_dir"))
	case "configuration loaded":
		return "agent", "loaded", e.Text("path")
	case "certificate issued":
		return who, "issued", fmt.Sprintf("version %d by %s in %s, because: %s; ends %s",
			e.Number("version"), e.Text("issuer"), took, e.Text("reason"), clock(e.When("not_after")))
	case "installed":
		return who, "installed", fmt.Sprintf("live/%s -> version %d", who, e.Number("version"))
	case "hook tested":
		return or(who, "nginx"), "tested", fmt.Sprintf("nginx -t passes (%s)", took)
	case "hook acknowledged":
		return who, "reloaded", fmt.Sprintf("hook %s returned 0 for version %d (%s)", e.Text("hook"), e.Number("version"), took)
	case "served":
		return who, "proved", fmt.Sprintf("version %d is what all %d names answer with, says the agent (%s)",
			e.Number("version"), e.Number("endpoints"), took)
	case "step failed":
		return who, "FAILED", fmt.Sprintf("%s, %s, attempt %d, again at %s: %s",
			e.Text("step"), e.Text("class"), e.Number("attempt"), clock(e.When("next")), brief(e.Text("err")))
	case "health changed":
		return who, "health", brief(strings.Join([]string{strings.ToUpper(e.Text("health")), e.Text("reason"), e.Text("detail")}, " "))
	}
	switch e.Level {
	case "ERROR":
		return or(who, "agent"), "error", brief(e.Msg + ": " + e.Text("err"))
	case "":
		return "agent", "says", brief(e.Line)
	default:
		return "", "", ""
	}
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "?"
	}
	return t.Local().Format(time.TimeOnly)
}

func or(text, otherwise string) string {
	if text != "" {
		return text
	}
	return otherwise
}

// brief keeps a line to a length that a terminal shows. The cause stands at the
// end of an error, so it is the middle that goes.
func brief(text string) string {
	const head, tail = 60, 110
	text = strings.Join(strings.Fields(text), " ")
	runes := []rune(text)
	if len(runes) <= head+tail {
		return text
	}
	return string(runes[:head]) + " … " + string(runes[len(runes)-tail:])
}
