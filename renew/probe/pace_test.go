package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/certvigil/certvigil/renew"
)

// TestThePauseIsAPartOfTheTimeThatHasPassed: it is found out late by a twentieth
// at most, and a server that shows nothing new is not hammered.
func TestThePauseIsAPartOfTheTimeThatHasPassed(t *testing.T) {
	for _, tt := range []struct {
		names        int
		most, fewest int // looks of all of them in ten seconds
	}{
		{1, 110, 50},
		{3, 130, 50},
		{20, 20 * 15, 20 * 10}, // each as if it were alone, and doubling
		{500, 500 * 15, 500 * 10},
	} {
		looks := 0
		for passed := time.Duration(0); passed < 10*time.Second; looks++ {
			pause := next(passed, tt.names)
			if pause > longestPause || pause > max(fullFirst, passed*time.Duration(tt.names)/share) {
				t.Errorf("of %d, %s after %s", tt.names, pause, passed)
			}
			passed += pause
		}
		if all := looks * tt.names; all > tt.most || all < tt.fewest {
			t.Errorf("%d look %d times, want %d to %d", tt.names, all, tt.fewest, tt.most)
		}
	}
}

func TestNewsEndThePausesOfTheOthersOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, until := time.Now(), time.Now().Add(time.Hour)
		at := &host{news: make(chan struct{})}
		pace := newPace()
		pace.news = at.news
		time.Sleep(20 * time.Second)
		time.AfterFunc(30*time.Millisecond, func() { at.tell(); at.tell() })
		if pace.wait(t.Context(), until, 1); time.Since(began) != 20*time.Second+30*time.Millisecond {
			t.Errorf("after %s", time.Since(began))
		}
		began = time.Now()
		if pace.wait(t.Context(), until, 1); time.Since(began) != firstPause {
			t.Errorf("and then after %s", time.Since(began))
		}
	})
}

func TestTheNamesAnAddressIsAskedForAreCountedUntilTheyAreProved(t *testing.T) {
	a := newAuthority(t)
	names := []string{"www.example.com", "example.com"}
	address, _ := serve(t, "127.0.0.1:0", with(a.issue(t, soon(), names...)))
	p := &Prober{}
	at := target{"tcp", address}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.Prove(ctx, renew.Endpoint{Address: address}, names, 1, want(a.issue(t, soon(), names...)), time.Hour)
	}()
	for end := time.Now().Add(patient); p.crowd(at, 0) != 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d names, want 2", p.crowd(at, 0))
		}
	}
	cancel()
	<-ended
	if n := p.crowd(at, 0); n != 0 || len(p.asked) != 0 {
		t.Errorf("in the end %d: %v", n, p.asked)
	}
}
