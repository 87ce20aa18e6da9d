package issue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// withLimits gives the CA of a test limits.
func withLimits(l renew.Limits) func(*Options) {
	return func(o *Options) { o.Limits = func(string) renew.Limits { return l } }
}

func most(n int, said string) renew.Limit { return renew.Limit{Most: n, Within: time.Hour, Said: said} }

// overspent expects that nothing was asked of the CA, and a Failure that says
// which limit it was and until when.
func (b *bench) overspent(cert renew.Cert, held renew.Version, said string) {
	b.t.Helper()
	before := b.ca.Counts()
	f := b.refuse(cert, held)
	wait := time.Until(f.RetryAt)
	if f.Class != renew.Limited || wait < 50*time.Minute || wait > time.Hour || !strings.Contains(f.Error(), said) {
		b.t.Errorf("%s, again in %s: %v", f.Class, wait, f)
	}
	if after := b.ca.Counts(); after.NewOrders != before.NewOrders || after.Finalized != before.Finalized {
		b.t.Errorf("the CA was asked: %+v", after)
	}
}

func TestOrdersOfAnAccountAreCounted(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Orders: most(2, "two orders")}))
	held := b.issue(b.cert("a", "a.example.com"), renew.Version{})
	b.issue(b.cert("b", "b.example.com"), renew.Version{})
	b.overspent(b.cert("c", "c.example.com"), renew.Version{}, "two orders: 2 are spent")
	b.books = b.books.reboot()
	b.rebuild()
	b.overspent(b.cert("c", "c.example.com"), renew.Version{}, "two orders")
	b.issue(b.cert("a", "a.example.com"), held) // the same names again are no new order
}

func TestCertificatesOfADomainAreCounted(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Domain: most(2, "two of a domain")}))
	held := b.issue(b.cert("a", "a.example.com"), renew.Version{})
	b.issue(b.cert("b", "b.example.com", "other.example"), renew.Version{})
	b.overspent(b.cert("c", "c.example.com", "c.example"), renew.Version{}, "two of a domain, example.com: 2 are spent")
	b.issue(b.cert("d", "d.other.example"), renew.Version{})
	b.issue(b.cert("a", "a.example.com"), held)
}

func TestCertificatesOfASetAreCounted(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Set: most(2, "two of a set")}))
	cert := b.cert("a", "a.example.com", "b.example.com")
	held := b.issue(cert, renew.Version{})
	held = b.issue(cert, held)
	b.overspent(b.cert("another", "b.example.com", "a.example.com"), held, "two of a set")
	b.issue(b.cert("more", "a.example.com", "b.example.com", "c.example.com"), renew.Version{})
}

func TestARenewalInTheCAsWindowCountsNowhere(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Orders: most(1, "x"), Domain: most(1, "x"), Set: most(1, "x")}))
	cert := b.cert("a", "a.example.com")
	held := b.issue(cert, renew.Version{})
	for range 3 {
		n, err := b.client.Issue(context.Background(), cert, held, renew.ARIWindow)
		if err != nil {
			t.Fatal(err)
		}
		held = b.version("a", n)
	}
	b.overspent(cert, held, "x: 1 are spent") // at any other time it counts
}

// TestAFailedOrderSpendsNoCertificate: what CAs count as certificates are
// those that they issue.
func TestAFailedOrderSpendsNoCertificate(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Set: most(1, "one of a set"), Domain: most(1, "one of a domain")}))
	b.ca.Unresolve("a.example.com", true)
	for range 2 {
		if f := b.refuse(b.cert("a", "a.example.com"), renew.Version{}); f.Class == renew.Limited {
			t.Fatal(f)
		}
	}
	b.ca.Unresolve("a.example.com", false)
	b.issue(b.cert("a", "a.example.com"), renew.Version{})
}

func TestManyAtOnceStayWithinTheLimit(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Domain: most(5, "five of a domain")}))
	var running sync.WaitGroup
	var issued, held atomic.Int64
	for i := range 12 {
		running.Go(func() {
			_, err := b.client.Issue(context.Background(), b.cert(fmt.Sprint("c", i), fmt.Sprintf("n%d.example.com", i)), renew.Version{}, renew.Missing)
			switch f, _ := errors.AsType[*renew.Failure](err); {
			case err == nil:
				issued.Add(1)
			case f.Class == renew.Limited && f.RetryAt.After(time.Now()):
				held.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	running.Wait()
	if issued.Load() != 5 || held.Load() != 7 || b.ca.Counts().Finalized != 5 {
		t.Errorf("%d issued, %d held back, %+v", issued.Load(), held.Load(), b.ca.Counts())
	}
}

func TestANameThatFailsIsNotPutBeforeTheCAForEver(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.ca.Unresolve("dead.example.com", true)
	cert := b.cert("a", "dead.example.com", "good.example.com")
	for i := range 8 {
		if f := b.refuse(cert, renew.Version{}); f.Class == renew.Limited {
			t.Fatalf("try %d: %v", i+1, f)
		}
		b.books = b.books.reboot()
		b.rebuild()
	}
	f := b.refuse(cert, renew.Version{})
	if wait := time.Until(f.RetryAt); f.Class != renew.Limited || wait < 23*time.Hour || wait > 24*time.Hour ||
		!strings.Contains(f.Error(), "certvigil's own limit of failed validations of a name, dead.example.com: 8 are spent") ||
		!slices.Equal(f.Names, []string{"dead.example.com"}) {
		t.Errorf("the ninth: %s, again in %s: %v", f.Class, wait, f)
	}
	b.issue(b.cert("b", "good.example.com"), renew.Version{}) // what succeeds is not counted
}

func TestThePublishedLimitOfFailuresHoldsAsWell(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Failures: most(2, "two failures")}))
	b.ca.Unresolve("dead.example.com", true)
	cert := b.cert("a", "dead.example.com")
	b.refuse(cert, renew.Version{})
	b.refuse(cert, renew.Version{})
	f := b.refuse(cert, renew.Version{})
	if wait := time.Until(f.RetryAt); f.Class != renew.Limited || wait > time.Hour || !strings.Contains(f.Error(), "two failures, dead.example.com") {
		t.Errorf("%s, again in %s: %v", f.Class, wait, f)
	}
}

// TestNoLimitIsSpentThatCantBeNoted: a disk that is full stops what it can't
// count.
func TestNoLimitIsSpentThatCantBeNoted(t *testing.T) {
	b := start(t, acmetest.Options{}, withLimits(renew.Limits{Orders: most(5, "x")}))
	b.issue(b.cert("a", "a.example.com"), renew.Version{})
	b.books.cutAt = "Ledger"
	before := b.ca.Orders()
	if f := b.refuse(b.cert("b", "b.example.com"), renew.Version{}); f.Class != renew.Local {
		t.Errorf("%s: %v", f.Class, f)
	}
	if b.ca.Orders() != before {
		t.Error("an order was placed that nobody counts")
	}
}
