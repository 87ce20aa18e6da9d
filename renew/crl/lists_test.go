package crl

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var noon = time.Now().Truncate(time.Second)

// authority is a CA of the tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func newAuthority(t testing.TB, name string, usage x509.KeyUsage) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: usage,
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(time.Hour), SubjectKeyId: []byte(name),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{cert, key}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const signing = x509.KeyUsageCertSign | x509.KeyUsageCRLSign

// list signs a revocation list with the serials on it.
func (a *authority) list(t testing.TB, change func(*x509.RevocationList), serials ...int64) []byte {
	t.Helper()
	l := &x509.RevocationList{Number: big.NewInt(7), ThisUpdate: noon.Add(-time.Minute), NextUpdate: noon.Add(24 * time.Hour)}
	for _, s := range serials {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(s), RevocationTime: noon.Add(-time.Hour), ReasonCode: 1,
		})
	}
	if change != nil {
		change(l)
	}
	der, err := x509.CreateRevocationList(rand.Reader, l, a.cert, a.key)
	must(t, err)
	return der
}

// piece marks a list as the one for these URLs (RFC 5280, section 5.2.5).
func piece(t testing.TB, urls ...string) func(*x509.RevocationList) {
	var uris []byte
	for _, u := range urls {
		one, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(u)})
		must(t, err)
		uris = append(uris, one...)
	}
	full, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: uris})
	must(t, err)
	point, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: full})
	must(t, err)
	return scoped(point)
}

func scoped(inside []byte) func(*x509.RevocationList) {
	value, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: inside})
	if err != nil {
		panic(err)
	}
	return func(l *x509.RevocationList) {
		l.ExtraExtensions = append(l.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value})
	}
}

// serve serves bytes at a URL of its own, and counts how often they are asked for.
func serve(t testing.TB, body []byte) (url string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = w.Write(body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/ca.crl", asked
}

func (a *authority) query(url string, serial int64) Query {
	return Query{URL: url, Issuer: a.cert, Serial: big.NewInt(serial), MaxAge: time.Hour}
}

func TestLook(t *testing.T) {
	ca, other := newAuthority(t, "ca", signing), newAuthority(t, "other", signing)
	impostor := newAuthority(t, "ca", signing)
	idle := newAuthority(t, "idle", x509.KeyUsageCertSign)
	const here = "http://ca.example/7.crl"
	for _, tc := range []struct {
		name    string
		der     []byte
		issuer  *authority
		serial  int64
		revoked bool
		err     string // in the error; empty: none
	}{
		{"not on it", ca.list(t, nil, 5, 9), ca, 7, false, ""},
		{"on it", ca.list(t, nil, 5, 7, 9), ca, 7, true, ""},
		{"an empty list", ca.list(t, nil), ca, 7, false, ""},
		{"the piece that the certificate names", ca.list(t, piece(t, "http://ca.example/6.crl", here), 7), ca, 7, true, ""},
		{"another piece", ca.list(t, piece(t, "http://ca.example/8.crl")), ca, 7, false, "another piece"},
		{"of CAs only", ca.list(t, scoped([]byte{0x82, 1, 0xff})), ca, 7, false, "not for the certificates of servers"},
		{"indirect", ca.list(t, scoped([]byte{0x84, 1, 0xff})), ca, 7, false, "not for the certificates of servers"},
		{"a difference to another list", ca.list(t, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}}
		}), ca, 7, false, "critical extension"},
		{"signed by someone of the same name", impostor.list(t, nil), ca, 7, false, "signature is not by"},
		{"another CA's", other.list(t, nil), ca, 7, false, "not by the certificate's issuer"},
		{"by a CA that may not sign lists", impostorOf(t, idle).list(t, nil), idle, 7, false, "signature is not by"},
		{"out of date", ca.list(t, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = noon.Add(-48*time.Hour), noon.Add(-time.Hour)
		}), ca, 7, false, "was to be renewed by"},
		{"out of date, and on it", ca.list(t, func(l *x509.RevocationList) {
			l.ThisUpdate, l.NextUpdate = noon.Add(-48*time.Hour), noon.Add(-time.Hour)
		}, 7), ca, 7, true, ""},
		{"of tomorrow", ca.list(t, func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(23 * time.Hour) }), ca, 7, false, "which is to come"},
		{"cut off", ca.list(t, nil, 5, 7)[:150], ca, 7, false, "no revocation list"},
		{"with something behind it", append(ca.list(t, nil, 5, 7), 0), ca, 7, false, "no revocation list"},
		{"a page", []byte("<html>not found</html>"), ca, 7, false, "no revocation list"},
		{"nothing", nil, ca, 7, false, "no revocation list"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := New("test")
			l.client = &http.Client{Transport: always(tc.der)}
			a, err := l.Look(t.Context(), noon, tc.issuer.query(here, tc.serial))
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("%v, want %q in it", err, tc.err)
				}
				return
			}
			if err != nil || a.Revoked != tc.revoked || a.NextUpdate.IsZero() {
				t.Errorf("%v, %+v", err, a)
			}
			if a.Revoked && (a.Reason != 1 || !a.At.Equal(noon.Add(-time.Hour))) {
				t.Errorf("%+v", a)
			}
		})
	}
}

// impostorOf signs with a key that says that it may sign lists, under the name
// and with the key of one that may not.
func impostorOf(t testing.TB, a *authority) *authority {
	template := *a.cert
	template.KeyUsage = signing
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, a.key.Public(), a.key)
	must(t, err)
	cert, err := x509.ParseCertificate(der)
	must(t, err)
	return &authority{cert, a.key}
}

// always answers every request with these bytes.
type always []byte

func (a always) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(string(a))), ContentLength: int64(len(a)), Request: r}, nil
}

func TestAListIsFetchedOnceForAll(t *testing.T) {
	ca := newAuthority(t, "ca", signing)
	url, asked := serve(t, ca.list(t, nil, 7))
	l := New("test")
	var all sync.WaitGroup
	for i := range int64(50) {
		all.Go(func() {
			a, err := l.Look(context.Background(), noon, ca.query(url, i))
			if err != nil || a.Revoked != (i == 7) {
				t.Errorf("%d: %v, %+v", i, err, a)
			}
		})
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	for _, later := range []time.Duration{59 * time.Minute, time.Hour, -3 * time.Minute} {
		_, err := l.Look(context.Background(), noon.Add(later), ca.query(url, 1))
		must(t, err)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("asked %d times, want again after an hour, and after a clock was set back", n)
	}
	q := ca.query(url, 1)
	q.Issuer = newAuthority(t, "other", signing).cert
	if _, err := l.Look(context.Background(), noon, q); err == nil {
		t.Error("a list is believed for the certificates of another CA")
	}
}

func TestAServerThatFailsIsLeftAloneForAMinute(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(503)
	}))
	defer s.Close()
	ca, l := newAuthority(t, "ca", signing), New("test")
	for range 10 {
		if _, err := l.Look(t.Context(), noon, ca.query(s.URL, 7)); err == nil || !strings.Contains(err.Error(), "503") {
			t.Fatal(err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	_, _ = l.Look(t.Context(), noon.Add(2*time.Minute), ca.query(s.URL, 7)) // it took a moment to fail, which counts
	if n := asked.Load(); n != 2 {
		t.Errorf("asked %d times, want again after a minute", n)
	}
}

type slow struct{ asked *int }

func (s slow) RoundTrip(*http.Request) (*http.Response, error) {
	*s.asked++
	time.Sleep(fetchTimeout - time.Second)
	return nil, errors.New("it breaks off")
}

// A server that takes a minute to fail does not take it from everybody.
func TestTheMinuteBeginsWhenTheServerHasFailed(t *testing.T) {
	ca := newAuthority(t, "CA", signing)
	synctest.Test(t, func(t *testing.T) {
		l, asked := New("test"), 0
		l.client.Transport = slow{&asked}
		for range 3 {
			if _, err := l.Look(t.Context(), time.Now(), ca.query("http://ca.example/ca.crl", 7)); err == nil {
				t.Error("no list, and no error")
			}
			time.Sleep(10 * time.Second)
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestWhatIsNotFetched(t *testing.T) {
	ca := newAuthority(t, "ca", signing)
	good := ca.list(t, nil, 7)
	secure := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(good) }))
	defer secure.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(good) })
	mux.HandleFunc("/other-scheme", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, secure.URL, http.StatusFound) })
	mux.HandleFunc("/file", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
	})
	mux.HandleFunc("/once", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good", http.StatusFound) })
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for block := make([]byte, 1<<16); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/huge", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "99999999999")
		_, _ = w.Write(good)
	})
	plain := httptest.NewServer(mux)
	defer plain.Close()
	for at, want := range map[string]string{
		plain.URL + "/once":                    "",
		plain.URL + "/other-scheme":            "is not followed",
		plain.URL + "/file":                    "is not followed",
		plain.URL + "/round":                   "too many redirects",
		plain.URL + "/endless":                 "more than 16777216 bytes",
		plain.URL + "/huge":                    "more than 16777216",
		plain.URL + "/none":                    "the answer is 404",
		"ldap://ca.example/cn=crl":             "no http or https URL",
		"file:///etc/passwd":                   "no http or https URL",
		"http://user:pw@ca.example/crl":        "no http or https URL",
		"http://x/" + strings.Repeat("y", 500): "no http or https URL",
	} {
		a, err := New("test").Look(t.Context(), noon, ca.query(at, 7))
		if want == "" {
			if err != nil || !a.Revoked {
				t.Errorf("%s: %v, %+v", at, err, a)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", at, err, want)
		}
	}
}

// TestOneWhoIsStoppedStopsNobodyElse: the first asks, is stopped, and the second
// gets its answer all the same.
func TestOneWhoIsStoppedStopsNobodyElse(t *testing.T) {
	ca := newAuthority(t, "ca", signing)
	good := ca.list(t, nil, 7)
	began := make(chan struct{}, 1)
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			began <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = w.Write(good)
	}))
	defer s.Close()
	l := New("test")
	ctx, stop := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := l.Look(ctx, noon, ca.query(s.URL, 7)); first <- err }()
	<-began
	second := make(chan error, 1)
	go func() {
		a, err := l.Look(t.Context(), noon, ca.query(s.URL, 7))
		if err == nil && !a.Revoked {
			err = errors.New("not revoked")
		}
		second <- err
	}()
	stop()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	must(t, <-second)
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	ca := newAuthority(t, "ca", signing)
	l := New("test")
	l.client = &http.Client{Transport: always(ca.list(t, nil, 7))}
	for i := range int64(maxKept + 20) {
		_, err := l.Look(t.Context(), noon.Add(time.Duration(i)*time.Millisecond), ca.query(fmt.Sprintf("http://ca.example/%d", i), 7))
		must(t, err)
	}
	if n := len(l.kept); n != maxKept {
		t.Errorf("%d lists are kept", n)
	}
}

// FuzzParse never panics, and believes nothing that the CA did not sign.
func FuzzParse(f *testing.F) {
	ca := newAuthority(f, "ca", signing)
	good := ca.list(f, piece(f, "http://ca.example/7.crl"), 5, 7)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		if l, err := parse(der, "http://ca.example/7.crl", ca.cert); err == nil && string(der) != string(good) {
			// ECDSA signatures can be written in one way only, and so can DER.
			t.Errorf("believed: %d entries", len(l.revoked))
		}
	})
}

// BenchmarkParse reads a list of 400,000 certificates, 15 MB.
func BenchmarkParse(b *testing.B) {
	ca := newAuthority(b, "ca", signing)
	serials := make([]int64, 400_000)
	for i := range serials {
		serials[i] = int64(i) * 1_000_003
	}
	der := ca.list(b, nil, serials...)
	b.SetBytes(int64(len(der)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(der, "http://ca.example/7.crl", ca.cert); err != nil {
			b.Fatal(err)
		}
	}
}
