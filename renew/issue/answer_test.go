package issue

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/store"
)

// The answer to an order is checked as a whole before it becomes a version, and
// one that is refused is not asked for again and again.
func TestACertificateThatWasNotOrderedIsRefused(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	b.issue(b.cert("other", "b.example.com"), renew.Version{})
	other, _ := b.books.Read("other", 1)
	serving := func(chain []byte) func(http.Handler) http.Handler {
		return instead(atCert, answering(200, "application/pem-certificate-chain", string(chain)))
	}
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"another's": serving(other.Fullchain()),
		"chain cut": func(next http.Handler) http.Handler {
			return instead(atCert, func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				leaf, _, _ := strings.Cut(rec.Body.String(), "-----END")
				_, _ = w.Write([]byte(leaf))
			})(next)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f.set(wrap)
			before := b.ca.Orders()
			cert := b.cert(strings.ReplaceAll(name, "'", ""), "a.example.com")
			got := b.refuse(cert, renew.Version{})
			if got.Class != renew.Refused {
				t.Errorf("%s: %v", got.Class, got)
			}
			if n := b.ca.Orders() - before; n != 1 {
				t.Errorf("%d orders were placed", n)
			}
			if _, inFlight, _ := b.books.Order(cert.Name); inFlight {
				t.Error("the order stays in flight")
			}
			f.set(nil)
			b.issue(cert, renew.Version{})
		})
	}
}

func TestAnUnknownRootIsShownAndFromAPublicCARefused(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.issuer.TrustRoots = b.ca.TLSRootPEM() // not that of its certificates
	b.rebuild()
	cert := b.cert("www", "a.example.com")
	if v := b.issue(cert, renew.Version{}); !v.Untrusted {
		t.Error("the root passes for trusted")
	}
	b.issuer.WellKnown = "letsencrypt"
	b.rebuild()
	if f := b.refuse(cert, renew.Version{}); f.Class != renew.Refused || !strings.Contains(f.Error(), "untrusted-root") {
		t.Errorf("%s: %v", f.Class, f)
	}
}

// A third of all requests fails, in any way, the ones included that only lose
// their answer. What was reached is kept from attempt to attempt.
func TestAFlakyCAIsWornDown(t *testing.T) {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(1, 2))
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	f.set(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			roll := rng.IntN(12)
			mu.Unlock()
			switch roll {
			case 0:
				acmeProblem(500, serverInternal, "x")(w, r)
			case 1:
				answering(502, "text/html", "<html>")(w, r)
			case 2:
				panic(http.ErrAbortHandler)
			case 3:
				next.ServeHTTP(&nowhere{http.Header{}}, r)
				panic(http.ErrAbortHandler)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	cert := b.cert("www", "a.example.com", "b.example.com")
	attempts := 1
	for ; ; attempts++ {
		_, err := b.client.Issue(t.Context(), cert, renew.Version{}, renew.Missing)
		if err == nil {
			break
		}
		if renew.ClassOf(err) != renew.Transient || attempts == 30 {
			t.Fatalf("attempt %d: %v", attempts, err)
		}
	}
	b.version("www", 1)
	if c := b.ca.Counts(); c.Accounts != 1 {
		t.Errorf("%d accounts", c.Accounts)
	}
	t.Logf("%d attempts, %+v", attempts, b.ca.Counts())
}

// fragile are books with a defect.
type fragile struct{ *shelf }

func (fragile) BeginOrder(string, store.Order) error { panic("a defect\x1b[31m") }

func TestAPanicIsAFailureOfOneCertificate(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.opts.Books = fragile{b.books}
	client, err := New(b.opts)
	if err != nil {
		t.Fatal(err)
	}
	b.client = client
	f := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if f.Class != renew.Bug || strings.Contains(f.Error(), "\x1b") || !strings.Contains(f.Error(), "a defect") {
		t.Errorf("%s: %v", f.Class, f)
	}
}

func FuzzProblem(f *testing.F) {
	f.Add(429, "120", `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"x","subproblems":[{"identifier":{"value":"a"},"detail":"b"}]}`)
	f.Add(500, "", "null")
	f.Add(302, "-1", "\x1b[2J")
	f.Fuzz(func(t *testing.T, status int, retry, body string) {
		header := make(http.Header)
		header.Set("Retry-After", retry)
		header.Set("Location", body)
		p := newProblem(&http.Response{StatusCode: status, Header: header}, []byte(body))
		shown := clean(p.Error())
		if len(shown) > maxText || strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Errorf("%q", shown)
		}
		if p.Limited && p.RetryAt.IsZero() {
			t.Error("limited until never")
		}
		p.class()
	})
}
