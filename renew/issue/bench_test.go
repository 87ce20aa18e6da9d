package issue

import (
	"bufio"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-acme/lego/v4/certcrypto"
	"github.com/go-acme/lego/v4/certificate"
	"github.com/go-acme/lego/v4/lego"
	legolog "github.com/go-acme/lego/v4/log"
	"github.com/go-acme/lego/v4/registration"

	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/config"
	"github.com/certvigil/certvigil/renew/issue/acmetest"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/store"
)

// The benchmarks run Pebble in a process of its own: this binary, with the
// variable set to the port on which http-01 is to be validated.
const childVariable = "CERTVIGIL_TEST_CA_HTTP_PORT"

func TestMain(m *testing.M) {
	if port := os.Getenv(childVariable); port != "" {
		os.Exit(serveCA(port))
	}
	os.Exit(m.Run())
}

type remoteCA struct {
	Directory string
	Trust     []byte
}

// serveCA runs a CA until standard input ends.
func serveCA(port string) int {
	number, err := strconv.Atoi(port)
	if err != nil {
		return 1
	}
	ca, err := acmetest.Start(acmetest.Options{HTTPPort: number})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer ca.Close()
	if err := json.NewEncoder(os.Stdout).Encode(remoteCA{ca.DirectoryURL(), ca.TrustPEM()}); err != nil {
		return 1
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// startRemote starts a CA in a process of its own, and a responder that it
// validates at.
func startRemote(b *testing.B) (remoteCA, *Responder) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	responder := NewResponder(map[string][]net.Listener{"main": {l}}, nil)
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", childVariable, l.Addr().(*net.TCPAddr).Port))
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := child.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Wait()
		_ = responder.Close()
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		b.Fatal(err)
	}
	var ca remoteCA
	if err := json.Unmarshal(line, &ca); err != nil {
		b.Fatal(err)
	}
	return ca, responder
}

func benchClient(b *testing.B, books Books) func(name string) error {
	b.Helper()
	ca, responder := startRemote(b)
	client, err := New(Options{
		Books:     books,
		Issuers:   map[string]config.Issuer{"ca": {Name: "ca", Directory: ca.Directory, TrustRoots: ca.Trust, AgreeTerms: true}},
		Solvers:   map[string]config.Solver{"http.main": {Type: "http", Name: "main"}},
		Responder: responder,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	one := func(name string) error {
		_, err := client.Issue(context.Background(), renew.Cert{
			Name: name, Names: []string{name + ".example.com"}, KeyType: renew.EC256, Solver: "http.main",
			Issuers: []renew.Issuer{{Name: "ca", Directory: ca.Directory}},
		}, renew.Version{}, renew.Missing)
		return err
	}
	if err := one("warm"); err != nil {
		b.Fatal(err)
	}
	return one
}

func realBooks(b *testing.B) Books {
	b.Helper()
	s, err := store.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// BenchmarkIssue is one certificate of one name over http-01, the account known:
// with the books in memory, and with the real ones and every fsync of theirs.
func BenchmarkIssue(b *testing.B) {
	for name, books := range map[string]func(*testing.B) Books{
		"memory": func(*testing.B) Books { return newShelf() },
		"store":  realBooks,
	} {
		b.Run(name, func(b *testing.B) {
			one := benchClient(b, books(b))
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if err := one(fmt.Sprintf("c%d", len(took))); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
		})
	}
}

const (
	benchCerts  = 100
	benchAtOnce = 32
)

// BenchmarkHundred is 100 certificates, 32 at once, by this package and by
// lego's own client in one run; "ratio" is how many times as many a second.
func BenchmarkHundred(b *testing.B) {
	var ours, lego time.Duration
	b.Run("certvigil", func(b *testing.B) {
		one := benchClient(b, newShelf())
		ours = hundred(b, one)
	})
	b.Run("lego", func(b *testing.B) {
		lego = hundred(b, legoClient(b))
		if ours > 0 {
			b.ReportMetric(lego.Seconds()/ours.Seconds(), "ratio")
		}
	})
}

// hundred reports the time that a hundred took on average.
func hundred(b *testing.B, one func(name string) error) time.Duration {
	b.Helper()
	round := 0
	began, burnt := time.Now(), processor(b)
	for b.Loop() {
		round++
		work := make(chan string)
		var all sync.WaitGroup
		for range benchAtOnce {
			all.Go(func() {
				for name := range work {
					if err := one(name); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for i := range benchCerts {
			work <- fmt.Sprintf("h%d-%d", round, i)
		}
		close(work)
		all.Wait()
	}
	each := time.Since(began) / time.Duration(round)
	b.ReportMetric(benchCerts/each.Seconds(), "certs/s")
	b.ReportMetric((processor(b)-burnt).Seconds()*1000/float64(round*benchCerts), "cpu-ms/cert")
	return each
}

// processor is the time that this process has spent computing: unlike the wall
// clock it does not depend on what else the machine does.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type legoUser struct {
	key crypto.PrivateKey
	reg *registration.Resource
}

func (u *legoUser) GetEmail() string                        { return "" }
func (u *legoUser) GetRegistration() *registration.Resource { return u.reg }
func (u *legoUser) GetPrivateKey() crypto.PrivateKey        { return u.key }

// legoProvider answers lego's challenges on our responder, which serves many at
// once; its own binds a port for each.
type legoProvider struct {
	r  *Responder
	mu sync.Mutex
	by map[string]func()
}

func (p *legoProvider) Present(_, token, answer string) error {
	withdraw, err := p.r.present(config.Solver{Name: "main"}, token, answer)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[token] = withdraw
	return err
}

func (p *legoProvider) CleanUp(_, token, _ string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by[token]()
	return nil
}

type silence struct{}

func (silence) Fatal(...any)          {}
func (silence) Fatalln(...any)        {}
func (silence) Fatalf(string, ...any) {}
func (silence) Print(...any)          {}
func (silence) Println(...any)        {}
func (silence) Printf(string, ...any) {}

// legoClient is lego as its documentation has it, over a transport as good as
// ours.
func legoClient(b *testing.B) func(name string) error {
	b.Helper()
	legolog.Logger = silence{}
	ca, responder := startRemote(b)
	key, err := keypair.GenerateKey(renew.EC256)
	if err != nil {
		b.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Trust)
	user := &legoUser{key: key}
	cfg := lego.NewConfig(user)
	cfg.CADirURL = ca.Directory
	cfg.Certificate.KeyType = certcrypto.EC256
	cfg.HTTPClient = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: benchAtOnce,
	}}
	client, err := lego.NewClient(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := client.Challenge.SetHTTP01Provider(&legoProvider{r: responder, by: make(map[string]func())}); err != nil {
		b.Fatal(err)
	}
	if user.reg, err = client.Registration.Register(registration.RegisterOptions{TermsOfServiceAgreed: true}); err != nil {
		b.Fatal(err)
	}
	return func(name string) error {
		_, err := client.Certificate.Obtain(certificate.ObtainRequest{Domains: []string{name + ".example.com"}, Bundle: true})
		return err
	}
}
