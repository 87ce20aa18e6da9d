package issue

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-acme/lego/v4/acme"
)

// How long a directory (RFC 8555, section 7.1.1) is used before it is asked for
// again, and how long it still is where that fails.
// Meanwhile it is asked for so often.
const (
	directoryAge      = time.Hour
	directoryStaleAge = 24 * time.Hour
	directoryRetry    = 5 * time.Minute
	maxRedirects      = 3
)

// directory is the cached directory of one CA.
type directory struct {
	fetch chan struct{} // held while it is fetched

	mu       sync.Mutex // guards what follows
	kept     *listing
	at       time.Time
	failed   int       // fetches that failed
	failure  error     // of the last of them
	failedAt time.Time // likewise
}

// listing is a directory that was checked.
type listing struct {
	acme.Directory
	raw []byte
	ari string // the renewalInfo URL; empty where there is none we may ask

	ahead time.Duration // the CA's clock less ours when it was fetched
}

func (d *directory) init() { d.fetch = make(chan struct{}, 1) }

func (d *directory) cached(age time.Duration) *listing {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil || time.Since(d.at) > age {
		return nil
	}
	return d.kept
}

// forget makes the next get ask the CA.
func (d *directory) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = nil
}

// forgetIfNamed forgets a directory that names a URL which is gone: CAs move
// their endpoints, and this is how a client that runs for months finds out.
func (d *directory) forgetIfNamed(target string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil {
		return
	}
	l := d.kept
	named := slices.Contains([]string{l.NewNonceURL, l.NewAccountURL, l.NewOrderURL}, target)
	if named || (l.ari != "" && strings.HasPrefix(target, l.ari)) {
		d.kept = nil
	}
}

// get returns the directory, asking the CA where the cached one is too old. Who
// waited for a fetch of somebody else's shares its failure too: a CA that hangs
// costs all of them one timeout, not one each, one after the other.
func (d *directory) get(ctx context.Context, s *session) (*listing, error) {
	if l := d.current(); l != nil {
		return l, nil
	}
	before := d.failures()
	if err := lock(ctx, d.fetch); err != nil {
		return nil, err
	}
	defer func() { <-d.fetch }()
	if l := d.current(); l != nil { // somebody else was faster
		return l, nil
	}
	if err := d.failedSince(before); err != nil {
		return nil, err
	}
	l, err := retry(ctx, func() (*listing, error) { return s.fetchDirectory(ctx) })
	if err == nil {
		d.keep(l)
		return l, nil
	}
	err = fmt.Errorf("fetching the directory: %w", err)
	if ctx.Err() != nil {
		return nil, err // who left says nothing of the CA to those who wait
	}
	d.fail(err)
	if old := d.current(); old != nil {
		return old, nil
	}
	return nil, err
}

// current returns the directory to use without asking: one of this hour, or an
// older one where the CA has just been asked in vain.
func (d *directory) current() *listing {
	d.mu.Lock()
	age := directoryAge
	if time.Since(d.failedAt) < directoryRetry {
		age = directoryStaleAge
	}
	d.mu.Unlock()
	return d.cached(age)
}

func (d *directory) keep(l *listing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept, d.at = l, time.Now()
}

func (d *directory) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failed++
	d.failure, d.failedAt = err, time.Now()
}

func (d *directory) failures() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// failedSince returns how the last fetch failed, where one did after there had
// been that many failures.
func (d *directory) failedSince(before int) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == before {
		return nil
	}
	return d.failure
}

func (s *session) fetchDirectory(ctx context.Context) (*listing, error) {
	answer, body, err := s.fetch(ctx, s.issuer.Directory)
	if err != nil {
		return nil, err
	}
	if err := verdict(answer, body); err != nil {
		return nil, err
	}
	l := &listing{raw: bytes.Clone(body), ahead: clockAhead(answer.Header, time.Now())}
	if err := json.Unmarshal(body, &l.Directory); err != nil {
		return nil, &garbled{"the directory is none: " + quote(err.Error())}
	}
	for name, target := range map[string]string{
		"newNonce": l.NewNonceURL, "newAccount": l.NewAccountURL, "newOrder": l.NewOrderURL,
	} {
		if target == "" {
			return nil, &garbled{"the directory has no " + name}
		}
		if err := s.sameOrigin(target); err != nil {
			return nil, err
		}
	}
	// RFC 9773, section 3: without the URL the CA offers no renewal information.
	// One that leads elsewhere is as good as none: it is advice, not needed.
	if l.RenewalInfo != "" && s.sameOrigin(l.RenewalInfo) == nil {
		l.ari = strings.TrimSuffix(l.RenewalInfo, "/")
	}
	return l, nil
}

// fetch makes a GET, unsigned, and follows a few redirects within the origin.
func (s *session) fetch(ctx context.Context, target string) (*http.Response, []byte, error) {
	for hops := 0; ; {
		if err := s.sameOrigin(target); err != nil {
			return nil, nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		if err != nil {
			return nil, nil, &garbled{"building a request: " + quote(err.Error())}
		}
		req.Header.Set("User-Agent", s.userAgent)
		answer, body, err := s.exchange(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		location := answer.Header.Get("Location")
		if answer.StatusCode < 300 || answer.StatusCode > 399 || location == "" {
			return answer, body, nil
		}
		next, err := req.URL.Parse(location)
		if hops++; err != nil || hops > maxRedirects {
			return answer, body, nil // the caller takes the redirect for the answer
		}
		target = next.String()
	}
}
