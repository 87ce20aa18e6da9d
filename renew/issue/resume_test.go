package issue

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/store"
)

func TestACrashAtAnyStepCostsAtMostOneOrder(t *testing.T) {
	for _, step := range []string{
		"SaveAccount(key)", "SaveAccount(url)", "BeginOrder", "SetOrderURL", "Ledger", "Commit", "EndOrder",
	} {
		for _, when := range []string{"before", "after"} {
			if step == "EndOrder" && when == "after" {
				continue // nothing is in flight then
			}
			t.Run(when+" "+step, func(t *testing.T) {
				b := start(t, acmetest.Options{})
				if when == "before" {
					b.books.cutAt = step
				} else {
					b.books.cutAfter = step
				}
				cert := b.cert("www", "a.example.com", "b.example.com")
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				_, err := b.client.Issue(ctx, cert, renew.Version{}, renew.Missing)
				if err == nil && step != "EndOrder" { // a version is there then
					t.Fatal("power never failed")
				}
				b.books = b.books.reboot()
				b.rebuild()
				b.issue(cert, renew.Version{})
				// The order was lost between the CA and the books only where its
				// URL was not written down.
				most := 1
				if step == "SetOrderURL" && when == "before" {
					most = 2
				}
				c := b.ca.Counts()
				if c.NewOrders > most || c.Accounts != 1 {
					t.Errorf("%d orders and %d accounts", c.NewOrders, c.Accounts)
				}
			})
		}
	}
}

// The first attempt is ended when the client makes a request under a path, as a
// crash would end it, and then another client goes on.
func TestAnOrderIsGoneOnWithFromEachState(t *testing.T) {
	for name, at := range map[string]struct {
		path string
		lost bool // the CA acts, and only its answer is lost
		most int  // orders in all
	}{
		"authorizations unread": {atAuthz, false, 1},
		"challenge unsent":      {atChallenge, false, 1},
		"challenge sent":        {atChallenge, true, 2}, // the CA may look while nobody answers
		"finalize unsent":       {atFinalize, false, 1},
		"finalize sent":         {atFinalize, true, 1},
		"not downloaded":        {atCert, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			ctx, crash := context.WithCancel(context.Background())
			defer crash()
			f.set(first(1, at.path, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if at.lost {
						next.ServeHTTP(&nowhere{http.Header{}}, r)
					}
					crash()
					panic(http.ErrAbortHandler)
				})
			}))
			cert := b.cert("www", "a.example.com")
			if _, err := b.client.Issue(ctx, cert, renew.Version{}, renew.Missing); err == nil {
				t.Fatal("the attempt was not stopped")
			}
			before, _, _ := b.books.Order("www")
			b.rebuild()
			v := b.issue(cert, renew.Version{})
			n := b.ca.Orders()
			if n > at.most {
				t.Errorf("%d orders were placed", n)
			}
			bundle, _ := b.books.Read("www", v.N)
			if n == 1 && string(bundle.Key) != string(before.Key) {
				t.Error("it was finished with another key than it was begun with")
			}
		})
	}
}

// nowhere takes an answer that never arrives.
type nowhere struct{ header http.Header }

func (n *nowhere) Header() http.Header         { return n.header }
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

func TestAnOrderThatDoesNotFitIsDropped(t *testing.T) {
	for name, change := range map[string]func(*store.Order){
		"other names":    func(o *store.Order) { o.Names = []string{"other.example.com"} },
		"other key type": func(o *store.Order) { o.KeyType = renew.EC384 },
		"other account":  func(o *store.Order) { o.Account += "x" },
		"other issuer":   func(o *store.Order) { o.Issuer = "other" },
		"other place":    func(o *store.Order) { o.Directory = "https://other.example/dir" },
		"other profile":  func(o *store.Order) { o.Profile = "short" },
		"no key":         func(o *store.Order) { o.Key = nil },
		"no request":     func(o *store.Order) { o.CSR = nil },
		"foreign URL":    func(o *store.Order) { o.URL = "https://127.0.0.1:1/my-order/x" },
		"gone":           func(o *store.Order) { o.URL += "x" },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, acmetest.Options{})
			cert := b.cert("www", "a.example.com")
			b.books.cutAfter = "SetOrderURL"
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_, _ = b.client.Issue(ctx, cert, renew.Version{}, renew.Missing)
			b.books = b.books.reboot()
			o, ok, _ := b.books.Order("www")
			if !ok || o.URL == "" {
				t.Fatal("there is no order in flight to begin with")
			}
			change(&o)
			_ = b.books.BeginOrder("www", o)
			b.rebuild()
			b.issue(cert, renew.Version{})
			if n := b.ca.Orders(); n != 2 {
				t.Errorf("%d orders were placed in all", n)
			}
		})
	}
}

func TestAnInvalidOrderInFlightIsReplacedInTheSameAttempt(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	b.books.cutAfter = "SetOrderURL"
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, _ = b.client.Issue(ctx, cert, renew.Version{}, renew.Missing)
	b.books = b.books.reboot()
	b.rebuild()
	f.set(first(1, atOrder, rewriting(atOrder, func(body map[string]any, _ http.Header) { body["status"] = "invalid" })))
	b.issue(cert, renew.Version{})
	if n := b.ca.Orders(); n != 2 {
		t.Errorf("%d orders were placed in all", n)
	}
}

// A firewall, a captive portal or a proxy on its way down that answers the last
// step of an order says nothing of the order.
func TestAnAnswerThatIsNotTheCAsEndsNoOrder(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"403 page": answering(403, "text/html", "<html>blocked"),
		"404 page": answering(404, "text/html", "<html>no such site"),
		"redirect": answering(302, "text/html", "", "Location", "https://portal.example/"),
	} {
		t.Run(name, func(t *testing.T) {
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware})
			f.set(instead(atFinalize, h))
			cert := b.cert("www", "a.example.com")
			if got := b.refuse(cert, renew.Version{}); got.Class != renew.Transient {
				t.Errorf("%s: %v", got.Class, got)
			}
			f.set(nil)
			b.rebuild()
			b.issue(cert, renew.Version{})
			if n := b.ca.Orders(); n != 1 {
				t.Errorf("%d orders were placed in all", n)
			}
		})
	}
}

// Where finalize meets nothing that makes sense, and the order is as ready as
// before, the schedule sees to the next try, and not a loop of ten minutes.
func TestAFinalizeThatNobodyHearsIsLeftToTheSchedule(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"cut":                func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"a page":             answering(200, "text/html", "<html>log in"),
		"nothing":            answering(204, "", ""),
		"a yes that is none": answering(200, "application/json", "{}"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := new(faults)
			b := start(t, acmetest.Options{Middleware: f.middleware}, func(o *Options) { o.OrderTimeout = 5 * time.Second })
			var tries atomic.Int64
			f.set(instead(atFinalize, func(w http.ResponseWriter, r *http.Request) { tries.Add(1); h(w, r) }))
			cert := b.cert("www", "a.example.com")
			got := b.refuse(cert, renew.Version{})
			if got.Class != renew.Transient || errors.Is(got, context.DeadlineExceeded) || !strings.Contains(got.Error(), "finaliz") {
				t.Errorf("%s: %v", got.Class, got)
			}
			if n := tries.Load(); n > 4 {
				t.Errorf("it was tried %d times", n)
			}
			f.set(nil)
			b.issue(cert, renew.Version{})
			if n := b.ca.Orders(); n != 1 {
				t.Errorf("%d orders were placed in all", n)
			}
		})
	}
}

// A CA's objection to a challenge may come of an earlier answer that was lost, so
// its authorization is looked at first. It isn't when nothing comes of that.
func TestAnObjectionToAChallengeIsShown(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware}, func(o *Options) { o.OrderTimeout = 10 * time.Second })
	f.set(instead(atChallenge, acmeProblem(400, malformed, "no such challenge")))
	cert := b.cert("www", "a.example.com")
	got := b.refuse(cert, renew.Version{})
	if got.Class != renew.Refused || !strings.Contains(got.Error(), "no such challenge") {
		t.Errorf("%s: %v", got.Class, got)
	}
	f.set(nil)
	b.issue(cert, renew.Version{})
	if n := b.ca.Orders(); n != 1 {
		t.Errorf("%d orders were placed in all", n)
	}
}

// The note that an order is over can be lost after its certificate was
// committed. Months later it must not bring the old certificate back.
func TestAFinishedOrderIsNotGoneOnWith(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	b.books.cutAt = "EndOrder"
	held := b.issue(cert, renew.Version{})
	b.books = b.books.reboot()
	b.rebuild()
	if _, inFlight, _ := b.books.Order("www"); !inFlight {
		t.Fatal("the order was ended")
	}
	if v := b.issue(cert, held); v.Serial == held.Serial {
		t.Error("the certificate that is held came once more")
	}
}

func TestALostAccountIsFoundByItsKey(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	for id, a := range b.books.accounts {
		a.URL, a.Contact = "", nil
		b.books.accounts[id] = a
	}
	b.rebuild()
	if v := b.issue(cert, held); v.Account != held.Account {
		t.Errorf("account %s became %s", held.Account, v.Account)
	}
	if n := b.ca.Counts().Accounts; n != 1 {
		t.Errorf("%d accounts were created", n)
	}
}

func TestAnAccountThatTheCAForgotIsRegisteredAgain(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	var key string
	for id, a := range b.books.accounts {
		key = string(a.Key)
		a.URL += "0000" // one that there is not
		b.books.accounts[id] = a
	}
	v := b.issue(cert, held)
	if v.Account != held.Account {
		t.Errorf("account %s became %s", held.Account, v.Account)
	}
	for _, a := range b.books.accounts {
		if string(a.Key) != key {
			t.Error("the account key changed")
		}
	}
}

func TestContactsFollowTheConfiguration(t *testing.T) {
	f := new(faults)
	b := start(t, acmetest.Options{Middleware: f.middleware})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	b.issuer.Contact = []string{"new@example.com"}
	b.rebuild()
	f.set(instead("/my-account/", acmeProblem(400, "invalidContact", "no")))
	b.issue(cert, held) // contacts never stand in the way
	f.set(nil)
	b.issue(cert, held)
	for _, a := range b.books.accounts {
		if len(a.Contact) != 1 || a.Contact[0] != "new@example.com" {
			t.Errorf("noted: %v", a.Contact)
		}
	}
}
