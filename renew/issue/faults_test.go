package issue

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
)

// faults is middleware that a test can exchange while the CA runs.
type faults struct {
	mu   sync.Mutex
	wrap func(http.Handler) http.Handler
}

func (f *faults) set(wrap func(http.Handler) http.Handler) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wrap = wrap
}

func (f *faults) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		wrap := f.wrap
		f.mu.Unlock()
		if wrap != nil {
			wrap(next).ServeHTTP(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Pebble's paths.
const (
	atDirectory  = "/dir"
	atNonce      = "/nonce-plz"
	atNewAccount = "/sign-me-up"
	atNewOrder   = "/order-plz"
	atOrder      = "/my-order/"
	atFinalize   = "/finalize-order/"
	atAuthz      = "/authZ/"
	atChallenge  = "/chalZ/"
	atCert       = "/certZ/"
	atARI        = "/draft-ietf-acme-ari-03/renewalInfo/"
)

// instead answers requests under path by h.
func instead(path string, h http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, path) {
				h(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// once lets wrap act on the first n requests under path only.
func first(n int, path string, wrap func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	var mu sync.Mutex
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			act := strings.HasPrefix(r.URL.Path, path) && n > 0
			if act {
				n--
			}
			mu.Unlock()
			if act {
				wrap(next).ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// answering answers always the same.
func answering(status int, contentType, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// acmeProblem answers with a problem document.
func acmeProblem(status int, kind, detail string, header ...string) http.HandlerFunc {
	body, _ := json.Marshal(map[string]any{"type": errorPrefix + kind, "detail": detail, "status": status})
	return answering(status, "application/problem+json", string(body), header...)
}

// rewriting lets the CA answer and then alters the JSON of the answer.
func rewriting(path string, edit func(body map[string]any, header http.Header)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasPrefix(r.URL.Path, path) {
				next.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			body := make(map[string]any)
			text := rec.Body.Bytes()
			header := rec.Header()
			if json.Unmarshal(text, &body) == nil && rec.Code < 400 {
				edit(body, header)
				text, _ = json.Marshal(body)
				header.Del("Content-Length")
			}
			for key, values := range header {
				w.Header()[key] = values
			}
			w.WriteHeader(rec.Code)
			_, _ = w.Write(text)
		})
	}
}
