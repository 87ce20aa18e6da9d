package issue

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
)

// freeAddress returns a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func request(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestTheResponderAnswersForItsTokensAlone(t *testing.T) {
	r := NewResponder(nil, nil)
	defer r.Close()
	address := freeAddress(t)
	withdraw, err := r.present(config.Solver{Type: "http", Name: "main", Listen: []string{address}}, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + address
	resp, body := request(t, "GET", base+challengePath+"token-1")
	if resp.StatusCode != 200 || body != "answer-1" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	if h := resp.Header; h.Get("Content-Type") != "text/plain" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%v", h)
	}
	if resp, body = request(t, "HEAD", base+challengePath+"token-1"); resp.StatusCode != 200 || body != "" || resp.ContentLength != 8 {
		t.Errorf("HEAD: %d %q %d", resp.StatusCode, body, resp.ContentLength)
	}
	for _, path := range []string{
		"/", challengePath, challengePath + "token-2", challengePath + "token-1/", challengePath + "token-1x", "/token-1",
		challengePath + "../acme-challenge/token-1", challengePath + "<script>alert(1)</script>", "//.well-known/acme-challenge/token-1",
	} {
		resp, body := request(t, "GET", base+path)
		if resp.StatusCode != 404 || strings.Contains(body, "script") || strings.Contains(body, "answer") {
			t.Errorf("%s: %d %q", path, resp.StatusCode, body)
		}
	}
	if resp, _ := request(t, "POST", base+challengePath+"token-1"); resp.StatusCode != 404 {
		t.Errorf("POST: %d", resp.StatusCode)
	}
	withdraw()
	withdraw() // twice is once
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the address is still listened on")
	}
}

func TestAnAddressIsSharedUntilTheLastChallengeIsGone(t *testing.T) {
	r := NewResponder(nil, nil)
	defer r.Close()
	solver := config.Solver{Type: "http", Name: "main", Listen: []string{freeAddress(t)}}
	const n = 50
	var all sync.WaitGroup
	withdraws := make([]func(), n)
	for i := range n {
		all.Go(func() {
			withdraw, err := r.present(solver, fmt.Sprintf("token-%d", i), "answer")
			if err != nil {
				t.Error(err)
				return
			}
			withdraws[i] = withdraw
		})
	}
	all.Wait()
	again, err := r.present(solver, "token-0", "answer") // the same token once more
	if err != nil {
		t.Fatal(err)
	}
	for _, withdraw := range withdraws {
		withdraw()
	}
	if resp, _ := request(t, "GET", "http://"+solver.Listen[0]+challengePath+"token-0"); resp.StatusCode != 200 {
		t.Errorf("the token that is still pending: %d", resp.StatusCode)
	}
	again()
	if l, err := net.Listen("tcp", solver.Listen[0]); err != nil {
		t.Errorf("the address was not released: %v", err)
	} else {
		l.Close()
	}
}

func TestAnIssuanceBindsAndReleasesTheSolversAddress(t *testing.T) {
	address := freeAddress(t)
	b := start(t, acmetest.Options{})
	_ = b.ca.Close()
	ca, err := acmetest.Start(acmetest.Options{HTTPPort: portOf(t, address)})
	if err != nil {
		t.Fatal(err)
	}
	b.ca = ca
	b.issuer.Directory, b.issuer.TrustRoots = ca.DirectoryURL(), ca.TrustPEM()
	b.opts.Solvers = map[string]config.Solver{"http.main": {Type: "http", Name: "other", Listen: []string{address}}}
	b.rebuild()
	b.issue(b.cert("www", "a.example.com", "b.example.com"), renew.Version{})
	if l, err := net.Listen("tcp", address); err != nil {
		t.Errorf("the address was not released: %v", err)
	} else {
		l.Close()
	}
}

func portOf(t *testing.T, address string) int {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return a.Port
}

func TestAWildcardAddressIsBothFamilies(t *testing.T) {
	r := NewResponder(nil, nil)
	defer r.Close()
	_, port, _ := net.SplitHostPort(freeAddress(t))
	withdraw, err := r.present(config.Solver{Type: "http", Name: "main", Listen: []string{":" + port}}, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	defer withdraw()
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		if host == "[::1]" && !hasIPv6() {
			continue
		}
		if resp, _ := request(t, "GET", "http://"+host+":"+port+challengePath+"token-1"); resp.StatusCode != 200 {
			t.Errorf("%s: %d", host, resp.StatusCode)
		}
	}
}

func hasIPv6() bool {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return false
	}
	l.Close()
	return true
}

func TestAPassedInSocketIsUsedAndKept(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	r := NewResponder(map[string][]net.Listener{"main": {l}}, nil)
	defer r.Close()
	// What the solver would listen on itself is taken; it must not be tried.
	withdraw, err := r.present(config.Solver{Type: "http", Name: "main", Listen: []string{address}}, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	if resp, _ := request(t, "GET", "http://"+address+challengePath+"token-1"); resp.StatusCode != 200 {
		t.Errorf("%d", resp.StatusCode)
	}
	withdraw()
	if resp, _ := request(t, "GET", "http://"+address+challengePath+"token-1"); resp.StatusCode != 404 {
		t.Errorf("afterwards: %d", resp.StatusCode)
	}
}

func TestAPortThatIsTakenNamesWhoHasIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	address := l.Addr().String()
	r := NewResponder(nil, nil)
	defer r.Close()
	free := freeAddress(t)
	_, err = r.present(config.Solver{Type: "http", Name: "main", Listen: []string{free, address}}, "token-1", "answer-1")
	if renew.ClassOf(err) != renew.Local || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("%v", err)
	}
	for _, want := range []string{address, fmt.Sprintf("(pid %d)", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if l, err := net.Listen("tcp", free); err != nil {
		t.Errorf("the address before it was not released: %v", err)
	} else {
		l.Close()
	}
	if len(r.tokens) != 0 {
		t.Error("the token stays")
	}
}

func TestATakenPortIsAFailureOfThisHost(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := start(t, acmetest.Options{})
	b.opts.Solvers = map[string]config.Solver{"http.main": {Type: "http", Name: "other", Listen: []string{taken.Addr().String()}}}
	b.rebuild()
	f := b.refuse(b.cert("www", "a.example.com"), renew.Version{})
	if f.Class != renew.Local || !strings.Contains(f.Error(), "a.example.com") || !strings.Contains(f.Error(), taken.Addr().String()) {
		t.Errorf("%s: %v", f.Class, f)
	}
}

// Whoever opens connections and says nothing must not keep the CA out for long.
func TestSilentConnectionsAreCutOff(t *testing.T) {
	t.Parallel() // it takes as long as the limit
	r := NewResponder(nil, nil)
	defer r.Close()
	address := freeAddress(t)
	withdraw, err := r.present(config.Solver{Type: "http", Name: "main", Listen: []string{address}}, "token-1", "answer-1")
	if err != nil {
		t.Fatal(err)
	}
	defer withdraw()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * responderHeader)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("it was not closed: %v", err)
	}
}
