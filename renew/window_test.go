package renew

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tables below hold on a host without zones too
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func window(t *testing.T, text string, z *time.Location) Window {
	t.Helper()
	w, err := ParseWindow(text, z)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWindowNext(t *testing.T) {
	for _, tc := range []struct{ name, zone, window, from, want string }{
		{"inside already", "Europe/Berlin", "02:00-05:00", "2026-06-10 03:30:00 +0200", "2026-06-10 03:30:00 +0200"},
		{"later today", "Europe/Berlin", "02:00-05:00", "2026-06-10 01:59:59 +0200", "2026-06-10 02:00:00 +0200"},
		{"the end is outside", "Europe/Berlin", "02:00-05:00", "2026-06-10 05:00:00 +0200", "2026-06-11 02:00:00 +0200"},
		{"over the weekend", "Europe/Berlin", "Mon-Fri 02:00-05:00", "2026-06-12 12:00:00 +0200", "2026-06-15 02:00:00 +0200"},
		{"a day before the week turns", "Europe/Berlin", "Sat-Mon 02:00-03:00", "2026-06-13 12:00:00 +0200", "2026-06-14 02:00:00 +0200"},
		{"over midnight, before it", "Europe/Berlin", "22:00-04:00", "2026-06-10 21:00:00 +0200", "2026-06-10 22:00:00 +0200"},
		{"over midnight, after it", "Europe/Berlin", "Fri 22:00-04:00", "2026-06-13 03:59:59 +0200", "2026-06-13 03:59:59 +0200"},
		{"over midnight and the end of the week", "Europe/Berlin", "Sat 22:00-04:00", "2026-06-14 01:00:00 +0200", "2026-06-14 01:00:00 +0200"},
		{"the earliest of several", "Europe/Berlin", "Sun 01:00-02:00, wednesday 04:00-05:00", "2026-06-09 12:00:00 +0200", "2026-06-10 04:00:00 +0200"},
		{"until midnight", "Europe/Berlin", "Tue 23:00-24:00", "2026-06-10 00:00:00 +0200", "2026-06-16 23:00:00 +0200"},
		{"the whole of a day", "Europe/Berlin", "Sun 00:00-24:00", "2026-06-10 00:00:00 +0200", "2026-06-14 00:00:00 +0200"},

		// Berlin goes from 02:00 to 03:00 on 29 March 2026, and from 03:00 back to
		// 02:00 on 25 October.
		{"Berlin, opens in the hour that is left out", "Europe/Berlin", "02:30-04:00", "2026-03-29 01:59:00 +0100", "2026-03-29 03:00:00 +0200"},
		{"Berlin, lies in the hour that is left out", "Europe/Berlin", "02:00-03:00", "2026-03-29 01:59:00 +0100", "2026-03-30 02:00:00 +0200"},
		{"Berlin, once a week in the hour that is left out", "Europe/Berlin", "Sun 02:10-02:50", "2026-03-28 12:00:00 +0100", "2026-04-05 02:10:00 +0200"},
		{"Berlin, opens after the hour that is left out", "Europe/Berlin", "03:00-04:00", "2026-03-29 00:00:00 +0100", "2026-03-29 03:00:00 +0200"},
		{"Berlin, the first 02:00 of two", "Europe/Berlin", "02:00-02:30", "2026-10-25 01:00:00 +0200", "2026-10-25 02:00:00 +0200"},
		{"Berlin, the second 02:00 of two", "Europe/Berlin", "02:00-02:30", "2026-10-25 02:45:00 +0200", "2026-10-25 02:00:00 +0100"},
		{"Berlin, inside the second of two", "Europe/Berlin", "02:00-02:30", "2026-10-25 02:15:00 +0100", "2026-10-25 02:15:00 +0100"},
		{"Berlin, after both", "Europe/Berlin", "02:00-02:30", "2026-10-25 02:30:00 +0100", "2026-10-26 02:00:00 +0100"},
		{"Berlin, across both", "Europe/Berlin", "Sun 01:00-04:00", "2026-10-25 03:59:59 +0100", "2026-10-25 03:59:59 +0100"},
		{"Berlin, weeks before the change", "Europe/Berlin", "Sun 03:00-04:00", "2026-10-24 12:00:00 +0200", "2026-10-25 03:00:00 +0100"},

		// New York goes from 02:00 to 03:00 on 8 March 2026, and from 02:00 back to
		// 01:00 on 1 November.
		{"New York, opens in the hour that is left out", "America/New_York", "Sun 02:30-04:00", "2026-03-08 01:00:00 -0500", "2026-03-08 03:00:00 -0400"},
		{"New York, lies in the hour that is left out", "America/New_York", "Sun 02:00-02:59", "2026-03-08 01:00:00 -0500", "2026-03-15 02:00:00 -0400"},
		{"New York, the second 01:00 of two", "America/New_York", "01:00-01:30", "2026-11-01 01:31:00 -0400", "2026-11-01 01:00:00 -0500"},
		{"New York, over midnight into the hour that comes twice", "America/New_York", "Sat 23:00-02:00", "2026-11-01 01:30:00 -0500", "2026-11-01 01:30:00 -0500"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const layout = "2006-01-02 15:04:05 -0700"
			from, err := time.Parse(layout, tc.from)
			if err != nil {
				t.Fatal(err)
			}
			z := zone(t, tc.zone)
			if got := window(t, tc.window, z).Next(from).In(z).Format(layout); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestTheZeroWindowIsAnyTime(t *testing.T) {
	if at := (Window{}).Next(t0); !at.Equal(t0) || !(Window{}).Any() {
		t.Errorf("next is %s", at)
	}
}

// TestWindowNextAgainstTheWall compares Next with a look at the clock on the
// wall in every quarter of an hour that follows, around the days on which it is
// changed: all that is compared here begins and ends at one.
func TestWindowNextAgainstTheWall(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	zones := []*time.Location{
		time.UTC, zone(t, "Europe/Berlin"), zone(t, "America/New_York"),
		zone(t, "Australia/Lord_Howe"), // half an hour
		zone(t, "Pacific/Apia"),        // left out a day in 2011
		zone(t, "Asia/Kathmandu"),      // a quarter of an hour off
	}
	changes := []time.Time{
		time.Date(2026, 3, 8, 7, 0, 0, 0, time.UTC), time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 15, 0, 0, 0, time.UTC),
		time.Date(2026, 10, 25, 1, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 6, 0, 0, 0, time.UTC), time.Date(2011, 12, 30, 10, 0, 0, 0, time.UTC),
	}
	for range 1000 {
		day, from, length := rnd.Int64N(7), rnd.Int64N(48)*1800, (1+rnd.Int64N(16))*1800
		w := Window{text: "x", zone: zones[rnd.IntN(len(zones))], spans: []span{{day*daySeconds + from, length}}}
		t1 := changes[rnd.IntN(len(changes))].Add(time.Duration(rnd.IntN(6*24*4)-3*24*4) * 15 * time.Minute)
		got := w.Next(t1)
		for at := t1; ; at = at.Add(15 * time.Minute) {
			wall := at.In(w.zone)
			second := int64(wall.Weekday())*daySeconds + int64(wall.Hour())*3600 + int64(wall.Minute())*60
			if mod(second-day*daySeconds-from, weekSeconds) < length {
				if !got.Equal(at) {
					t.Fatalf("from %s: %s, the wall says %s (span %+v)", t1.In(w.zone), got.In(w.zone), wall, w.spans)
				}
				break
			}
			if at.Sub(t1) > 30*24*time.Hour {
				t.Fatalf("no window within a month of %s in %s: %+v", t1, w.zone, w.spans)
			}
		}
	}
}

func TestParseWindow(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "not days and hours",
		"Mon-Fri":                  "has no hours",
		"02:00-05:00,":             "not days and hours",
		"Mon Tue 02:00-05:00":      "not days and hours",
		"Mon-Fr 02:00-05:00":       `"Fr" is no day`,
		"M 02:00-05:00":            `"M" is no day`,
		"2:00-5:00":                `"2:00" is no time`,
		"02:60-05:00":              `"02:60" is no time`,
		"02:00-24:01":              `"24:01" is no time`,
		"02:00-25:00":              `"25:00" is no time`,
		"02:00-0x:00":              `"0x:00" is no time`,
		"02:00-02:00":              "begins where it ends",
		"24:00-02:00":              "begins where it ends",
		"02:00":                    "not from one hour",
		"02:00-05:00-06:00":        `"05:00-06:00" is no time`,
		"Mon-Fri 02:00-05:00 CEST": "not days and hours",
	} {
		if _, err := ParseWindow(text, time.UTC); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", text, err, want)
		}
	}
}

func FuzzParseWindow(f *testing.F) {
	for _, s := range []string{"Mon-Fri 02:00-05:00", "22:00-04:00, Sun 00:00-24:00", "Sat-Mon 23:59-00:00"} {
		f.Add(s, int64(1774749600))
	}
	f.Fuzz(func(t *testing.T, text string, unix int64) {
		w, err := ParseWindow(text, time.UTC)
		if err != nil {
			return
		}
		at := time.Unix(unix%(1<<33), 0)
		next := w.Next(at)
		if next.Before(at) || next.Sub(at) > 7*24*time.Hour || !w.Next(next).Equal(next) {
			t.Errorf("%q: %s after %s", text, next, at)
		}
	})
}
