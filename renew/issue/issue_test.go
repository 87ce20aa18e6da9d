package issue

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

func TestCertificatesOfEveryShapeAreIssued(t *testing.T) {
	b := start(t, acmetest.Options{})
	for name, names := range map[string][]string{
		"one":  {"a.example.com"},
		"many": {"a.example.com", "b.example.com", "c.example.com", "d.example.com"},
		"ip":   {"127.0.0.1"},
		"both": {"e.example.com", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			v := b.issue(b.cert(name, names...), renew.Version{})
			if !slices.Equal(v.Names, sorted(names...)) {
				t.Errorf("it is for %v, not %v", v.Names, names)
			}
			if v.Directory != b.issuer.Directory || v.Account == "" || v.Untrusted {
				t.Errorf("it was noted as %+v", v)
			}
			if _, inFlight, _ := b.books.Order(name); inFlight {
				t.Error("the order is still in flight")
			}
		})
	}
}

func TestEveryKeyTypeIsIssued(t *testing.T) {
	b := start(t, acmetest.Options{})
	for _, kind := range []renew.KeyType{renew.EC256, renew.EC384, renew.RSA2048} {
		cert := b.cert(string(kind), "a.example.com")
		cert.KeyType = kind
		if v := b.issue(cert, renew.Version{}); v.KeyType != kind {
			t.Errorf("asked for %s, got %s", kind, v.KeyType)
		}
	}
}

func TestAKeyIsReusedOnlyWhereAskedAndOfTheRightType(t *testing.T) {
	b := start(t, acmetest.Options{})
	cert := b.cert("www", "a.example.com")
	held := b.issue(cert, renew.Version{})
	key := func(v renew.Version) string {
		bundle, err := b.books.Read("www", v.N)
		if err != nil {
			t.Fatal(err)
		}
		return string(bundle.Key)
	}
	cert.ReuseKey = true
	same := b.issue(cert, held)
	if key(same) != key(held) {
		t.Error("the key was not reused")
	}
	n, err := b.client.Issue(t.Context(), cert, same, renew.IsRevoked)
	if err != nil {
		t.Fatal(err)
	}
	if key(b.version("www", n)) == key(same) {
		t.Error("the key of a revoked certificate was reused")
	}
	cert.KeyType = renew.EC384
	if other := b.issue(cert, same); other.KeyType != renew.EC384 {
		t.Errorf("the key type stayed %s", other.KeyType)
	}
	cert.KeyType, cert.ReuseKey = renew.EC256, false
	if fresh := b.issue(cert, same); key(fresh) == key(same) {
		t.Error("the key was reused unasked")
	}
}

func TestAWarmIssuanceTakesAtMostEightRequests(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.issue(b.cert("warm", "warm.example.com"), renew.Version{})
	var needed []int
	for i := range 7 {
		before := b.ca.Counts().Requests
		b.issue(b.cert("www", fmt.Sprintf("n%d.example.com", i)), renew.Version{})
		needed = append(needed, b.ca.Counts().Requests-before)
	}
	slices.Sort(needed)
	// One busy moment of the machine costs a poll more; it can't be the rule.
	if needed[len(needed)/2] > 8 {
		t.Errorf("requests for each: %v", needed)
	}
}

func TestDirectoryAndNoncesAreFetchedOnce(t *testing.T) {
	var directories, heads atomic.Int64
	b := start(t, acmetest.Options{Middleware: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case atDirectory:
				directories.Add(1)
			case atNonce:
				heads.Add(1)
			}
			next.ServeHTTP(w, r)
		})
	}})
	for i := range 5 {
		b.issue(b.cert("www", fmt.Sprintf("n%d.example.com", i)), renew.Version{})
	}
	if directories.Load() != 1 || heads.Load() != 1 {
		t.Errorf("%d directories and %d nonces were fetched for 5 certificates", directories.Load(), heads.Load())
	}
}

func TestAProfileIsCheckedBeforeAnOrder(t *testing.T) {
	b := start(t, acmetest.Options{Profiles: map[string]acmetest.Profile{
		"short": {Description: "a minute", Validity: time.Minute},
		"long":  {Description: "a month", Validity: 30 * 24 * time.Hour},
	}})
	b.issuer.Profile = "tlsserver"
	f := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if f.Class != renew.Config || !strings.Contains(f.Error(), "long, short") {
		t.Errorf("%s: %v", f.Class, f)
	}
	if b.ca.Orders() != 0 {
		t.Error("an order was placed all the same")
	}
	b.issuer.Profile = "short"
	if v := b.issue(b.cert("www", "a.example.com"), renew.Version{}); v.Lifetime() > 2*time.Minute || v.Profile != "short" {
		t.Errorf("it lasts %s, and was noted with profile %q", v.Lifetime(), v.Profile)
	}
}

func TestTermsMustBeAgreedTo(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.issuer.AgreeTerms = false
	b.rebuild()
	f := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if f.Class != renew.Config || !strings.Contains(f.Error(), "agree_terms") {
		t.Errorf("%s: %v", f.Class, f)
	}
}

func TestExternalAccounts(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	b := start(t, acmetest.Options{EAB: map[string]string{"kid-1": key}})
	cert := b.cert("www", "a.example.com")
	if f := b.refuse(cert, renew.Version{}); f.Class != renew.Config || !strings.Contains(f.Error(), "eab") {
		t.Errorf("without: %s: %v", f.Class, f)
	}
	b.issuer.EAB = config.EAB{KeyID: "kid-1", HMACKey: config.NewSecret("not base64url!")}
	b.rebuild()
	if f := b.refuse(cert, renew.Version{}); f.Class != renew.Config || strings.Contains(f.Error(), "not base64url!") {
		t.Errorf("a broken key: %s: %v", f.Class, f)
	}
	b.issuer.EAB = config.EAB{KeyID: "kid-1", HMACKey: config.NewSecret("c29tZXRoaW5nLWVsc2Utc29tZXRoaW5nLWVsc2Utc29tZXRoaW5nLWVsc2U")}
	b.rebuild()
	if f := b.refuse(cert, renew.Version{}); f.Class == renew.Transient || strings.Contains(f.Error(), "c29tZXRoaW5n") {
		t.Errorf("another key: %s: %v", f.Class, f)
	}
	b.issuer.EAB.HMACKey = config.NewSecret("c2hvcnQ")
	b.rebuild()
	if f := b.refuse(cert, renew.Version{}); f.Class != renew.Config {
		t.Errorf("a key that was cut off: %s: %v", f.Class, f)
	}
	b.issuer.EAB.HMACKey = config.NewSecret(key)
	b.rebuild()
	b.issue(cert, renew.Version{})
}

func TestManyAtOnceShareOneAccount(t *testing.T) {
	b := start(t, acmetest.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	const n = 64
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		name := fmt.Sprintf("c%d", i)
		cert := b.cert(name, name+".example.com")
		all.Go(func() { _, errs[i] = b.client.Issue(ctx, cert, renew.Version{}, renew.Missing) })
	}
	all.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("certificate %d: %v", i, err)
		}
	}
	if c := b.ca.Counts(); c.Accounts != 1 || c.NewOrders != n {
		t.Errorf("%d accounts and %d orders for %d certificates", c.Accounts, c.NewOrders, n)
	}
}

func TestNineBadNoncesOfTenAreGotAlongWith(t *testing.T) {
	for _, percent := range []int{50, 90} {
		b := start(t, acmetest.Options{NonceReject: percent})
		began := time.Now()
		b.issue(b.cert("www", "a.example.com"), renew.Version{})
		t.Logf("%d %% rejected: %s, %d requests", percent, time.Since(began), b.ca.Counts().Requests)
	}
}

func TestACAThatRejectsEveryNonceIsGivenUp(t *testing.T) {
	t.Parallel()
	b := start(t, acmetest.Options{NonceReject: 100})
	if f := b.refuse(b.cert("www", "a.example.com"), renew.Version{}); f.Class != renew.Transient {
		t.Errorf("%s: %v", f.Class, f)
	}
	if n := b.ca.Counts().Requests; n > 2*maxNonceTries {
		t.Errorf("after %d requests", n)
	}
}

// A reload closes the client that an order may just be starting with.
func TestAClosedClientStillFinishesItsOrders(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.client.Close()
	b.issue(b.cert("www", "a.example.com"), renew.Version{})
	b.client.Close()
	b.issue(b.cert("www", "b.example.com"), renew.Version{})
}

func TestWhatIsNotConfiguredIsAConfigFailure(t *testing.T) {
	b := start(t, acmetest.Options{})
	for name, change := range map[string]func(*renew.Cert){
		"issuer":     func(c *renew.Cert) { c.Issuers[0].Name = "other" },
		"no issuers": func(c *renew.Cert) { c.Issuers = nil },
		"solver":     func(c *renew.Cert) { c.Solver = "http.other" },
		"key type":   func(c *renew.Cert) { c.KeyType = "dsa" },
		"wildcard":   func(c *renew.Cert) { c.Names = []string{"*.example.com"} },
	} {
		t.Run(name, func(t *testing.T) {
			cert := b.cert(strings.ReplaceAll(name, " ", "-"), "a.example.com")
			change(&cert)
			if f := b.refuse(cert, renew.Version{}); f.Class != renew.Config {
				t.Errorf("%s: %v", f.Class, f)
			}
		})
	}
}

func TestADeadNameIsNamedAndTheOthersAreNot(t *testing.T) {
	b := start(t, acmetest.Options{})
	b.ca.Unresolve("dead.example.com", true)
	cert := b.cert("www", "a.example.com", "dead.example.com")
	f := b.refuse(cert, renew.Version{})
	if !strings.Contains(f.Error(), "dead.example.com: the CA could not validate http-01") || strings.Contains(f.Error(), "a.example.com: the CA") {
		t.Errorf("%s: %v", f.Class, f)
	}
	if b.ca.Orders() != 1 {
		t.Errorf("%d orders were placed for one attempt", b.ca.Orders())
	}
	if _, inFlight, _ := b.books.Order("www"); inFlight {
		t.Error("the dead order stays in flight")
	}
	b.ca.Unresolve("dead.example.com", false)
	b.issue(cert, renew.Version{})
}
