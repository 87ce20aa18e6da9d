package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Event is one line of the agent's log, parsed.
type Event struct {
	Time  time.Time
	Level string // "DEBUG", "INFO", "WARN" or "ERROR"
	Msg   string
	Attrs map[string]any // every other attribute of the line
	Line  string         // the line itself; all there is where it is not JSON
}

// Text returns an attribute as text, empty where the line has none.
func (e Event) Text(key string) string {
	if v, ok := e.Attrs[key]; ok && v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// Number returns a numeric attribute, 0 where the line has none.
func (e Event) Number(key string) int {
	n, _ := e.Attrs[key].(float64)
	return int(n)
}

// When returns an attribute that is a time, zero where the line has none.
func (e Event) When(key string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, e.Text(key))
	if err != nil {
		return time.Time{}
	}
	return t
}

// Took returns an attribute that is a duration: slog's JSON handler writes
// nanoseconds. A duration written as text is understood too.
func (e Event) Took(key string) time.Duration {
	if n, ok := e.Attrs[key].(float64); ok {
		return time.Duration(n)
	}
	d, _ := time.ParseDuration(e.Text(key))
	return d
}

func parseEvent(line []byte) Event {
	e := Event{Time: time.Now(), Line: string(line)}
	var attrs map[string]any
	if json.Unmarshal(line, &attrs) != nil {
		return e
	}
	e.Attrs = attrs
	if t := e.When("time"); !t.IsZero() {
		e.Time = t
	}
	e.Level, e.Msg = e.Text("level"), e.Text("msg")
	for _, k := range []string{"time", "level", "msg"} {
		delete(e.Attrs, k)
	}
	return e
}

// kept bounds the lines that a Log holds: the oldest are forgotten.
const kept = 20_000

// Log holds the lines that the agent wrote, over all of its restarts. Positions
// in it only grow. It is an io.Writer for the agent's stderr.
type Log struct {
	Copy io.Writer // gets every byte as well, where it is set; set it before the first Write

	mu      sync.Mutex // guards what follows
	events  []Event
	first   int           // the position of events[0]
	partial []byte        // a line whose end has not come yet
	grown   chan struct{} // closed and replaced whenever an event is added
}

// Write takes the agent's output, in whatever pieces it comes.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.Copy != nil {
		if _, err := l.Copy.Write(p); err != nil {
			return 0, fmt.Errorf("copying the agent's log: %w", err)
		}
	}
	l.partial = append(l.partial, p...)
	for {
		line, rest, whole := bytes.Cut(l.partial, []byte("\n"))
		if !whole {
			return len(p), nil
		}
		l.events = append(l.events, parseEvent(line))
		l.partial = rest
		if extra := len(l.events) - kept; extra > 0 {
			l.events, l.first = l.events[extra:], l.first+extra
		}
		if l.grown != nil {
			close(l.grown)
			l.grown = nil
		}
	}
}

// End returns the position after the last event.
func (l *Log) End() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.first + len(l.events)
}

// Since returns the events from position from on, as far as they are still
// held, the position after them, and a channel that is closed once there are
// more.
func (l *Log) Since(from int) (events []Event, next int, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.grown == nil {
		l.grown = make(chan struct{})
	}
	at := min(max(0, from-l.first), len(l.events))
	return append([]Event(nil), l.events[at:]...), l.first + len(l.events), l.grown
}

// Await returns the first event from position from on that matches, and the
// position after it. It fails once ctx ends.
func (l *Log) Await(ctx context.Context, from int, match func(Event) bool) (Event, int, error) {
	for {
		events, next, more := l.Since(from)
		for i, e := range events {
			if match(e) {
				return e, next - len(events) + i + 1, nil
			}
		}
		from = next
		select {
		case <-ctx.Done():
			return Event{}, from, context.Cause(ctx)
		case <-more:
		}
	}
}

// Message matches events with the message, of the certificate where cert is set.
func Message(msg, cert string) func(Event) bool {
	return func(e Event) bool { return e.Msg == msg && (cert == "" || e.Text("cert") == cert) }
}
