package stage

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
)

// Fault is one way in which a CA fails a request.
type Fault string

// The faults, as they happen to real clients.
const (
	ServerError Fault = "500"         // answered with an error, nothing done
	Unavailable Fault = "503"         // a front end's HTML page, nothing done
	RateLimited Fault = "429"         // with a Retry-After of a second or two
	Reset       Fault = "reset"       // the connection is cut before the CA acts
	LostAnswer  Fault = "lost-answer" // the CA acts, and the connection is cut before it answers
)

// flaky lists every fault: what Set means where none is named.
var flaky = []Fault{ServerError, Unavailable, RateLimited, Reset, LostAnswer}

// Faults stands in front of the CA and fails requests, at random by its seed.
// The zero share fails none.
type Faults struct {
	mu    sync.Mutex // guards what follows
	rng   *rand.Rand
	share float64
	kinds []Fault
	count map[Fault]int
	asked int
}

// NewFaults returns faults that happen to nobody yet.
func NewFaults(seed uint64) *Faults {
	return &Faults{rng: rand.New(rand.NewPCG(seed, 0xCA)), count: make(map[Fault]int)}
}

// Set makes a share of all requests, 0 to 1, fail in one of the given ways; in
// any way where none is given.
func (f *Faults) Set(share float64, kinds ...Fault) {
	if len(kinds) == 0 {
		kinds = flaky
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.share, f.kinds = share, kinds
}

// Count returns how many requests came, and how many failed in which way.
func (f *Faults) Count() (asked int, failed map[Fault]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked, maps.Clone(f.count)
}

// draw decides over one request: the fault, empty for none, and the seconds of
// its Retry-After.
func (f *Faults) draw() (Fault, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.share == 0 || f.rng.Float64() >= f.share {
		return "", 0
	}
	kind := f.kinds[f.rng.IntN(len(f.kinds))]
	f.count[kind]++
	return kind, 1 + f.rng.IntN(2)
}

// Wrap puts the faults in front of the CA's handler.
func (f *Faults) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind, wait := f.draw()
		switch kind {
		case ServerError:
			problem(w, http.StatusInternalServerError, "serverInternal", "a fault of the demonstration")
		case Unavailable:
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "<html><body><h1>503 Service Unavailable</h1></body></html>")
		case RateLimited:
			w.Header().Set("Retry-After", strconv.Itoa(wait))
			problem(w, http.StatusTooManyRequests, "rateLimited", "a fault of the demonstration")
		case Reset:
			panic(http.ErrAbortHandler) // HTTP/1.1: the connection is closed; HTTP/2: RST_STREAM
		case LostAnswer:
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// problem answers as RFC 8555, section 6.7 says.
func problem(w http.ResponseWriter, status int, kind, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":%q,"status":%d}`, kind, detail, status)
}
