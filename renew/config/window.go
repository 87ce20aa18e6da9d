package config

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // window_zone means the same on a host without tzdata

	"github.com/certvigil/certvigil/renew"
)

// window reads when renewals, or runs of a hook, are wanted, in the zone of the
// host or in window_zone.
func (s scope) window(r contents) renew.Window {
	zone := s.zone(r)
	attr := r.attrs["window"]
	if attr == nil {
		if other := r.attrs["window_zone"]; other != nil && !r.has("window") {
			s.fail(other.NameRange, "window_zone stands without a window", "Write a window too, such as window = \"Mon-Fri 02:00-05:00\", or take it out.")
		}
		return renew.Window{}
	}
	one, ok := s.text(attr)
	if !ok {
		return renew.Window{}
	}
	w, err := renew.ParseWindow(one.text, zone)
	if err != nil {
		s.fail(one.rng, fmt.Sprintf("window is not a time of the week: %s", err),
			"Write days and hours, such as \"02:00-05:00\", \"Mon-Fri 22:00-04:00\" or, of several, \"Mon-Fri 02:00-05:00, Sun 00:00-24:00\".")
	}
	return w
}

func (s scope) zone(r contents) *time.Location {
	attr := r.attrs["window_zone"]
	if attr == nil {
		return time.Local
	}
	one, ok := s.text(attr)
	if !ok {
		return time.Local
	}
	zone, err := time.LoadLocation(one.text)
	if err != nil || strings.EqualFold(one.text, "local") {
		s.fail(one.rng, fmt.Sprintf("there is no time zone %s", quoted(one.text)), "Write a name such as \"Europe/Berlin\" or \"UTC\", or take it out for the zone of this host.")
		return time.Local
	}
	return zone
}
