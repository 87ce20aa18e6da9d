package check

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/certvigil/certvigil/renew/config"
)

// Threshold is how little may be left of a certificate before an alarm: a part
// of its slack, or a time.
type Threshold struct {
	part float64       // of the slack; 0 where it is a time
	left time.Duration //
}

// PartOfSlack is a threshold that follows the lifetime: 0.75 means that three
// quarters of the slack are left.
func PartOfSlack(part float64) Threshold { return Threshold{part: part} }

// ParseThreshold reads "75%" (of the slack) or a duration such as "20d" or "36h".
func ParseThreshold(text string) (Threshold, error) {
	if percent, ok := strings.CutSuffix(strings.TrimSpace(text), "%"); ok {
		n, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
		if err != nil || !(n > 0 && n <= 1000) {
			return Threshold{}, fmt.Errorf("%q is no part of the slack: write one such as 75%%", text)
		}
		return Threshold{part: n / 100}, nil
	}
	left, err := config.ParseDuration(strings.TrimSpace(text))
	if err != nil || left <= 0 {
		return Threshold{}, fmt.Errorf("%q is neither a part of the slack, such as 75%%, nor a duration, such as 20d", text)
	}
	return Threshold{left: left}, nil
}

// of returns the threshold for a certificate with that slack.
func (t Threshold) of(slack time.Duration) time.Duration {
	if t.part > 0 {
		return time.Duration(t.part * float64(slack))
	}
	return t.left
}

func (t Threshold) String() string {
	if t.part > 0 {
		return strconv.FormatFloat(t.part*100, 'f', -1, 64) + "%"
	}
	return t.left.String()
}
