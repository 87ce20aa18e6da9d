package prober

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"
)

func TestEveryKindOfLapseIsSeenOnTheWire(t *testing.T) {
	const name = "www.example.com"
	ours, others := newAuthority(t), newAuthority(t)
	bare := ours.leaf(t, name, -time.Minute, time.Minute)
	bare.Certificate = bare.Certificate[:1]
	for _, c := range []struct {
		what string
		cert tls.Certificate
		want Kind
	}{
		{"a good certificate", ours.leaf(t, name, -time.Minute, time.Minute), ""},
		{"a certificate that expired", ours.leaf(t, name, -time.Hour, -time.Second), Expired},
		{"a certificate from the future", ours.leaf(t, name, time.Minute, time.Hour), NotYetValid},
		{"a certificate for another name", ours.leaf(t, "mail.example.com", -time.Minute, time.Minute), WrongName},
		{"a certificate of another CA", others.leaf(t, name, -time.Minute, time.Minute), Untrusted},
		{"a leaf without its intermediate", bare, Untrusted},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := serve(t, "127.0.0.1:0", c.cert)
			p := probing(t, Target{s.address, name}, ours.roots)
			r := await(t, p, "three handshakes", func(r Record) bool { return r.Handshakes >= 3 })
			if c.want == "" && r.Lapsed() != 0 {
				t.Errorf("counted %v as lapses", r.Lapses)
			}
			if c.want != "" && (r.Lapses[c.want] != r.Handshakes || r.First.Kind != c.want || r.Last.Detail == "") {
				t.Errorf("counted %v in %d handshakes, first %+v; want all %s", r.Lapses, r.Handshakes, r.First, c.want)
			}
			if r.Failed != 0 || r.Down != 0 {
				t.Errorf("failed %d (%s), down %d", r.Failed, r.Failure, r.Down)
			}
		})
	}
}

func TestACertificateThatExpiresWhileWatchedLapsesFromThenOn(t *testing.T) {
	const name = "www.example.com"
	ca := newAuthority(t)
	s := serve(t, "127.0.0.1:0", ca.leaf(t, name, -time.Minute, 2*time.Second))
	p := probing(t, Target{s.address, name}, ca.roots)
	r := await(t, p, "the lapse", func(r Record) bool { return r.Lapsed() > 0 })
	if r.Lapses[Expired] == 0 || r.Lapsed() == r.Handshakes {
		t.Errorf("counted %v in %d handshakes", r.Lapses, r.Handshakes)
	}
	if !r.First.At.After(r.First.NotAfter) {
		t.Errorf("lapsed at %s, before it ended at %s", r.First.At, r.First.NotAfter)
	}

	renewed := ca.leaf(t, name, -time.Minute, time.Minute)
	s.holds.Store(&renewed)
	r = await(t, p, "the new certificate", func(r Record) bool { return r.Leaves == 2 })
	lapsed := r.Lapsed()
	r = await(t, p, "more handshakes", func(more Record) bool { return more.Handshakes >= r.Handshakes+3 })
	if r.Lapsed() != lapsed {
		t.Errorf("still lapsing after the renewal: %v", r.Lapses)
	}
}

func TestARestartOnPurposeIsDownAndAnyOtherSilenceFailed(t *testing.T) {
	const name = "www.example.com"
	ca := newAuthority(t)
	cert := ca.leaf(t, name, -time.Minute, time.Minute)
	s := serve(t, "127.0.0.1:0", cert)
	p := probing(t, Target{s.address, name}, ca.roots)
	await(t, p, "a handshake", func(r Record) bool { return r.Handshakes > 0 })

	up := p.Down()
	s.listener.Close()
	r := await(t, p, "refused connections", func(r Record) bool { return r.Down >= 3 })
	if r.Failed != 0 || r.Lapsed() != 0 {
		t.Errorf("while down on purpose: failed %d (%s), lapsed %d", r.Failed, r.Failure, r.Lapsed())
	}
	s = serve(t, s.address, cert)
	up()
	before := r.Handshakes
	r = await(t, p, "handshakes again", func(r Record) bool { return r.Handshakes > before })
	if r.LongestGap < 3*5*time.Millisecond {
		t.Errorf("longest gap %s although three handshakes were refused", r.LongestGap)
	}

	s.listener.Close()
	r = await(t, p, "failures", func(r Record) bool { return r.Failed >= 3 })
	if r.Lapsed() != 0 || r.Failure == "" {
		t.Errorf("a refused connection: lapsed %d, failure %q", r.Lapsed(), r.Failure)
	}
}

func TestWhatIsAnsweredWhileDownIsStillJudged(t *testing.T) {
	ca := newAuthority(t)
	s := serve(t, "127.0.0.1:0", ca.leaf(t, "a.example.com", -time.Hour, -time.Minute))
	p := probing(t, Target{s.address, "a.example.com"}, ca.roots)
	p.Down()
	await(t, p, "the lapse", func(r Record) bool { return r.Lapses[Expired] > 0 })
}

func TestJudgeCountsTheLastSecondAsValid(t *testing.T) {
	ca := newAuthority(t)
	leaf, err := x509.ParseCertificate(ca.leaf(t, "a.example.com", -time.Minute, time.Minute).Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{leaf, ca.intermediate}
	for at, want := range map[time.Time]Kind{
		leaf.NotBefore.Add(-time.Nanosecond): NotYetValid,
		leaf.NotBefore:                       "",
		leaf.NotAfter:                        "",
		leaf.NotAfter.Add(time.Nanosecond):   Expired,
	} {
		if got, detail := Judge(at, chain, "a.example.com", ca.roots); got != want {
			t.Errorf("at %s: %q (%s), want %q", at, got, detail, want)
		}
	}
	if got, _ := Judge(time.Now(), nil, "a.example.com", ca.roots); got != Untrusted {
		t.Errorf("without a certificate: %q", got)
	}
}

func TestTheReportNamesWhatWasNeverReached(t *testing.T) {
	ca := newAuthority(t)
	s := serve(t, "127.0.0.1:0", ca.leaf(t, "a.example.com", -time.Minute, time.Minute))
	s.listener.Close()
	p := probing(t, Target{s.address, "a.example.com"}, ca.roots)
	await(t, p, "a failure", func(r Record) bool { return r.Failed > 0 })
	report := p.Report()
	if blind := report.Blind(); len(blind) != 1 || blind[0].Name != "a.example.com" {
		t.Errorf("blind: %v", blind)
	}
	var b strings.Builder
	if _, err := report.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "failed: a.example.com at "+s.address) {
		t.Errorf("the table does not explain the failure:\n%s", &b)
	}
}

func TestAProberThatCouldNeverFailIsRefused(t *testing.T) {
	roots := x509.NewCertPool()
	target := Target{"127.0.0.1:1", "a.example.com"}
	for what, o := range map[string]Options{
		"no targets":        {Roots: roots},
		"no roots":          {Targets: []Target{target}},
		"one target, twice": {Targets: []Target{target, target}, Roots: roots},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ca := newAuthority(t)
	s := serve(t, "127.0.0.1:0", ca.leaf(t, "a.example.com", -time.Minute, time.Minute))
	p, err := New(Options{Targets: []Target{{s.address, "a.example.com"}}, Roots: ca.roots, Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	r := p.Run(ctx)
	if r.Handshakes() == 0 || r.Failed() != 0 {
		t.Errorf("%d handshakes, %d failed: being cut off is not the server's failure", r.Handshakes(), r.Failed())
	}
}
