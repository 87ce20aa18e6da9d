package renew

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is the times of the week at which an operator wants renewals, as a
// clock on the wall of its zone shows them. The zero Window is any time.
type Window struct {
	text  string
	zone  *time.Location
	spans []span
}

// span is one stretch of a week in which no clock is changed, in seconds from
// Sunday 00:00 on.
type span struct{ from, length int64 }

const (
	daySeconds  = 24 * 60 * 60
	weekSeconds = 7 * daySeconds
)

// ParseWindow reads windows that commas separate, each with the days it begins
// on ("Mon", "Mon-Fri", "Sat-Mon"; none means every day) and the hours
// ("02:00-05:00"); hours that end before they begin end on the day after. The
// error says what can't be read, for a person.
func ParseWindow(text string, zone *time.Location) (Window, error) {
	w := Window{text: text, zone: zone}
	for part := range strings.SplitSeq(text, ",") {
		days, hours := "Sun-Sat", ""
		switch words := strings.Fields(part); {
		case len(words) == 1 && strings.Contains(part, ":"):
			hours = words[0]
		case len(words) == 1:
			return Window{}, fmt.Errorf("%q has no hours", words[0])
		case len(words) == 2:
			days, hours = words[0], words[1]
		default:
			return Window{}, fmt.Errorf("%q is not days and hours", strings.TrimSpace(part))
		}
		first, last, err := parseDays(days)
		if err != nil {
			return Window{}, err
		}
		from, length, err := parseHours(hours)
		if err != nil {
			return Window{}, err
		}
		for d := first; ; d = (d + 1) % 7 {
			w.spans = append(w.spans, span{d*daySeconds + from, length})
			if d == last {
				break
			}
		}
	}
	return w, nil
}

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

func parseDays(text string) (first, last int64, err error) {
	a, b, isRange := strings.Cut(text, "-")
	if !isRange {
		b = a
	}
	for _, one := range []struct {
		name string
		day  *int64
	}{{a, &first}, {b, &last}} {
		i := slices.IndexFunc(weekdays, func(d string) bool {
			return strings.EqualFold(one.name, d) || strings.EqualFold(one.name, d[:3])
		})
		if i < 0 {
			return 0, 0, fmt.Errorf("%q is no day of the week", one.name)
		}
		*one.day = int64(i)
	}
	return first, last, nil
}

func parseHours(text string) (from, length int64, err error) {
	a, b, isRange := strings.Cut(text, "-")
	if !isRange {
		return 0, 0, fmt.Errorf("%q is not from one hour to another", text)
	}
	if from, err = parseHour(a); err != nil {
		return 0, 0, err
	}
	to, err := parseHour(b)
	switch {
	case err != nil:
		return 0, 0, err
	case from == to || from == daySeconds:
		return 0, 0, fmt.Errorf("%q begins where it ends: the whole day is 00:00-24:00", text)
	case to < from:
		to += daySeconds
	}
	return from, to - from, nil
}

// parseHour reads 00:00 to 24:00.
func parseHour(text string) (seconds int64, err error) {
	var hour, minute int64
	digits := len(text) == 5 && text[2] == ':'
	for i := 0; digits && i < 5; i++ {
		digits = i == 2 || text[i] >= '0' && text[i] <= '9'
	}
	if digits {
		hour, minute = int64(text[0]-'0')*10+int64(text[1]-'0'), int64(text[3]-'0')*10+int64(text[4]-'0')
	}
	seconds = hour*3600 + minute*60
	if !digits || minute > 59 || seconds > daySeconds {
		return 0, fmt.Errorf("%q is no time of the day such as 02:30", text)
	}
	return seconds, nil
}

// Any tells whether w is any time.
func (w Window) Any() bool { return len(w.spans) == 0 }

// String returns the text that w was read from.
func (w Window) String() string { return w.text }

// Next returns the earliest moment inside w that is not before t.
//
// Inside is what the clock on the wall says: where an hour comes twice, it is
// inside both times, and an hour that is left out holds no window.
func (w Window) Next(t time.Time) time.Time {
	if w.Any() {
		return t
	}
	// From one change of the clock to the next the week is a plain circle. A week
	// without one always holds the window, and no zone changes its clock so often
	// that one does not come soon.
	at := t
	for range 100 {
		_, offset := at.In(w.zone).Zone()
		wait := w.wait(at.Unix() + int64(offset))
		next := at
		if wait > 0 {
			next = at.Add(-time.Duration(at.Nanosecond())).Add(time.Duration(wait) * time.Second)
		}
		_, change := at.In(w.zone).ZoneBounds()
		if change.IsZero() || next.Before(change) {
			return next
		}
		at = change.In(t.Location())
	}
	return t // not reached
}

// wait returns the seconds from a time on the wall, counted from 1970, to the
// next moment inside.
func (w Window) wait(wall int64) int64 {
	const thursday = 4 // 1 January 1970
	now := mod(wall+thursday*daySeconds, weekSeconds)
	least := int64(weekSeconds)
	for _, s := range w.spans {
		if mod(now-s.from, weekSeconds) < s.length {
			return 0
		}
		least = min(least, mod(s.from-now, weekSeconds))
	}
	return least
}

func mod(a, n int64) int64 { return (a%n + n) % n }

// windowShare is the part of the slack that a renewal may wait for its window,
// and the part that it may come early for it. It lies just below the part that
// may be gone before a human is told: a renewal that waits for its window alone
// is nobody's news.
const windowShare = attentionGone - 0.01

// Opening returns when a renewal would come that is due at that time: when c's
// window opens, if that is soon enough.
func Opening(c *Cert, f *Facts, due time.Time) time.Time {
	share := time.Duration(windowShare * float64(Slack(c, f)))
	if at := c.Window.Next(due); !at.After(due.Add(share)) {
		return at
	}
	return due
}

// windowed moves an issue step into c's window, where that costs no safety: wanted
// is when and why it is due, s is when it may come at the earliest. What is due
// for any other reason than time does not wait, nor does what an operator asked
// for.
//
// A renewal waits until the window opens if that is soon enough after it was
// due. If it is not, the last opening before is taken, if that is late enough;
// and if there is none either, as for a certificate of a week in a window once a
// week, the window is disregarded. The end of the time that the CA suggests is
// never passed: who revokes early names a near one (RFC 9773, section 4.2).
func windowed(now time.Time, c *Cert, f *Facts, wanted, s Step) Step {
	if c.Window.Any() || (wanted.Reason != Lifetime && wanted.Reason != ARIWindow) {
		return s
	}
	if r := f.Journal.Request; r.At.After(wanted.At) && !r.Edited {
		return s
	}
	share := time.Duration(windowShare * float64(Slack(c, f)))
	latest := wanted.At.Add(share)
	if wanted.Reason == ARIWindow {
		latest = earlier(latest, f.Journal.Advice.End)
	}
	if at := c.Window.Next(s.At); !at.After(latest) {
		if at.After(s.At) {
			s.At, s.Reason = at, WindowShut
		}
		return s
	}
	if s.At.After(wanted.At) {
		return s // it was held up since it was due: no more time is lost
	}
	// A part of its age at most, too: a certificate that was issued in the window
	// is not to be issued again in the same one.
	early := min(share, time.Duration(windowShare*float64(wanted.At.Sub(f.Held.IssuedAt))))
	if at := c.Window.Next(later(now, wanted.At.Add(-early))); early > 0 && at.Before(s.At) {
		s.At, s.Reason = at, WindowShut
	}
	return s
}
