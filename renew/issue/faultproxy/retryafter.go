package faultproxy

import (
	"net/http"
	"strings"
	"time"
)

// Shape is one form of a Retry-After header (RFC 9110, section 10.2.3), or of what
// is sent for one.
type Shape struct {
	Name   string
	Values func(now time.Time) []string // of the header; several are sent several times
}

// Shapes lists every shape that CAs and front ends have been seen to send, and
// some that they have not.
func Shapes() []Shape {
	date := func(layout string, d time.Duration) func(time.Time) []string {
		return func(now time.Time) []string { return []string{now.Add(d).UTC().Format(layout)} }
	}
	text := func(values ...string) func(time.Time) []string {
		return func(time.Time) []string { return values }
	}
	return []Shape{
		{"seconds", text("3600")},
		{"zero", text("0")},
		{"negative", text("-120")},
		{"plus sign", text("+60")},
		{"spaces", text("  90  ")},
		{"a fraction", text("1.5")},
		{"exponent", text("1e3")},
		{"hexadecimal", text("0x10")},
		{"with a unit", text("60s")},
		{"garbage", text("soon")},
		{"empty", text("")},
		{"absent", text()},
		{"two of them", text("60", "7200")},
		{"a list", text("60, 7200")},
		{"ten years", text("315360000")},
		{"64 bits", text("9223372036854775807")},
		{"more than 64 bits", text(strings.Repeat("9", 40))},
		{"a kilobyte of digits", text(strings.Repeat("1", 1024))},
		{"a date", date(http.TimeFormat, time.Hour)},
		{"a date in the past", date(http.TimeFormat, -time.Hour)},
		{"the epoch", text("Thu, 01 Jan 1970 00:00:00 GMT")},
		{"a date in ten years", date(http.TimeFormat, 10*365*24*time.Hour)},
		{"the year 9999", text("Fri, 31 Dec 9999 23:59:59 GMT")},
		{"RFC 850", date("Monday, 02-Jan-06 15:04:05 GMT", time.Hour)},
		{"asctime", date(time.ANSIC, time.Hour)},
		{"RFC 3339", date(time.RFC3339, time.Hour)},
		{"a date without a zone", date("Mon, 02 Jan 2006 15:04:05", time.Hour)},
	}
}
