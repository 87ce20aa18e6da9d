package issue

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// dated lets the CA's clock differ from ours.
func dated(by time.Duration) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			for key, values := range rec.Header() {
				w.Header()[key] = values
			}
			w.Header().Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	}
}

func TestNothingIsOrderedWhileTheClockIsWrong(t *testing.T) {
	for name, by := range map[string]time.Duration{"40 days ahead": -40 * 24 * time.Hour, "six minutes behind": 6 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			var fault faults
			b := start(t, acmetest.Options{Middleware: fault.middleware})
			fault.set(dated(by))
			f := b.refuse(b.cert("www", "www.example.com"), renew.Version{})
			if f.Class != renew.Local || !strings.Contains(f.Error(), "clock") {
				t.Errorf("got %s: %v", f.Class, f)
			}
			if n := b.ca.Orders(); n != 0 {
				t.Errorf("%d orders were placed", n)
			}
			// It is found out at once, not with the directory's next hour.
			fault.set(nil)
			b.issue(b.cert("www", "www.example.com"), renew.Version{})
		})
	}
}

func TestAClockThatIsAlmostRightDoes(t *testing.T) {
	var fault faults
	b := start(t, acmetest.Options{Middleware: fault.middleware})
	fault.set(dated(4 * time.Minute))
	b.issue(b.cert("www", "www.example.com"), renew.Version{})
}

// TestTheClockIsAskedForAgainAfterASleep: while a machine sleeps the monotonic
// clock stands still, so that afterwards the wall clock seems to have jumped.
func TestTheClockIsAskedForAgainAfterASleep(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.issue(b.cert("www", "www.example.com"), renew.Version{})
	c := &b.client.sessions["test"].clock
	c.mu.Lock()
	c.said = c.said.Add(-10 * 24 * time.Hour) // as if it had been heard ten days ago
	c.mu.Unlock()
	if ahead := c.ahead(); ahead < 9*24*time.Hour {
		t.Fatalf("the sleep is not simulated: %s", ahead)
	}
	b.issue(b.cert("www", "www.example.com"), renew.Version{})
}

func TestADateThatACacheKeptSaysNothing(t *testing.T) {
	var c clock
	c.note(http.Header{"Date": {"Mon, 02 Jan 2006 15:04:05 GMT"}, "Age": {"3600"}})
	if c.ahead() != 0 {
		t.Error("a cached Date counts")
	}
	c.note(http.Header{"Date": {"yesterday"}})
	if c.ahead() != 0 {
		t.Error("garbage counts")
	}
}
