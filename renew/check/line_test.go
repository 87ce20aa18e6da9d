package check

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestThresholds(t *testing.T) {
	slack := 30 * day
	for text, want := range map[string]time.Duration{
		"75%": 22*day + 12*time.Hour, "100%": 30 * day, " 33.3 % ": time.Duration(0.333 * float64(slack)),
		"20d": 20 * day, "36h": 36 * time.Hour, "90s": 90 * time.Second, "1d12h": 36 * time.Hour,
	} {
		got, err := ParseThreshold(text)
		if err != nil || (got.of(slack)-want).Abs() > time.Second {
			t.Errorf("%q: %s, %v; want %s", text, got.of(slack), err, want)
		}
		if again, err := ParseThreshold(got.String()); err != nil || again != got {
			t.Errorf("%q is shown as %q, which is %v, %v", text, got, again, err)
		}
	}
	for _, text := range []string{"", "%", "-5%", "0%", "0", "0s", "-1h", "20", "NaN%", "1001%", "3 weeks"} {
		if got, err := ParseThreshold(text); err == nil {
			t.Errorf("%q passes as %s", text, got)
		}
	}
}

func TestTheWorstDecides(t *testing.T) {
	for want, states := range map[State][]State{
		OK: {}, Warning: {Warning}, Unknown: {Warning, Unknown}, Critical: {Unknown, Warning, Critical},
	} {
		var r Result
		for _, s := range states {
			r.Problems = append(r.Problems, Problem{State: s, Text: "x"})
		}
		r.sort()
		if r.State() != want || !strings.HasPrefix(r.Line(), "CERTVIGIL "+want.String()+" - ") {
			t.Errorf("%v: %s", states, r.Line())
		}
	}
}

// One line that a monitoring system reads to its end, whatever others said.
func TestTheLineIsOneLineAndBounded(t *testing.T) {
	var r Result
	for i := range 1000 {
		cert := fmt.Sprintf("cert%04d", i)
		r.certs++
		r.Figures = append(r.Figures, Figure{Cert: cert, Left: time.Duration(1000-i) * time.Hour})
		r.Problems = append(r.Problems, Problem{Warning, cert, "hook-failing: a\nb|c\x1b[31m\u202e" + strings.Repeat("long ", 1000)})
	}
	r.sort()
	line := r.Line()
	if len(line) > 4096 || strings.ContainsAny(line, "\n\x1b\u202e") || strings.Count(line, "|") != 1 {
		t.Errorf("%d bytes: %q", len(line), line)
	}
	for _, want := range []string{"cert0000: hook-failing: a b/c?[31m", "and 996 more", "next expiry cert0999 in 60m", "left_min=3600s", "certificates=1000"} {
		if !strings.Contains(line, want) {
			t.Errorf("%s\nlacks %q", line, want)
		}
	}
	if strings.Contains(line, "cert0999_left") {
		t.Error("a figure for each of 1000 certificates")
	}
	if got := UnknownLine(errors.New("a\nb | c")); got != "CERTVIGIL UNKNOWN - a b / c" {
		t.Errorf("%q", got)
	}
}

func TestLabelsAreQuotedWhereTheyMustBe(t *testing.T) {
	for text, want := range map[string]string{"www_left": "www_left", "a b_left": "'a b_left'", "it's=x": "'itsx'", "ä": "'ä'"} {
		if got := label(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestAnExpiredCertificateHasLessThanNothingLeft(t *testing.T) {
	r := Result{certs: 1, Figures: []Figure{{"www", -90 * time.Second, 2 * time.Hour, time.Hour}}}
	if line := r.Line(); !strings.Contains(line, "next expiry www has expired | www_left=-90s;7200:;3600:;") {
		t.Error(line)
	}
}
