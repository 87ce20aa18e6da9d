package agent

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/certvigil/certvigil/hooks"
	"github.com/certvigil/certvigil/renew"
	"github.com/certvigil/certvigil/renew/keypair"
	"github.com/certvigil/certvigil/renew/probe"
	"github.com/certvigil/certvigil/renew/store"
)

// yard is an agent on real files, with a CA of its own and a server that loads
// the output when the hook runs.
type yard struct {
	*store.Store
	t      *testing.T
	root   *x509.Certificate
	key    crypto.Signer
	output renew.Output
	agent  *Agent
	cert   renew.Cert
	lists  Lists
	point  string // of the CA's revocation list; none where empty

	mu      sync.Mutex
	serial  int64
	issued  int
	refuses bool // the CA
	reloads int
	serving string // the fingerprint
}

func newYard(t *testing.T, onChange renew.OnChange, change ...func(*yard)) *yard {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	st, err := store.Open(filepath.Join(dir, "state"))
	must(t, err)
	t.Cleanup(func() { _ = st.Close() })
	y := &yard{Store: st, t: t, output: renew.Output{Format: "pem", Key: filepath.Join(dir, "www.key"), Fullchain: filepath.Join(dir, "www.crt")}}
	y.key, err = keypair.GenerateKey(renew.EC256)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(1000 * day), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, y.key.Public(), y.key)
	must(t, err)
	y.root, err = x509.ParseCertificate(der)
	must(t, err)
	cfg := configOf("www")
	y.cert = cfg.Certs[0]
	y.cert.ARI, y.cert.OnChange, y.cert.Outputs = false, onChange, []renew.Output{y.output}
	cfg.Certs[0] = y.cert
	ca := cfg.Issuers["ca"]
	ca.TrustRoots = keypair.EncodeCertificates(y.root)
	cfg.Issuers["ca"] = ca
	for _, f := range change {
		f(y)
	}
	cfg.Certs[0] = y.cert
	y.agent = New(Parts{Store: y, Prober: y, Runner: y, Lists: y.lists, Log: slog.New(slog.DiscardHandler)}, cfg, y)
	t.Cleanup(started(t, y.agent))
	y.until("the first version is served", func(r CertReport) bool { return r.Stage == renew.Served })
	return y
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// pair mints a pair for www that is valid for so long, or was.
func (y *yard) pair(life time.Duration) store.Bundle {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.serial++
	key, err := keypair.GenerateKey(renew.EC256)
	must(y.t, err)
	start := time.Now().Truncate(time.Second)
	if life < 0 {
		start = start.Add(10 * life)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(100 + y.serial), DNSNames: []string{"www.example.com"}, NotBefore: start, NotAfter: time.Now().Add(life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if y.point != "" {
		template.CRLDistributionPoints = []string{"ldap://ca.example/", y.point}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, y.root, key.Public(), y.key)
	must(y.t, err)
	leaf, err := x509.ParseCertificate(der)
	must(y.t, err)
	text, err := keypair.EncodeKey(key)
	must(y.t, err)
	return store.Bundle{Key: text, Cert: keypair.EncodeCertificates(leaf), Chain: keypair.EncodeCertificates(y.root)}
}

func (y *yard) Issue(_ context.Context, c renew.Cert, _ renew.Version, why renew.Reason) (int, error) {
	y.mu.Lock()
	refuses := y.refuses
	y.mu.Unlock()
	if refuses {
		return 0, errDown
	}
	b := y.pair(time.Minute)
	b.Meta = store.Meta{Issuer: "ca", Directory: "https://ca/dir", Reason: why, IssuedAt: time.Now()}
	y.mu.Lock()
	y.issued++
	y.mu.Unlock()
	return y.Commit(c.Name, b)
}

func (y *yard) Enroll(context.Context, renew.Cert) error { return errors.New("nobody asks for it") }

func (y *yard) Advise(context.Context, renew.Cert, renew.Version) (renew.Advice, error) {
	return renew.Advice{}, errors.New("nobody asks for it")
}

func (y *yard) Run(context.Context, hooks.Hook, hooks.Event, time.Duration) (hooks.Result, error) {
	key, err := os.ReadFile(y.output.Key)
	if err != nil {
		return hooks.Result{}, err
	}
	chain, err := os.ReadFile(y.output.Fullchain)
	if err != nil {
		return hooks.Result{}, err
	}
	pair, err := keypair.Parse(key, chain)
	y.mu.Lock()
	defer y.mu.Unlock()
	y.reloads++
	if err == nil {
		y.serving = pair.Fingerprint
	}
	return hooks.Result{}, err
}

func (y *yard) Prove(_ context.Context, e renew.Endpoint, names []string, version int, want probe.Want, _ time.Duration) []renew.Proof {
	y.mu.Lock()
	defer y.mu.Unlock()
	var all []renew.Proof
	for _, n := range names {
		all = append(all, renew.Proof{Address: e.Address, Name: n, Version: version, Served: y.serving == want.Fingerprint, Fingerprint: y.serving})
	}
	return all
}

// put puts a pair at the output, the certificate first. The two switch at once:
// on a machine that is busy enough, a second may pass between two writes, and
// that is how long whoever writes here has.
func (y *yard) put(b store.Bundle) {
	y.t.Helper()
	must(y.t, os.WriteFile(y.output.Fullchain+".new", b.Fullchain(), 0o644))
	must(y.t, os.WriteFile(y.output.Key+".new", b.Key, 0o600))
	must(y.t, os.Rename(y.output.Fullchain+".new", y.output.Fullchain))
	must(y.t, os.Rename(y.output.Key+".new", y.output.Key))
	y.agent.Wake()
}

func (y *yard) until(what string, so func(CertReport) bool) CertReport {
	y.t.Helper()
	ctx, cancel := context.WithTimeout(y.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		r := report(y.t, y.agent, "www")
		if so(r) {
			return r
		}
		select {
		case <-ctx.Done():
			y.t.Fatalf("still not so: %s; %+v", what, r)
		case <-tick.C:
		}
	}
}

func (y *yard) counts() (issued, reloads int) {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.issued, y.reloads
}

func fingerprint(t *testing.T, b store.Bundle) string {
	t.Helper()
	pair, err := keypair.Parse(b.Key, b.Fullchain())
	must(t, err)
	return pair.Fingerprint
}

func TestABetterPairOfSomeoneElsesIsAdopted(t *testing.T) {
	t.Parallel()
	y := newYard(t, "")
	theirs := y.pair(time.Hour)
	y.put(theirs)
	r := y.until("version 2 is served", func(r CertReport) bool { return r.Version == 2 && r.Stage == renew.Served && r.Health == renew.OK })
	if issued, reloads := y.counts(); r.Fingerprint != fingerprint(t, theirs) || issued != 1 || reloads != 2 {
		t.Errorf("%d issued, %d reloads, %+v", issued, reloads, r)
	}
	v, err := y.Versions("www")
	must(t, err)
	if last := v[len(v)-1]; !last.Foreign || last.Issuer != "" || last.Reason != renew.ForeignChange {
		t.Errorf("%+v", last)
	}
	// It goes live too, for servers that are pointed there.
	key, err := os.ReadFile(filepath.Join(y.LiveDir("www"), "privkey.pem"))
	must(t, err)
	if string(key) != string(theirs.Key) {
		t.Error("live/www shows another pair")
	}
}

func TestAWorsePairOfSomeoneElsesIsReplaced(t *testing.T) {
	for name, life := range map[string]time.Duration{"shorter": 20 * time.Second, "expired": -time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t, "")
			ours, err := os.ReadFile(y.output.Fullchain)
			must(t, err)
			y.put(y.pair(life))
			y.until("ours is back", func(r CertReport) bool {
				got, _ := os.ReadFile(y.output.Fullchain)
				return string(got) == string(ours) && r.Stage == renew.Served && r.Version == 1
			})
			if issued, _ := y.counts(); issued != 1 {
				t.Errorf("%d issued", issued)
			}
		})
	}
}

func TestRestoreReplacesABetterOneToo(t *testing.T) {
	t.Parallel()
	y := newYard(t, renew.Restoring)
	ours, err := os.ReadFile(y.output.Fullchain)
	must(t, err)
	y.put(y.pair(time.Hour))
	y.until("ours is back", func(r CertReport) bool {
		got, _ := os.ReadFile(y.output.Fullchain)
		return string(got) == string(ours) && r.Stage == renew.Served
	})
}

func TestAlarmLeavesItAndTells(t *testing.T) {
	t.Parallel()
	y := newYard(t, renew.Alarming)
	theirs := y.pair(time.Hour)
	y.put(theirs)
	r := y.until("it is told", func(r CertReport) bool { return r.Reason == renew.ForeignChange && r.Health == renew.Attention })
	got, err := os.ReadFile(y.output.Fullchain)
	must(t, err)
	if _, reloads := y.counts(); string(got) != string(theirs.Fullchain()) || reloads != 1 || r.Version != 1 {
		t.Errorf("%d reloads, version %d, left alone %v", reloads, r.Version, string(got) == string(theirs.Fullchain()))
	}
	y.put(y.pair(-time.Minute)) // what no client would take is not left
	y.until("ours is back", func(r CertReport) bool { return r.Stage == renew.Served && r.Health == renew.OK })
}

// TestWhatIsLeftAloneHoldsUpNoOther: the next version of ours goes everywhere
// but to where somebody else's stands.
func TestWhatIsLeftAloneHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	var second renew.Output
	y := newYard(t, renew.Alarming, func(y *yard) {
		second = y.output
		second.Key, second.Fullchain = second.Key+"2", second.Fullchain+"2"
		y.cert.Outputs = append(y.cert.Outputs, second)
	})
	theirs := y.pair(time.Hour)
	y.put(theirs)
	y.until("it is told", func(r CertReport) bool { return r.Reason == renew.ForeignChange })
	for version := 2; version <= 3; version++ {
		must(t, y.agent.Request("www", true))
		r := y.until("the next version is live", func(r CertReport) bool { return r.Live == version && r.Next.Do != renew.Install && r.Busy == "" })
		pair := func(o renew.Output) string {
			key, err := os.ReadFile(o.Key)
			must(t, err)
			chain, err := os.ReadFile(o.Fullchain)
			must(t, err)
			p, err := keypair.Parse(key, chain)
			must(t, err)
			return p.Fingerprint
		}
		y.until("the other output has it", func(CertReport) bool { return pair(second) == r.Fingerprint })
		if got := pair(y.output); got != fingerprint(t, theirs) {
			t.Errorf("version %d replaced what was to be left alone", version)
		}
	}
	if r := report(t, y.agent, "www"); r.Reason != renew.ForeignChange && r.Health == renew.OK {
		t.Errorf("%+v", r)
	}
}

// TestALivePairOfSomeoneElsesIsAdopted covers a link that was flipped, a folder
// in its place, and files that were overwritten through the link.
func TestALivePairOfSomeoneElsesIsAdopted(t *testing.T) {
	write := func(t *testing.T, dir string, b store.Bundle) {
		chain, key := filepath.Join(dir, "fullchain.pem"), filepath.Join(dir, "privkey.pem")
		must(t, os.WriteFile(chain+".new", b.Fullchain(), 0o644))
		must(t, os.WriteFile(key+".new", b.Key, 0o600))
		must(t, os.Rename(chain+".new", chain))
		must(t, os.Rename(key+".new", key))
	}
	for name, do := range map[string]func(t *testing.T, live string, b store.Bundle){
		"flipped": func(t *testing.T, live string, b store.Bundle) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			must(t, err)
			write(t, dir, b)
			must(t, os.Symlink(dir, live+".new"))
			must(t, os.Rename(live+".new", live))
		},
		"a folder": func(t *testing.T, live string, b store.Bundle) {
			must(t, os.Remove(live))
			must(t, os.Mkdir(live, 0o755))
			write(t, live, b)
		},
		"overwritten": write,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y := newYard(t, "")
			theirs := y.pair(time.Hour)
			do(t, y.LiveDir("www"), theirs)
			y.agent.Wake()
			y.until("version 2 is served", func(r CertReport) bool { return r.Version == 2 && r.Live == 2 && r.Stage == renew.Served })
			if issued, _ := y.counts(); issued != 1 {
				t.Errorf("%d issued", issued)
			}
			got, err := os.ReadFile(y.output.Key)
			must(t, err)
			if string(got) != string(theirs.Key) {
				t.Error("the output holds another key")
			}
		})
	}
}

func TestWhatWasThereBeforeUsIsNotAdopted(t *testing.T) {
	t.Parallel()
	var theirs store.Bundle
	y := newYard(t, "", func(y *yard) {
		theirs = y.pair(1000 * time.Hour)
		must(t, os.WriteFile(y.output.Fullchain, theirs.Fullchain(), 0o644))
		must(t, os.WriteFile(y.output.Key, theirs.Key, 0o600))
	})
	if r := report(t, y.agent, "www"); r.Fingerprint == fingerprint(t, theirs) || r.Version != 1 {
		t.Errorf("%+v", r)
	}
}

// TestAWriterWhoNeverStopsIsJudgedAllTheSame: every write is a change of the
// files, and none of them is whole.
func TestAWriterWhoNeverStopsIsJudgedAllTheSame(t *testing.T) {
	t.Parallel()
	y := newYard(t, "")
	stop := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				_ = os.WriteFile(y.output.Fullchain, []byte("half of a cert"), 0o644)
				y.agent.Wake()
			}
		}
	})
	defer func() { close(stop); writing.Wait() }()
	y.until("it was replaced in the meantime", func(CertReport) bool {
		j, err := y.Journal("www")
		return err == nil && j.Placed.Again > 0
	})
}
