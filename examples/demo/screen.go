package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// screen writes plain lines: a time stamp, who, what happened, and more of it.
type screen struct {
	mu  sync.Mutex // guards out: lines are never mixed
	out io.Writer
}

func newScreen(out io.Writer) *screen { return &screen{out: out} }

// line says that something happened at a time.
func (s *screen) line(at time.Time, who, what, more string) {
	s.print(fmt.Sprintf("%s  %-8s %-10s %s", at.Local().Format("15:04:05.000"), who, what, more))
}

// say is line, now.
func (s *screen) say(who, what, format string, args ...any) {
	s.line(time.Now(), who, what, fmt.Sprintf(format, args...))
}

// title begins a new part.
func (s *screen) title(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.print("\n── " + text + " " + strings.Repeat("─", max(2, 74-len([]rune(text)))))
}

// fact is one line of the introduction.
func (s *screen) fact(name, format string, args ...any) {
	s.print(fmt.Sprintf("  %-15s %s", name, fmt.Sprintf(format, args...)))
}

// text shows a file.
func (s *screen) text(text string) {
	s.print("    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    "))
}

func (s *screen) print(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// A terminal that has gone away takes nothing with it: the exit code
	// still tells.
	_, _ = fmt.Fprintln(s.out, line)
}
