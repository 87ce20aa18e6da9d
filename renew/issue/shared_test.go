package issue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// counting counts the requests under path, and tells of each.
func counting(path string, n *atomic.Int32, came chan<- struct{}, h http.HandlerFunc) func(http.Handler) http.Handler {
	return instead(path, func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		select {
		case came <- struct{}{}:
		default:
		}
		h(w, r)
	})
}

// Ten certificates that want the directory of a CA that hangs do not wait ten
// timeouts.
func TestThoseWhoWaitedShareAFailedFetch(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware}, func(o *Options) { o.RequestTimeout = 2 * time.Second })
	var asked atomic.Int32
	f.set(counting(atDirectory, &asked, nil, hang))
	var all sync.WaitGroup
	began := time.Now()
	for i := range 10 {
		all.Go(func() {
			_, err := b.client.Issue(t.Context(), b.cert(fmt.Sprint("c", i), "a.example.com"), renew.Version{}, renew.Missing)
			if renew.ClassOf(err) != renew.Transient || !strings.Contains(err.Error(), "fetching the directory") {
				t.Errorf("%v", err)
			}
		})
	}
	all.Wait()
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("took %s", took)
	}
	if n := asked.Load(); n > 3 { // one, and what a busy machine started late
		t.Errorf("asked %d times", n)
	}
	f.set(nil)
	b.issue(b.cert("www", "a.example.com"), renew.Version{}) // who comes later asks anew
}

// Who leaves while it fetches says nothing of the CA to those who wait.
func TestALeaversFetchIsNotSharedWithThoseWhoStay(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	s := b.client.sessions["test"]
	var asked atomic.Int32
	came := make(chan struct{}, 1)
	f.set(first(1, atDirectory, counting(atDirectory, &asked, came, hang)))
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	gone, stayed := make(chan error, 1), make(chan error, 1)
	go func() { _, err := s.directory.get(ctx, s); gone <- err }()
	<-came
	before := s.directory.failures()
	go func() { _, err := s.directory.get(t.Context(), s); stayed <- err }()
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := s.directory.failedSince(before); err != nil {
		t.Errorf("shared: %v", err)
	}
	if err := <-stayed; err != nil {
		t.Errorf("%v", err)
	}
}

// An old directory is good for a day: it is not asked for again, a timeout
// long, before each request.
func TestADirectoryThatFailsIsNotAskedForBeforeEveryRequest(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware}, func(o *Options) { o.RequestTimeout = time.Second })
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	d := &b.client.sessions["test"].directory
	d.mu.Lock()
	d.at = d.at.Add(-2 * directoryAge)
	d.mu.Unlock()
	var asked atomic.Int32
	f.set(counting(atDirectory, &asked, nil, hang))
	b.issue(cert, held)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
