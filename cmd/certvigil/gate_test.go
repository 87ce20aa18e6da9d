package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// The kinds of request that a client of an ACME server makes.
const (
	toDirectory = "directory"
	toNonce     = "nonce"
	toAccount   = "account"
	toOrder     = "order" // newOrder
	toLook      = "look"  // at an order
	toAuthz     = "authorization"
	toChallenge = "challenge"
	toFinalize  = "finalize"
	toDownload  = "download"
	toAdvice    = "advice"
)

// kinds by the path that Pebble has for them.
var kinds = []struct{ prefix, kind string }{
	{"/dir", toDirectory}, {"/nonce-plz", toNonce}, {"/sign-me-up", toAccount}, {"/order-plz", toOrder},
	{"/my-order/", toLook}, {"/authZ/", toAuthz}, {"/chalZ/", toChallenge}, {"/finalize-order/", toFinalize},
	{"/certZ/", toDownload}, {"/draft-ietf-acme-ari-03/", toAdvice},
}

func kindOf(r *http.Request) string {
	for _, k := range kinds {
		if strings.HasPrefix(r.URL.Path, k.prefix) {
			return k.kind
		}
	}
	return r.URL.Path
}

// behaviour answers a request in place of the CA, or lets it pass to next.
type behaviour func(kind string, w http.ResponseWriter, r *http.Request, next http.Handler)

// gate stands in front of the CA: it counts, and behaves as it is told.
type gate struct {
	mu     sync.Mutex // guards what follows
	behave behaviour
	seen   map[string]int
}

func (g *gate) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := kindOf(r)
		g.mu.Lock()
		if g.seen == nil {
			g.seen = map[string]int{}
		}
		g.seen[kind]++
		behave := g.behave
		g.mu.Unlock()
		if behave == nil {
			next.ServeHTTP(w, r)
			return
		}
		behave(kind, w, r, next)
	})
}

// set makes the CA behave so from now on; nil is the CA itself.
func (g *gate) set(b behaviour) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.behave = b
}

// count is how many requests of a kind came, whatever they were answered.
func (g *gate) count(kind string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.seen[kind]
}

// always answers every request but those of the directory and of nonces with it.
func always(answer http.HandlerFunc) behaviour {
	return func(_ string, w http.ResponseWriter, r *http.Request, _ http.Handler) { answer(w, r) }
}

// on lets an answer stand for one kind of request alone.
func on(kind string, answer func(w http.ResponseWriter, r *http.Request, next http.Handler)) behaviour {
	return func(k string, w http.ResponseWriter, r *http.Request, next http.Handler) {
		if k != kind {
			next.ServeHTTP(w, r)
			return
		}
		answer(w, r, next)
	}
}

// stalled answers nothing, for as long as the client waits.
func stalled(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// lost lets the CA act, and nobody hear of it.
func lost(r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
}

// onceOn does something before the first request of a kind is answered.
func onceOn(kind string, do func()) behaviour {
	var once sync.Once
	return on(kind, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		once.Do(do)
		next.ServeHTTP(w, r)
	})
}
