package main

import (
	"testing"
	"time"
)

func TestPercentilesAreByNearestRank(t *testing.T) {
	var s series
	for i := 100; i > 0; i-- {
		s = append(s, time.Duration(i))
	}
	if s.at(50) != 50 || s.at(99) != 99 || s.at(100) != 100 {
		t.Errorf("%d, %d, %d", s.at(50), s.at(99), s.at(100))
	}
	if few := (series{3, 1, 2}); few.at(50) != 2 || few.at(99) != 3 || few.over(series{1}, 99) != 2 {
		t.Errorf("of three: %d and %d", few.at(50), few.at(99))
	}
}

func TestWhatWrkCountsIsRead(t *testing.T) {
	for _, tt := range []struct {
		output       string
		made, failed int
	}{
		{"  4210 requests in 10.01s, 633.15KB read\nRequests/sec:    420.58\n", 4210, 0},
		{"  90 requests in 1.00m, 1.15KB read\n  Socket errors: connect 1, read 2, write 3, timeout 4\n  Non-2xx or 3xx responses: 5\n", 90, 15},
	} {
		if h, err := parseLoad(tt.output); err != nil || h.made != tt.made || h.failed != tt.failed {
			t.Errorf("%q: %+v, %v", tt.output, h, err)
		}
	}
	if _, err := parseLoad("unable to connect to 127.0.0.1:1 Connection refused\n"); err == nil {
		t.Error("nothing was counted, and that is no error")
	}
}
